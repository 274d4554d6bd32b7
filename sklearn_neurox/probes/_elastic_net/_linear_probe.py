# SPDX-License-Identifier: BSD-3-Clause
"""Code shared by the linear probes."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._validation import check_matrix


class LinearProbeMixin:
    """Mixin for probes whose ``coef_`` and ``intercept_`` are found by a certified solver."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self):
        # An interrupted fit may have set the classes only.
        return hasattr(self, "coef_")

    def _start(self, problem):
        """Return the previous solution as a starting point; None if unwanted or unusable."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        coef = np.atleast_2d(self.coef_)
        intercept = np.atleast_1d(self.intercept_)
        if coef.shape != problem.shape or not np.isfinite(intercept).all():
            return None
        return problem.estimate(*problem.design.from_input_units(coef, intercept))

    def _scores(self, X):
        """Compute the linear scores, of shape (n_samples, n_rows of coefficients).

        The sums are in float64, because columns far from zero contribute terms that are much larger
        than the scores.
        """
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False, accept_sparse="csr")
        dtype = np.result_type(X.dtype, np.float32)
        coef = np.atleast_2d(self.coef_).T.astype(np.float64)
        intercept = np.atleast_1d(self.intercept_).astype(np.float64)
        if issparse(X):
            return (X @ coef + intercept).astype(dtype, copy=False)
        scores = np.empty((len(X), len(intercept)), dtype=dtype)
        for block in row_blocks(X):
            scores[block] = X[block].astype(np.float64, copy=False) @ coef + intercept
        return scores
