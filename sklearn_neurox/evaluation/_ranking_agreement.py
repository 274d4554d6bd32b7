# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._order import neuron_order
from sklearn_neurox.utils._counts import count_neurons


@validate_params(
    {
        "k": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "p": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def ranking_agreement(
    rankings: Mapping[Hashable, BaseRanker | ArrayLike],
    *,
    k: int | float | Sequence[int | float] = 0.1,
    p: float = 0.98,
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Tell how far rankings of the same neurons agree, between methods, seeds or folds.

    Parameters
    ----------
    rankings : mapping from hashable to fitted ranker or array-like of shape (n_neurons,)
        Rankings by name: a ranker, which is read by its ``order_``, ``scores_`` or ``ranking_``
        as it has them, or an order itself, the index of the best neuron first. Names may be
        tuples, such as ``("lca", 0)`` for a method and a seed.

    k : int, float or sequence of such, default=0.1
        How many of the best neurons are compared as sets: a number, or a fraction of all.

    p : float, default=0.98
        How far rank-biased overlap looks, in (0, 1): the rank d weighs p times as much as the one
        before, so that 86 % of the weight lies on the first 10 neurons for 0.9, and on the first
        50 for 0.98.

    names : sequence of str or None, default=None
        What the parts of tuples are, such as ``["method", "seed"]``; each then gets columns of its
        own, so that pairs can be grouped.

    Returns
    -------
    agreement : DataFrame of shape (n_pairs, n_columns)
        A row for every two rankings, in the order given: their names in ``first`` and ``second``
        (or ``method_first``, ``method_second``, ...); ``jaccard@<k>``, the share of the neurons
        that are among the best k of one of them that are so in both; ``rank_biased_overlap``,
        extrapolated; and ``spearman``, the correlation of all ranks.

    Raises
    ------
    ValueError
        For rankings without names, fewer than two of them, an order that is no permutation of the
        neurons, orders of other lengths, and names that do not fit.

    See Also
    --------
    sklearn_neurox.ranking : The rankers.

    Notes
    -----
    With chance alone, ``jaccard@k`` is about k / (2 n - k) for n neurons, and the others are about
    k / n averaged with the weights of `p`, and 0.

    References
    ----------
    W. Webber, A. Moffat, J. Zobel. A Similarity Measure for Indefinite Rankings. ACM TOIS 2010.

    Y. Fan, F. Dalvi, N. Durrani, H. Sajjad. Evaluating Neuron Interpretation Methods of NLP Models.
    NeurIPS 2023.

    Examples
    --------
    >>> from sklearn_neurox.evaluation import ranking_agreement
    >>> orders = {"one": [0, 1, 2, 3], "two": [0, 2, 1, 3], "three": [3, 2, 1, 0]}
    >>> ranking_agreement(orders, k=[1, 2], p=0.5).round(2)
      first second  jaccard@1  jaccard@2  rank_biased_overlap  spearman
    0   one    two        1.0       0.33                 0.88       0.8
    1   one  three        0.0       0.00                 0.21      -1.0
    2   two  three        0.0       0.33                 0.33      -0.8
    """
    if not isinstance(rankings, Mapping):
        raise ValueError(
            "The 'rankings' parameter of ranking_agreement must be a mapping of rankings by name, "
            f"got a {type(rankings).__name__}: {{'lca': ranker, ...}}."
        )
    ranks = {name: _ranks(ranking, name) for name, ranking in rankings.items()}
    sizes = {len(of_one) for of_one in ranks.values()}
    if len(ranks) < 2 or len(sizes) > 1 or min(sizes) < 2:
        raise ValueError(
            "ranking_agreement needs two rankings at least, of the same two neurons at least; got "
            f"{len(ranks)} of {sorted(sizes)} neurons."
        )
    n_neurons = sizes.pop()
    counts = [_count(one, n_neurons) for one in ([k] if isinstance(k, Real) else k)]
    rows = []
    for first, second in combinations(ranks, 2):
        overlaps = _overlaps(ranks[first], ranks[second])
        rows.append(
            {
                **_labels(first, second, names),
                **{f"jaccard@{count}": _jaccard(overlaps, count) for count in counts},
                "rank_biased_overlap": _rank_biased_overlap(overlaps, p),
                "spearman": float(spearmanr(ranks[first], ranks[second]).statistic),
            }
        )
    return pd.DataFrame(rows)


def _ranks(ranking, name):
    is_ranker = any(hasattr(ranking, name) for name in ("order_", "scores_", "ranking_"))
    order = np.asarray(neuron_order(ranking) if is_ranker else ranking)
    n = order.shape[0] if order.ndim == 1 else -1
    if n < 0 or order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(n)):
        raise ValueError(
            f"The ranking {name!r} is neither a fitted ranker nor an order, which holds every "
            "index of a neuron, from 0, once, the best first."
        )
    ranks = np.empty(n, dtype=np.intp)
    ranks[order] = np.arange(n)
    return ranks


def _count(k, n_neurons):
    if not 0 < k <= (n_neurons if isinstance(k, Integral) else 1):
        raise ValueError(
            "The 'k' parameter of ranking_agreement must be numbers of neurons, of which there are "
            f"{n_neurons}, or fractions in (0, 1]; got {k}."
        )
    return count_neurons(k, n_neurons, caller="ranking_agreement")


def _overlaps(first, second):
    """Count, for each depth from 1, the neurons that both rankings have by then."""
    return np.cumsum(np.bincount(np.maximum(first, second), minlength=len(first)))


def _jaccard(overlaps, count):
    return float(overlaps[count - 1] / (2 * count - overlaps[count - 1]))


def _rank_biased_overlap(overlaps, p):
    """Sum the overlaps of all depths; beyond the last, where all neurons are ranked, it is 1."""
    depths = np.arange(1, len(overlaps) + 1)
    return float((1 - p) / p * np.sum(overlaps / depths * p**depths) + p ** len(overlaps))


def _labels(first, second, names):
    if names is None:
        return {"first": first, "second": second}
    for ranking in (first, second):
        if not isinstance(ranking, tuple) or len(ranking) != len(names):
            raise ValueError(
                f"The ranking {ranking!r} is not called by a tuple of {len(names)} parts, which "
                f"names={list(names)} asks for."
            )
    return {
        f"{name}_{side}": part
        for i, name in enumerate(names)
        for side, part in (("first", first[i]), ("second", second[i]))
    }
