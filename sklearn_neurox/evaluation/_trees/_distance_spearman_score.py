# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.evaluation._trees._pair_trees import read_trees


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "pairs": "no_validation",  # may be a table of any library
        "lengths": [tuple],
        "by_tree": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def distance_spearman_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    pairs: pd.DataFrame,
    *,
    lengths: tuple[int, int] = (5, 50),
    by_tree: bool = False,
) -> float | pd.DataFrame:
    """Compute the Spearman correlation of predicted and true distances, averaged over lengths.

    For each word, the predicted distances to all words of its sentence are correlated with the true
    ones. The correlations are averaged over the words of all sentences of the same length, then
    over lengths, from 5 to 50 words [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_pairs,)
        Tree distances.

    y_pred : array-like of shape (n_pairs,)
        Predicted distances, on any scale.

    pairs : table of shape (n_pairs, n_columns)
        Pairs of words, as returned by `pair_frame`, with all pairs of every sentence; see
        `uuas_score`.

    lengths : tuple of two int, default=(5, 50)
        The shortest and the longest sentences that count, in words, both included.

    by_tree : bool, default=False
        Whether to return the mean correlation of each sentence.

    Returns
    -------
    score : float or DataFrame of shape (n_trees, n_columns)
        The score, between -1 and 1. With ``by_tree=True``, a frame with one row per sentence of
        these lengths: ``text``, ``sentence_id`` (if `pairs` has it), ``n_words`` and ``spearman``.
        The score is the mean, over ``n_words``, of the means of ``spearman``.

    Raises
    ------
    ValueError
        If a distance is missing, infinite or negative (`y_true`), a sentence lacks a pair, a pair
        has two true distances, or no sentence has one of these lengths.

    See Also
    --------
    uuas_score : Compare the trees that the distances predict.
    sklearn_neurox.probes.StructuralProbe : Predicts tree distances.

    Notes
    -----
    As in the code of the authors, the distances of a word include the one to itself, which is 0:
    without it, the head of a sentence that all others attach to would have no correlation. If all
    predicted distances of a word are equal, its correlation counts as 0. If both orders of a pair
    are given, their predictions are averaged.

    References
    ----------
    .. [1] J. Hewitt, C. D. Manning, "A Structural Probe for Finding Syntax in Word
       Representations", NAACL 2019.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_neurox.evaluation import distance_spearman_score
    >>> pairs = pd.DataFrame({"text": "The dog barks", "start": [0, 0, 4], "end": [3, 3, 7]})
    >>> pairs[["other_start", "other_end"]] = [[4, 7], [8, 13], [8, 13]]
    >>> distance_spearman_score([1, 2, 1], [0.9, 2.1, 1.2], pairs, lengths=(3, 3))
    0.955...
    """
    _check_lengths(lengths)
    trees = read_trees(y_true, y_pred, pairs, caller="distance_spearman_score")
    words = np.concatenate([trees.low, trees.high, np.arange(len(trees.tree_of_word))])
    zeros = np.zeros(len(trees.tree_of_word))
    by_word = pd.DataFrame(
        {name: np.concatenate([d, d, zeros]) for name, d in _both(trees)}
    ).groupby(words)
    centered = by_word.rank() - by_word.rank().groupby(words).transform("mean")
    true, predicted = centered["true"].to_numpy(), centered["predicted"].to_numpy()
    products = np.bincount(words, true * predicted)
    norms = np.sqrt(np.bincount(words, true**2) * np.bincount(words, predicted**2))
    correlations = np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)
    table = trees.table.assign(
        spearman=np.bincount(trees.tree_of_word, correlations) / trees.table["n_words"]
    )
    table = table[table["n_words"].between(*lengths)].reset_index(drop=True)
    if not len(table):
        raise ValueError(
            f"No sentence given to distance_spearman_score has {lengths[0]} to {lengths[1]} words. "
            "Change 'lengths'."
        )
    if by_tree:
        return table
    return float(table.groupby("n_words")["spearman"].mean().mean())


def _both(trees):
    return ("true", trees.true), ("predicted", trees.predicted)


def _check_lengths(lengths):
    whole = len(lengths) == 2 and all(
        isinstance(length, Integral) and not isinstance(length, bool) for length in lengths
    )
    if not whole or not 2 <= lengths[0] <= lengths[1]:
        raise ValueError(
            "The 'lengths' parameter of distance_spearman_score must be two numbers of words, at "
            f"least 2, the smaller one first, got {lengths!r}."
        )
