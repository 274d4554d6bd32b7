# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._validation import check_matrix


class BaseNeuronSelector(SelectorMixin, BaseEstimator):
    """Base class for selectors, which keep some columns of an activation matrix.

    It extends `sklearn.feature_selection.SelectorMixin` so that ``transform`` preserves half
    precision and accepts memory-mapped matrices without a copy.
    """

    # An attribute that `fit` sets near its end; an interrupted fit lacks it.
    _set_by_fit: str

    def __sklearn_is_fitted__(self):
        return hasattr(self, self._set_by_fit)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Reduce X to the selected neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        X_selected : ndarray of shape (n_samples, n_selected)
            The selected columns, in the order and dtype of X.
        """
        check_is_fitted(self)
        return self._transform(check_matrix(self, X, reset=False))
