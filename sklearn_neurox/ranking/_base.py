# SPDX-License-Identifier: BSD-3-Clause
from abc import abstractmethod

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, count_neurons
from sklearn_neurox.utils._names import parse_neuron_names


class BaseRanker(BaseNeuronSelector):
    """Base class for rankers, which turns scores into ranks, a support mask and a table.

    A subclass computes scores in ``fit`` and passes them to ``_set_ranking``.

    Parameters
    ----------
    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        Score of each neuron; a higher score means that the neuron matters more.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.
    """

    _parameter_constraints: dict = {
        "n_neurons": COUNT_CONSTRAINTS,
        "which": [StrOptions({"top", "bottom"})],
    }

    _set_by_fit = "ranks_"
    # Rankers that require labels set this to True.
    _needs_labels = False

    def __init__(self, *, n_neurons: int | float | None = None, which: str = "top"):
        self.n_neurons = n_neurons
        self.which = which

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self._needs_labels
        return tags

    @abstractmethod
    def fit(self, X: ArrayLike, y: ArrayLike | None = None):
        """Rank the columns of X."""

    def _check_fit_input(self, X, y="no_validation", **check_params):
        checked = self._check(X, y, reset=True, **check_params)
        self._n_selected()
        return checked

    def _n_selected(self):
        return count_neurons(self.n_neurons, self.n_features_in_, caller=type(self).__name__)

    def _set_ranking(self, scores, tie_breakers=(), *, class_scores=None, class_tie_breakers=()):
        # The sort is stable, so position decides only after all tie breakers.
        self.scores_ = scores
        self.order_ = _descending_order(scores, *tie_breakers)
        self.ranks_ = np.empty_like(self.order_)
        self.ranks_[self.order_] = np.arange(1, len(self.order_) + 1)
        if class_scores is not None:
            self.class_scores_ = class_scores
            self.class_order_ = _descending_order(class_scores, *class_tie_breakers)

    def _forget_classes(self):
        """Remove class attributes that an earlier fit left behind."""
        for attribute in ("classes_", "class_scores_", "class_order_", "rare_classes_"):
            vars(self).pop(attribute, None)

    def _get_support_mask(self):
        check_is_fitted(self)
        n_selected = self._n_selected()
        ranked_out = self.ranks_ > n_selected
        if self.which == "bottom":
            ranked_out = self.ranks_ <= self.n_features_in_ - n_selected
        return ~ranked_out

    def to_frame(
        self, input_features: ArrayLike | None = None, *, label: object = None
    ) -> pd.DataFrame:
        """Return the ranking as a DataFrame, best neuron first.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns. None uses ``feature_names_in_`` if defined, and otherwise
            ``x0``, ``x1``, ...

        label : object, default=None
            Class whose ranking to return (``class_order_``). None returns the ranking over all
            classes (``order_``).

        Returns
        -------
        frame : DataFrame of shape (n_features_in_, 5 or 5 + n_classes)
            One row per neuron, indexed by its column in X. Columns ``neuron``, ``layer`` and
            ``unit`` (missing if the name does not contain them), ``score``, ``rank``, and for
            classification one ``score_<class>`` per class. With ``label``, ``score`` and ``rank``
            are those for that class, and there are no ``score_<class>`` columns.

        Raises
        ------
        ValueError
            If ``label`` is not one of the classes, or if there are no class scores because the
            ranker was fitted to numeric targets or without labels.
        """
        check_is_fitted(self)
        row = None if label is None else self._row_of(label)
        # Private, but scikit-learn has no public function that checks input_features.
        names = _check_feature_names_in(self, input_features)
        frame = parse_neuron_names(names)[["neuron", "layer", "unit"]]
        if row is not None:
            order = self.class_order_[row]
            frame = frame.assign(score=self.class_scores_[row]).rename_axis("column").iloc[order]
            return frame.assign(rank=np.arange(1, len(order) + 1))
        frame = frame.assign(score=self.scores_, rank=self.ranks_)
        if hasattr(self, "class_scores_"):
            columns = [f"score_{label}" for label in self.classes_]
            frame = frame.join(pd.DataFrame(self.class_scores_.T, columns=columns))
        return frame.rename_axis("column").iloc[self.order_]

    def _row_of(self, label):
        caller = f"{type(self).__name__}.to_frame"
        if not hasattr(self, "class_scores_"):
            raise ValueError(
                f"The 'label' parameter of {caller} selects the ranking for one class, but this "
                f"{type(self).__name__} has no class scores: it was fitted to numeric targets, or "
                "it ranks for all classes at once. Use label=None."
            )
        classes = self.classes_.tolist()
        if label not in classes:
            raise ValueError(
                f"The 'label' parameter of {caller} must be one of {classes}, got {label!r}."
            )
        return classes.index(label)


def _descending_order(*keys):
    return np.lexsort([-key for key in reversed(keys)], axis=-1)
