# SPDX-License-Identifier: BSD-3-Clause
"""The classification losses: what a solver and a certificate need to know of them.

Scores and probabilities have one column per coefficient row, ``y`` is what `encode` made.
"""

import torch
from torch.special import entr


class MultinomialLoss:
    """Softmax cross-entropy over three or more classes."""

    # The largest eigenvalue of the Hessian of one sample's loss, over all scores.
    curvature = 0.5

    def __init__(self, n_classes):
        self.n_rows = n_classes

    def encode(self, y, dtype):
        """Turn class indices into what the other methods take as ``y``."""
        return y

    def probabilities(self, scores):
        """Probabilities of the classes."""
        return torch.softmax(scores, dim=1)

    def value(self, scores, y):
        """Mean loss."""
        return torch.nn.functional.cross_entropy(scores, y)

    def table_value(self, probabilities, y):
        """Mean loss of probabilities that were kept."""
        return -probabilities.gather(1, y[:, None]).log_().mean()

    def residual(self, probabilities, y):
        """Gradient of each sample's loss in its scores."""
        return probabilities.clone().scatter_add_(
            1, y[:, None], probabilities.new_full((len(y), 1), -1.0)
        )

    def entropy(self, residual, y, shrink):
        """Minus the mean conjugate of the loss at ``shrink * residual``."""
        mixture = (residual * shrink).scatter_add_(1, y[:, None], residual.new_ones(len(y), 1))
        return entr(mixture.clamp_(0, 1)).sum() / len(y)

    def hessian(self, probabilities):
        """Hessian of the mean loss in the intercepts, made regular along the constant shift."""
        mean = probabilities.mean(0)
        hessian = torch.diag(mean) - probabilities.T @ probabilities / len(probabilities)
        return hessian + 1.0 / len(mean)

    def centre(self, intercept):
        """Choose among equivalent intercepts the one that sums to zero."""
        return intercept - intercept.mean()


class BinaryLoss:
    """Logistic loss of two classes, with one row of coefficients for the second."""

    curvature = 0.25
    n_rows = 1

    def encode(self, y, dtype):
        """Turn class indices into what the other methods take as ``y``."""
        return y[:, None].to(dtype)

    def probabilities(self, scores):
        """Probabilities of the second class."""
        return torch.sigmoid(scores)

    def value(self, scores, y):
        """Mean loss."""
        return torch.nn.functional.binary_cross_entropy_with_logits(scores, y)

    def table_value(self, probabilities, y):
        """Mean loss of probabilities that were kept."""
        return -(1 - (probabilities - y).abs_()).log_().mean()

    def residual(self, probabilities, y):
        """Gradient of each sample's loss in its score."""
        return probabilities - y

    def entropy(self, residual, y, shrink):
        """Minus the mean conjugate of the loss at ``shrink * residual``."""
        mixture = (residual * shrink).abs_().clamp_(0, 1)
        return (entr(mixture) + entr(1 - mixture)).sum() / len(y)

    def hessian(self, probabilities):
        """Second derivative of the mean loss in the intercept."""
        return (probabilities * (1 - probabilities)).mean().reshape(1, 1)

    def centre(self, intercept):
        """Return the intercept, which two classes leave no choice about."""
        return intercept
