# SPDX-License-Identifier: BSD-3-Clause
from copy import deepcopy

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss

from sklearn_neurox.ranking._loss_gradient import loss_gradient, prediction_residuals


def _planted(n_classes, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(120, 4) * [1, 5, 0.2, 1] + [0, 3, 1, 0]
    return X, (X @ rng.randn(4, n_classes) + rng.gumbel(size=(120, n_classes))).argmax(axis=1)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_is_the_derivative_of_the_mean_log_loss(n_classes):
    X, y = _planted(n_classes)
    model = LogisticRegression(C=0.01).fit(X, y)
    residuals = prediction_residuals(model, X, y)
    gradient = loss_gradient(X, residuals, np.zeros(4), np.ones(4))
    if n_classes == 2:
        np.testing.assert_allclose(gradient[0], -gradient[1])
        gradient = gradient[1:]
    step = 1e-6
    for row, column in np.ndindex(*model.coef_.shape):
        losses = []
        for sign in (-1, 1):
            moved = deepcopy(model)
            moved.coef_[row, column] += sign * step
            losses.append(log_loss(y, moved.predict_proba(X)))
        difference = (losses[1] - losses[0]) / (2 * step)
        np.testing.assert_allclose(gradient[row, column], difference, atol=1e-7)


def test_standardized_equals_the_plain_gradient_of_standardized_columns():
    X, y = _planted(3)
    residuals = np.random.RandomState(1).randn(len(X), 3)
    means, deviations = X.mean(axis=0), X.std(axis=0)
    Z = (X - means) / deviations
    np.testing.assert_allclose(
        loss_gradient(X, residuals, means, deviations), residuals.T @ Z / len(X), atol=1e-14
    )


def test_constant_column_has_no_gradient():
    X, y = _planted(3)
    gradient = loss_gradient(X, np.ones((len(X), 1)), np.zeros(4), np.array([1.0, 0, 1, 1]))
    assert gradient[0, 1] == 0


def test_regression_and_decision_function_residuals():
    X, y = _planted(3)
    targets = X[:, :2] + 1.0
    model = LinearRegression().fit(X[:60], targets[:60])
    np.testing.assert_allclose(prediction_residuals(model, X, targets), 0, atol=1e-12)
    for n_classes in (2, 3):
        X, y = _planted(n_classes)
        residuals = prediction_residuals(RidgeClassifier().fit(X, y), X, y)
        assert residuals.shape == (len(X), n_classes)
        np.testing.assert_allclose(residuals.sum(axis=1), 0, atol=1e-12)
        assert (residuals[np.arange(len(X)), y] < 0).all()


def test_unseen_class_is_an_error():
    X, y = _planted(2)
    model = LogisticRegression().fit(X, np.array(["a", "b"])[y])
    labels = np.array(["a"] * len(X), dtype=object)
    labels[7] = "c"
    with pytest.raises(ValueError, match=r"1 of 120 rows .* the first at row 7: 'c'"):
        prediction_residuals(model, X, labels)
