# SPDX-License-Identifier: BSD-3-Clause
"""The order in which any fitted ranker or selector puts the neurons."""

import numpy as np
from sklearn.base import clone

from sklearn_neurox.ranking._base import BaseRanker


def without_selection(ranker):
    """Clone a ranker for its order: what it would select itself needs no warning in every fold."""
    ranker = clone(ranker)
    return (
        ranker.set_params(n_neurons=None, which="top") if isinstance(ranker, BaseRanker) else ranker
    )


def neuron_order(ranker):
    """Give the columns, best first, in the eyes of a fitted ranker.

    Parameters
    ----------
    ranker : estimator
        With ``order_``, or only with ``scores_`` or ``ranking_``, as scikit-learn's selectors
        have.

    Returns
    -------
    order : ndarray of shape (n_features,)

    Raises
    ------
    ValueError
        If it has none of these.
    """
    if hasattr(ranker, "order_"):
        return ranker.order_
    if hasattr(ranker, "scores_"):
        # A column that a scorer cannot judge, such as a constant one, comes last.
        scores = np.nan_to_num(np.asarray(ranker.scores_, dtype=float), nan=-np.inf)
        return np.argsort(-scores, kind="stable")
    if hasattr(ranker, "ranking_"):
        return np.argsort(ranker.ranking_, kind="stable")
    raise ValueError(
        f"The fitted {type(ranker).__name__} does not rank: it has none of the attributes "
        "'order_', 'scores_' and 'ranking_'. Use a ranker of sklearn_neurox.ranking, or a selector "
        "that scores every column."
    )
