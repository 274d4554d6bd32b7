# SPDX-License-Identifier: BSD-3-Clause
"""The neuron order of any fitted ranker or scikit-learn selector."""

import numpy as np
from sklearn.base import clone

from sklearn_neurox.ranking._base import BaseRanker


def without_selection(ranker):
    """Clone a ranker to use only its order, so that its own selection raises no warnings."""
    ranker = clone(ranker)
    return (
        ranker.set_params(n_neurons=None, which="top") if isinstance(ranker, BaseRanker) else ranker
    )


def neuron_order(ranker):
    """Return the columns, best first, from ``order_``, ``scores_`` or ``ranking_``."""
    if hasattr(ranker, "order_"):
        return ranker.order_
    if hasattr(ranker, "scores_"):
        # Undefined scores, such as those of constant columns, rank last.
        scores = np.nan_to_num(np.asarray(ranker.scores_, dtype=float), nan=-np.inf)
        return np.argsort(-scores, kind="stable")
    if hasattr(ranker, "ranking_"):
        return np.argsort(ranker.ranking_, kind="stable")
    probe = ""
    if hasattr(ranker, "coef_"):
        probe = " To rank by the weights of this probe, use LCARanker(FrozenEstimator(probe))."
    raise ValueError(
        f"The fitted {type(ranker).__name__} does not rank neurons: it has none of the attributes "
        "'order_', 'scores_' and 'ranking_'. Use a ranker from sklearn_neurox.ranking, or a "
        f"selector that scores each column.{probe}"
    )
