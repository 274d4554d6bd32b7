# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import spearmanr
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._order import neuron_order
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, check_counts, count_neurons
from sklearn_neurox.utils._names import check_same_columns

_K = {"caller": "ranking_agreement", "parameter": "k"}


@validate_params(
    {
        "k": [*COUNT_CONSTRAINTS[:2], "array-like"],
        "names": ["array-like", None],
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
    """Measure how well rankings of the same neurons agree, between methods, seeds or folds.

    Parameters
    ----------
    rankings : mapping from hashable to fitted ranker or array-like of shape (n_neurons,)
        Rankings by name. Each is a fitted ranker that has ``order_``, ``scores_`` or ``ranking_``
        (used in this order of preference), or an array of neuron indices, best first. Names may be
        tuples, such as ``("lca", 0)`` for a method and a seed.

    k : int, float or sequence of int or float, default=0.1
        Number of top neurons to compare as sets: a number, as an int, or a fraction of all
        neurons, as a float in (0, 1]. 1 is one neuron, and 1.0 is all.

    p : float, default=0.98
        Persistence of the rank-biased overlap, in (0, 1): rank d + 1 has p times the weight of
        rank d. With 0.9, 86% of the weight is on the first 10 neurons; with 0.98, on the first 50.

    names : sequence of str or None, default=None
        Meaning of the parts of tuple names, such as ``["method", "seed"]``. Each part then gets
        its own columns, so that pairs can be grouped.

    Returns
    -------
    agreement : DataFrame of shape (n_pairs, n_columns)
        One row per pair of rankings, in the order given, with the columns

        - ``first`` and ``second``: the names of the two rankings (or ``method_first``,
          ``method_second``, ... with `names`);
        - ``jaccard@<k>``: the share of the neurons in the top k of either ranking that are in the
          top k of both; from 0 to 1;
        - ``rank_biased_overlap``: the extrapolated rank-biased overlap, from 0 to 1;
        - ``spearman``: the correlation of all ranks, from -1 to 1.

    Raises
    ------
    ValueError
        If `rankings` is not a mapping, there are fewer than two rankings, an order is not a
        permutation of the neurons, orders have different lengths, or `names` do not match the
        tuples.

    See Also
    --------
    sklearn_neurox.ranking : The rankers.

    Notes
    -----
    For random rankings of n neurons, ``jaccard@k`` is about k / (2 n - k), the rank-biased overlap
    is about k / n averaged over depths k with the weights of `p`, and ``spearman`` is about 0.

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
            f"such as {{'lca': ranker, ...}}, got a {type(rankings).__name__}."
        )
    ranks = {name: _ranks(ranking, name) for name, ranking in rankings.items()}
    named = {f"the ranking {name!r}": ranking for name, ranking in rankings.items()}
    check_same_columns("ranking_agreement", **named)
    sizes = {len(of_one) for of_one in ranks.values()}
    if len(ranks) < 2 or len(sizes) > 1 or min(sizes) < 2:
        raise ValueError(
            "ranking_agreement needs at least two rankings of the same neurons, and at least two "
            f"neurons; got {len(ranks)} rankings of {sorted(sizes)} neurons."
        )
    n_neurons = sizes.pop()
    counts = [_count(one, n_neurons) for one in check_counts(k, **_K)]
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
            f"The ranking {name!r} is neither a fitted ranker nor an order. An order contains each "
            "neuron index from 0 exactly once, best neuron first."
        )
    return np.argsort(order)


def _count(k, n_neurons):
    if k > n_neurons:
        raise ValueError(
            f"The 'k' parameter of ranking_agreement contains {k}, but the rankings have only "
            f"{n_neurons} neurons."
        )
    return count_neurons(k, n_neurons, **_K)


def _overlaps(first, second):
    """Count the neurons that both rankings have in their top d, for each depth d from 1."""
    return np.cumsum(np.bincount(np.maximum(first, second), minlength=len(first)))


def _jaccard(overlaps, count):
    return float(overlaps[count - 1] / (2 * count - overlaps[count - 1]))


def _rank_biased_overlap(overlaps, p):
    """Sum the weighted overlaps of all depths; beyond the last depth, the overlap is 1."""
    depths = np.arange(1, len(overlaps) + 1)
    return float((1 - p) / p * np.sum(overlaps / depths * p**depths) + p ** len(overlaps))


def _labels(first, second, names):
    if names is None:
        return {"first": first, "second": second}
    for ranking in (first, second):
        if not isinstance(ranking, tuple) or len(ranking) != len(names):
            raise ValueError(
                f"With names={list(names)}, the name of each ranking must be a tuple of "
                f"{len(names)} parts, got {ranking!r}."
            )
    return {
        f"{name}_{side}": part
        for i, name in enumerate(names)
        for side, part in (("first", first[i]), ("second", second[i]))
    }
