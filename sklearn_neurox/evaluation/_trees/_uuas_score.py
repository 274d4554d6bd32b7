# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.evaluation._trees._pair_trees import read_trees


@validate_params(
    {
        "y_true": ["array-like"],
        "y_pred": ["array-like"],
        "pairs": "no_validation",  # may be a table of any library
        "ignore": ["array-like", None],
        "by_tree": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def uuas_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    pairs: pd.DataFrame,
    *,
    ignore: ArrayLike | None = None,
    by_tree: bool = False,
) -> float | pd.DataFrame:
    """Compute the undirected unlabeled attachment score of predicted distances.

    The predicted tree of a sentence is the minimum spanning tree of the predicted distances. The
    score is the share of true arcs, over all sentences, that are in the predicted trees [1]_.

    Parameters
    ----------
    y_true : array-like of shape (n_pairs,)
        Tree distances. The true arcs are the pairs with distance 1.

    y_pred : array-like of shape (n_pairs,)
        Predicted distances, on any scale: only their order matters.

    pairs : table of shape (n_pairs, n_columns)
        Pairs of words, as returned by `pair_frame`, with all pairs of every sentence: in one order
        or in both, in any order of rows. Pairs of one ``text`` and, if there is such a column, one
        ``sentence_id`` belong to one tree.

    ignore : array-like of bool of shape (n_pairs,) or None, default=None
        Pairs to leave out. The paper leaves out all pairs with a punctuation mark, which are
        ``(pairs["upos"] == "PUNCT") | (pairs["other_upos"] == "PUNCT")``.

    by_tree : bool, default=False
        Whether to return the counts of each sentence.

    Returns
    -------
    score : float or DataFrame of shape (n_trees, n_columns)
        The score, between 0 and 1. With ``by_tree=True``, a frame with one row per sentence of two
        words or more: ``text``, ``sentence_id`` (if `pairs` has it), ``n_words``, ``n_arcs`` and
        ``n_correct``. The score is the sum of ``n_correct`` divided by that of ``n_arcs``.

    Raises
    ------
    ValueError
        If a distance is missing, infinite or negative (`y_true`), a sentence lacks a pair, a pair
        has two true distances, or no pair has the true distance 1.

    See Also
    --------
    distance_spearman_score : Correlate the distances themselves.
    sklearn_neurox.probes.StructuralProbe : Predicts tree distances.

    Notes
    -----
    If both orders of a pair are given, their predictions are averaged. Equal distances are ordered
    by the position of the first word, then of the second word; with equal distances everywhere, the
    predicted tree attaches all words to the first one. A word whose only arcs lead to ignored words
    has no true arc, but is part of the predicted tree. The authors of [1]_ attach such a word to
    its nearest neighbor in the true tree instead; in Universal Dependencies, where nothing attaches
    to punctuation, the two rules agree.

    References
    ----------
    .. [1] J. Hewitt, C. D. Manning, "A Structural Probe for Finding Syntax in Word
       Representations", NAACL 2019.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_neurox.evaluation import uuas_score
    >>> pairs = pd.DataFrame({"text": "The dog barks", "start": [0, 0, 4], "end": [3, 3, 7]})
    >>> pairs[["other_start", "other_end"]] = [[4, 7], [8, 13], [8, 13]]
    >>> tree_distances = [1, 2, 1]  # The dog, The barks, dog barks
    >>> uuas_score(tree_distances, [0.9, 1.3, 1.6], pairs)
    0.5
    """
    trees = read_trees(y_true, y_pred, pairs, ignore=ignore, caller="uuas_score")
    is_arc = trees.true == 1
    if not is_arc.any():
        raise ValueError(
            "No pair given to uuas_score has the true distance 1, so there are no arcs to find. "
            "y_true must be the number of arcs between two words."
        )
    chosen = _spanning_edges(trees)
    n_trees = len(trees.table)
    counts = {
        "n_arcs": np.bincount(trees.tree[is_arc], minlength=n_trees),
        "n_correct": np.bincount(trees.tree[chosen[is_arc[chosen]]], minlength=n_trees),
    }
    if by_tree:
        return trees.table.assign(**counts)
    return float(counts["n_correct"].sum() / counts["n_arcs"].sum())


def _spanning_edges(trees):
    """Return which pairs are in the minimum spanning trees."""
    # Ranks have no ties, which SciPy breaks arbitrarily, and no zeros, which it takes for no edge.
    order = np.lexsort((trees.high, trees.low, trees.predicted))
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    n_words = len(trees.tree_of_word)
    # SciPy before 1.15 searches only graphs with indices of 32 bits.
    places = trees.low.astype(np.int32), trees.high.astype(np.int32)
    graph = coo_array((ranks, places), shape=(n_words, n_words))
    kept = minimum_spanning_tree(graph.tocsr()).data
    return order[kept.astype(np.int64) - 1]
