# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._sparse import refuse_sparse
from sklearn_neurox.utils._validation import check_matrix


class BaseNeuronSelector(DocLinkMixin, SelectorMixin, BaseEstimator):
    """Base class for selectors, which keep some columns of an activation matrix.

    It extends `sklearn.feature_selection.SelectorMixin` so that ``transform`` preserves half
    precision and accepts memory-mapped matrices without a copy.
    """

    # An attribute that `fit` sets near its end; an interrupted fit lacks it.
    _set_by_fit: str

    # Why X must be dense; None if CSR matrices are taken and never made dense.
    _why_dense: str | None = None

    def __sklearn_is_fitted__(self):
        return hasattr(self, self._set_by_fit)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        tags.input_tags.sparse = self._why_dense is None
        return tags

    def _check(self, X, *args, **options):
        """Validate X, which may be sparse if this selector takes sparse matrices."""
        if self._why_dense is not None:
            refuse_sparse(X, self._why_dense, caller=type(self).__name__)
        accepted = False if self._why_dense is not None else "csr"
        return check_matrix(self, X, *args, accept_sparse=accepted, **options)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Reduce X to the selected neurons.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        X_selected : ndarray or CSR matrix of shape (n_samples, n_selected)
            The selected columns, in the order and dtype of X.
        """
        check_is_fitted(self)
        return self._transform(self._check(X, reset=False))
