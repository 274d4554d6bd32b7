# SPDX-License-Identifier: BSD-3-Clause
"""Labels and predictions of linear classification probes."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin

from sklearn_neurox.probes._elastic_net._targets import class_targets, scaled_weight
from sklearn_neurox.utils._labels import check_class_labels, encode_classes
from sklearn_neurox.utils._validation import check_matrix, check_weight


class ProbeClassifierMixin(ClassifierMixin):
    """Mixin for linear classifiers with a row of coefficients per class, or one for two classes."""

    def _check_labels(self, X, y, beside):
        """Validate X and y, set ``classes_``, and encode the labels."""
        options = {"beside": beside, "accept_sparse": "csr", "ensure_min_samples": 2}
        X, y = check_matrix(self, X, y, reset=True, squares=True, **options)
        check_class_labels(y)
        classes, codes = encode_classes(y, slice(None), caller=type(self).__name__)
        if getattr(self, "solver", None) == "newton" and len(classes) > 2:
            raise ValueError(
                "solver='newton' supports only two classes, because the scores of more classes are "
                f"coupled, but y has {len(classes)}. Use solver='auto'."
            )
        if not np.array_equal(getattr(self, "classes_", classes), classes):
            # A warm start from the coefficients of other classes makes no sense.
            self.__dict__.pop("coef_", None)
        self.classes_ = classes
        return X, y, codes

    def _read(self, X, y, sample_weight, *, groups=None, min_samples=2):
        """Return valid data, weights, and a function that encodes the targets of some rows."""
        beside = {"groups": groups, "sample_weight": sample_weight}
        X, y, codes = self._check_labels(X, y, beside)

        def encode(weight, rows=slice(None), where=""):
            return class_targets(
                codes[rows],
                self.classes_,
                class_weight=self.class_weight,
                sample_weight=scaled_weight(weight, rows),
                where=where,
            )

        return X, y, check_weight(sample_weight, X), encode

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the score of every class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            One column per class, as in ``classes_``; with two classes, the score of the second.
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _log_odds(self, X):
        """Compute the scores that are log-odds, up to a constant per row for several classes."""
        return self.decision_function(X)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.
        """
        scores = self.decision_function(X)
        best = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the probability of every class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns follow ``classes_``.
        """
        scores = self._log_odds(X)
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        return np.column_stack([expit(-scores), expit(scores)])

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-probability of every class.

        The values stay finite where the probability itself would underflow to zero.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats; columns follow ``classes_``. Minus infinity for a class without any training
            row of positive weight.
        """
        scores = self._log_odds(X)
        if scores.ndim == 2:
            return log_softmax(scores, axis=1)
        return np.column_stack([log_expit(-scores), log_expit(scores)])
