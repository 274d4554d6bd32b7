# SPDX-License-Identifier: BSD-3-Clause
"""The losses of the search: values, residuals, curvatures and conjugates, with free intercepts.

Scores have one column per output: one for two classes, one per class for more, and one per target.
Means over rows are weighted by ``shares``, which add up to one, and residuals contain the shares.
"""

import numpy as np
from scipy.special import entr, expit

_NEWTON_STEPS, _DAMPING, _DONE = 50, 1e-14, 1e-13


class _Classes:
    """What the losses of classes share: their intercepts are found by Newton's method."""

    # Whether one Newton step finds the minimum.
    is_quadratic = False

    def best_intercept(self, scores, start):
        """Minimize the loss over the intercepts, so that the residuals of each output sum to 0."""
        intercept, value = start.copy(), self.value(scores + start)
        for _ in range(_NEWTON_STEPS):
            predictions = self.predict(scores + intercept)
            gradient = self.residual(predictions).sum(axis=0)
            hessian = self._intercept_hessian(predictions)
            # With saturated predictions, nothing but this is left of the diagonal.
            hessian[np.diag_indices_from(hessian)] += _DAMPING
            step = np.linalg.solve(hessian, gradient)
            if gradient @ step < _DONE:
                # Newton's method squares the error, so that this step leaves only rounding.
                return intercept - step
            size = 1.0
            while (new := self.value(scores + intercept - size * step)) > value:
                size /= 2
                if size < 1e-9:
                    return intercept
            intercept, value = intercept - size * step, new
        return intercept


class BinaryLoss(_Classes):
    """Logistic loss of two classes, with one score for the second.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        0 or 1.

    shares : ndarray of shape (n_samples,)
    """

    n_outputs = 1
    # Whether the curvature that `curvature` returns is that of the loss.
    is_exact = True

    def __init__(self, codes, shares):
        self.target = codes[:, np.newaxis].astype(np.float64)
        self.shares = shares

    def predict(self, scores):
        """Compute the probability of the second class."""
        return expit(scores)

    def value(self, scores):
        """Compute the mean loss."""
        return self.shares @ (np.logaddexp(0, scores) - self.target * scores)[:, 0]

    def residual(self, predictions):
        """Compute the gradient of the mean loss in the scores."""
        return self.shares[:, np.newaxis] * (predictions - self.target)

    def curvature(self, predictions):
        """Compute the second derivative of the mean loss in each score."""
        return self.shares * (predictions * (1 - predictions))[:, 0]

    def minus_conjugate(self, predictions):
        """Compute minus the mean conjugate at the residual of the predictions."""
        return self.shares @ (entr(predictions) + entr(1 - predictions))[:, 0]

    def _intercept_hessian(self, predictions):
        return self.curvature(predictions).sum().reshape(1, 1)


class MultinomialLoss(_Classes):
    """Softmax cross-entropy of several classes, with one score per class."""

    is_exact = False

    def __init__(self, codes, shares):
        self.n_outputs = int(codes.max()) + 1
        self.target = codes[:, np.newaxis]
        self.shares = shares

    def predict(self, scores):
        """Compute the class probabilities."""
        return self._softmax(scores)[0]

    def value(self, scores):
        """Compute the mean loss."""
        return self.predict_and_value(scores)[1]

    def predict_and_value(self, scores):
        """Compute both at the price of one."""
        predictions, normalizers = self._softmax(scores)
        own = np.take_along_axis(scores, self.target, axis=1)[:, 0]
        return predictions, self.shares @ (normalizers - own)

    def _softmax(self, scores):
        largest = scores.max(axis=1, keepdims=True)
        predictions = np.exp(scores - largest)
        total = predictions.sum(axis=1, keepdims=True)
        predictions /= total
        return predictions, (largest + np.log(total))[:, 0]

    def residual(self, predictions):
        """Compute the gradient of the mean loss in the scores."""
        residual = predictions.copy()
        own = np.take_along_axis(residual, self.target, axis=1) - 1
        np.put_along_axis(residual, self.target, own, axis=1)
        return residual * self.shares[:, np.newaxis]

    def curvature(self, predictions):
        """Approximate the Hessian of each row by a multiple of the centering matrix.

        The trace is that of the Hessian. Unlike the Hessian, this couples no two classes.
        """
        spread = 1 - np.square(predictions).sum(axis=1)
        return self.shares * spread / (self.n_outputs - 1)

    def minus_conjugate(self, predictions):
        """Compute minus the mean conjugate at the residual of the predictions."""
        return self.shares @ entr(predictions).sum(axis=1)

    def _intercept_hessian(self, predictions):
        weighted = predictions * self.shares[:, np.newaxis]
        # Adding the same number to all intercepts changes nothing.
        return np.diag(weighted.sum(axis=0)) - predictions.T @ weighted + 1 / self.n_outputs


class SquaredLoss:
    """Half of the squared error, summed over the targets."""

    is_exact = True
    is_quadratic = True

    def __init__(self, targets, shares):
        target = np.asarray(targets, dtype=np.float64).reshape(len(targets), -1)
        # The intercept is free, so centering the targets does not change the loss. It keeps a large
        # mean from being penalized by the term that makes the Hessian of the intercept regular.
        # Subtracting one of the targets first makes constant targets exactly zero.
        target = target - target[shares.argmax()]
        self.target = target - shares @ target
        self.n_outputs = self.target.shape[1]
        self.shares = shares

    def predict(self, scores):
        """Return the scores."""
        return scores

    def value(self, scores):
        """Compute the mean loss."""
        return self.shares @ np.square(scores - self.target).sum(axis=1) / 2

    def residual(self, predictions):
        """Compute the gradient of the mean loss in the scores."""
        return self.shares[:, np.newaxis] * (predictions - self.target)

    def curvature(self, predictions):
        """Return the second derivative of the mean loss in each score."""
        return self.shares

    def minus_conjugate(self, predictions):
        """Compute minus the mean conjugate at the residual of the predictions."""
        error = predictions - self.target
        return -self.shares @ (np.square(error) / 2 + error * self.target).sum(axis=1)

    def best_intercept(self, scores, start):
        """Minimize the loss over the intercepts, so that the residuals of each output sum to 0."""
        return self.shares @ (self.target - scores)
