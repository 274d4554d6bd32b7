# SPDX-License-Identifier: BSD-3-Clause
"""Gradient of the loss of a fitted linear model with respect to its weights."""

import numpy as np
from scipy.sparse import issparse
from scipy.special import expit, softmax
from sklearn.base import is_classifier

# Private and without a public counterpart; it takes rows of arrays, lists and frames.
from sklearn.utils import _safe_indexing as take_rows

from sklearn_neurox.utils._labels import class_codes
from sklearn_neurox.utils._row_blocks import row_blocks

# Linear models of scikit-learn upcast single precision as a whole, so that they get parts of X.
_BLOCK_BYTES = 32_000_000


def loss_gradient(X, residuals, means, deviations):
    """Return the gradient of the mean loss with respect to the weights of standardized columns.

    ``residuals``, of shape (n_samples, n_rows), are prediction minus truth for each row of
    coefficients; the gradient has shape (n_rows, n_features) and is zero where the deviation is.
    """
    if issparse(X):
        gradient = residuals.T @ X - np.outer(residuals.sum(axis=0), means)
    else:
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
        predicted = _by_blocks(estimator.predict, X)
        return predicted.reshape(n_samples, -1) - y.reshape(n_samples, -1)
    codes = class_codes(y, estimator.classes_)
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
        return _by_blocks(estimator.predict_proba, X)
    decisions = _by_blocks(estimator.decision_function, X)
    if decisions.ndim == 1:
        return np.column_stack([expit(-decisions), expit(decisions)])
    return softmax(decisions, axis=1)


def _by_blocks(method, X):
    """Call a method of an estimator on blocks of rows, and join the results."""
    if issparse(X):
        return np.asarray(method(X))
    n_samples, n_features = np.shape(X)
    rows = max(1, _BLOCK_BYTES // (8 * n_features))
    parts = (slice(start, start + rows) for start in range(0, n_samples, rows))
    return np.concatenate([np.asarray(method(take_rows(X, part))) for part in parts])
