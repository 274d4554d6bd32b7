# SPDX-License-Identifier: BSD-3-Clause
"""How strongly the loss of a fitted linear model pulls at each of its weights."""

import numpy as np
import pandas as pd
from scipy.special import expit, softmax
from sklearn.base import is_classifier

from sklearn_neurox.utils._validation import row_blocks


def loss_gradient(X, residuals, means, deviations):
    """Gradient of the mean loss by the weights of standardised columns.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    residuals : ndarray of shape (n_samples, n_rows)
        Prediction minus truth for every row of the coefficients.

    means, deviations : ndarray of shape (n_features,)
        What the columns are centred and divided by; a deviation of zero gives a gradient of zero.

    Returns
    -------
    gradient : ndarray of shape (n_rows, n_features)
    """
    gradient = np.zeros((residuals.shape[1], X.shape[1]))
    for block in row_blocks(X):
        gradient += residuals[block].T @ (X[block] - means)
    gradient /= X.shape[0]
    return np.divide(gradient, deviations, out=np.zeros_like(gradient), where=deviations > 0)


def prediction_residuals(estimator, X, y):
    """Prediction minus truth, the derivative of the loss by the decision function.

    Parameters
    ----------
    estimator : estimator instance
        A fitted linear model.

    X : array-like of shape (n_samples, n_features)

    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

    Returns
    -------
    residuals : ndarray of shape (n_samples, n_classes or n_outputs)
        Exact for the logistic, multinomial and squared losses. For a classifier without
        ``predict_proba``, probabilities come from the sigmoid or softmax of its decisions.

    Raises
    ------
    ValueError
        If y has a class that the estimator has not seen.
    """
    n_samples = len(y)
    if not is_classifier(estimator):
        return np.reshape(estimator.predict(X), (n_samples, -1)) - y.reshape(n_samples, -1)
    codes = pd.Index(estimator.classes_).get_indexer(y)
    unseen = codes < 0
    if unseen.any():
        name, classes = type(estimator).__name__, np.asarray(estimator.classes_).tolist()
        raise ValueError(
            f"y has the class {y[unseen].tolist()[0]!r} in {unseen.sum()} of {n_samples} rows, "
            f"the first at row {np.argmax(unseen)}, but the fitted {name} knows only {classes}. "
            "Leave these rows out, or fit it on all classes."
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
