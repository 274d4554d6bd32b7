# SPDX-License-Identifier: BSD-3-Clause
"""How a linear probe of classes reads labels and predicts them."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets

from sklearn_neurox.utils._validation import check_matrix, encode_classes


class ProbeClassifierMixin(ClassifierMixin):
    """Labels and predictions of a probe with one row of coefficients a class, or one for two."""

    def _check_labels(self, X, y):
        """Validate the data of a fit, and encode the labels by ``classes_``."""
        X, y = check_matrix(self, X, y, reset=True, ensure_min_samples=2)
        check_classification_targets(y)
        classes, codes = encode_classes(y, slice(None), caller=type(self).__name__)
        if self.solver == "newton" and len(classes) > 2:
            raise ValueError(
                "solver='newton' takes two classes, because the scores of more are coupled, but "
                f"y has {len(classes)}. Use solver='auto'."
            )
        if not np.array_equal(getattr(self, "classes_", classes), classes):
            # The coefficients of other classes are nothing to begin with.
            self.__dict__.pop("coef_", None)
        self.classes_ = classes
        return X, y, codes

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            One column a class; with two classes the score of the second.
        """
        scores = self._scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
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
        """Compute the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns are as in ``classes_``.
        """
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        return np.column_stack([expit(-scores), expit(scores)])

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the logarithms of the probabilities of the classes.

        They are finite where a probability is too small for a number of its own.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats; columns are as in ``classes_``. Minus infinity for a class without any row of
            positive weight.
        """
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return log_softmax(scores, axis=1)
        return np.column_stack([log_expit(-scores), log_expit(scores)])
