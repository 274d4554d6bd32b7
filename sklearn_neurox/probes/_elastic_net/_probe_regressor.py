# SPDX-License-Identifier: BSD-3-Clause
"""Targets and predictions of linear regression probes."""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import MultiOutputMixin, RegressorMixin

from sklearn_neurox.probes._elastic_net._targets import center_of, number_targets, scaled_weight
from sklearn_neurox.utils._validation import check_matrix, check_weight


class ProbeRegressorMixin(MultiOutputMixin, RegressorMixin):
    """Mixin for linear regressors with one row of coefficients per output."""

    def _check_numbers(self, X, y, *, reset=True, **check_params):
        """Validate X and y, and return y in float64."""
        X, y = check_matrix(
            self, X, y, reset=reset, squares=True, multi_output=True, **check_params
        )
        try:
            return X, y.astype(np.float64, copy=False)
        except ValueError as error:
            raise ValueError(
                f"{type(self).__name__} predicts numbers, but y contains other values ({error}). "
                "For labels, use ElasticNetProbeClassifier."
            ) from error

    def _read(self, X, y, sample_weight, *, groups=None, min_samples=1):
        """Return valid data, weights, and a function that encodes the targets of some rows."""
        beside = {"groups": groups, "sample_weight": sample_weight}
        options = {"accept_sparse": "csr", "ensure_min_samples": min_samples, "beside": beside}
        X, y = self._check_numbers(X, y, **options)
        weight = check_weight(sample_weight, X)
        # Folds may be solved together, so they must share one center.
        center = center_of(y, scaled_weight(weight), fit_intercept=self.fit_intercept)

        def encode(weight, rows=slice(None), where=""):
            return number_targets(y[rows], scaled_weight(weight, rows), center)

        return X, y, weight, encode

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the target of every row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted targets: float64 if X is float64, otherwise float32.
        """
        scores = self._scores(X)
        return scores[:, 0] if np.ndim(self.coef_) == 1 else scores
