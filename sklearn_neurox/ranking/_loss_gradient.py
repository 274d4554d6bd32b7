# SPDX-License-Identifier: BSD-3-Clause
"""Gradient of the loss of a fitted linear model with respect to its weights."""

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.base import is_classifier

from sklearn_neurox.utils._validation import row_blocks


def loss_gradient(X, residuals, means, deviations):
    """Return the gradient of the mean loss with respect to the weights of standardized columns.

    ``residuals``, of shape (n_samples, n_rows), are prediction minus truth for each row of
    coefficients; the gradient has shape (n_rows, n_features) and is zero where the deviation is.
    """
    gradient = np.zeros((residuals.shape[1], X.shape[1]))
    for block in row_blocks(X):
        gradient += residuals[block].T @ (X[block] - means)
    gradient /= X.shape[0]
    return np.divide(gradient, deviations, out=np.zeros_like(gradient), where=deviations > 0)


def prediction_residuals(estimator, X, y):
    """Return prediction minus truth, of shape (n_samples, n_classes or n_outputs).

    This is the derivative of the loss with respect to the decision function, exact for the
    logistic, multinomial and squared losses. For a classifier without ``predict_proba``,
    probabilities are the sigmoid or softmax of its decision function.
    """
    n_samples = len(y)
    if not is_classifier(estimator):
        return np.reshape(estimator.predict(X), (n_samples, -1)) - y.reshape(n_samples, -1)
    codes = pd.Index(estimator.classes_).get_indexer(y)
    unseen = codes < 0
    if unseen.any():
        name, classes = type(estimator).__name__, np.asarray(estimator.classes_).tolist()
        raise ValueError(
            f"{unseen.sum()} of {n_samples} rows of y have a class that the fitted {name} does not "
            f"know, the first at row {np.argmax(unseen)}: {y[unseen].tolist()[0]!r}. Its classes "
            f"are {classes}. Drop these rows, or fit it on all classes."
        )
    residuals = np.array(_probabilities(estimator, X), dtype=np.float64)
    residuals[np.arange(n_samples), codes] -= 1
    return residuals


def _probabilities(estimator, X):
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    decisions = estimator.decision_function(X)
    if decisions.ndim == 1:
        return np.column_stack([expit(-decisions), expit(decisions)])
    return softmax(decisions, axis=1)
