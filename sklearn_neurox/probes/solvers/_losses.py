# SPDX-License-Identifier: BSD-3-Clause
"""The losses: what a solver and a certificate need to know of them.

Scores and predictions have one column a row of coefficients. Sample weights average one, so that
a weighted mean is a sum divided by the number of samples; None stands for equal weights.
"""

from dataclasses import dataclass, replace

import torch
from torch.special import entr

from sklearn_neurox.probes.solvers._intercept import newton_intercept

# From so many classes on, a logarithm of a sum is as fast along rows as along columns.
_LONG_ROW = 32


@dataclass
class Target:
    """Labels or targets of some samples, as a loss encoded them, and the samples' weights."""

    y: torch.Tensor
    weight: torch.Tensor | None = None

    def __len__(self):
        return len(self.y)

    def __getitem__(self, rows):
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, y=self.y[rows], weight=weight)

    def to(self, device, dtype):
        """Return the same target elsewhere, in another precision where it is not of indices."""
        weight = None if self.weight is None else self.weight.to(device=device, dtype=dtype)
        y = self.y if not self.y.is_floating_point() else self.y.to(dtype)
        return replace(self, y=y.to(device), weight=weight)

    def split(self, n_batches):
        """Cut into batches as `torch.tensor_split` does."""
        ys = self.y.tensor_split(n_batches)
        weights = [None] * len(ys) if self.weight is None else self.weight.tensor_split(n_batches)
        return [replace(self, y=y, weight=weight) for y, weight in zip(ys, weights, strict=True)]

    def weigh(self, values):
        """Multiply the rows of values by the weights."""
        return values if self.weight is None else values * self.weight[:, None]

    def mean(self, values):
        """Weighted mean of one value a sample."""
        return values.mean() if self.weight is None else values @ self.weight / len(values)


def _holds_where_weighed(holds, target):
    return bool((holds if target.weight is None else holds | (target.weight == 0)).all())


class MultinomialLoss:
    """Softmax cross-entropy of several classes."""

    # The largest eigenvalue of the Hessian of one sample's loss, over all scores.
    curvature = 0.5
    # The first step, in units of what the curvature suggests.
    boldness = 2.0
    # Whether the Hessian couples the rows of coefficients.
    is_coupled = True

    def __init__(self, n_classes):
        self.n_rows = n_classes

    def encode(self, y):
        """Turn class indices into what the other methods find in a target."""
        return y

    def predict(self, scores):
        """Probabilities of the classes."""
        if scores.is_cuda:
            return torch.softmax(scores, dim=1)
        # Along rows torch computes one exponential at a time or few; along columns, many.
        return torch.softmax(scores.T, dim=0).T.contiguous()

    def value(self, scores, target):
        """Mean loss."""
        y = target.y
        if self.n_rows < _LONG_ROW and not scores.is_cuda:
            scores, y = scores.T[None], y[None]
        if target.weight is None:
            return torch.nn.functional.cross_entropy(scores, y)
        losses = torch.nn.functional.cross_entropy(scores, y, reduction="none")
        return target.mean(losses.ravel())

    def table_value(self, predictions, target):
        """Mean loss of predictions that were kept."""
        tiny = torch.finfo(predictions.dtype).tiny
        chosen = predictions.gather(1, target.y[:, None])[:, 0]
        return -target.mean(chosen.clamp_(min=tiny).log_())

    def separates(self, scores, target):
        """Tell whether the scores of every sample that counts are highest for its class."""
        right = scores.gather(1, target.y[:, None])
        others = scores.scatter(1, target.y[:, None], -torch.inf)
        return _holds_where_weighed((right > others.amax(1, keepdim=True))[:, 0], target)

    def residual(self, predictions, target):
        """Gradient of each sample's loss in its scores, not weighted."""
        minus = predictions.new_full((len(target), 1), -1.0)
        return predictions.clone().scatter_add_(1, target.y[:, None], minus)

    def dual(self, residual, target, shrink):
        """Minus the mean conjugate of the loss at ``shrink * residual``."""
        one = residual.new_ones(len(target), 1)
        mixture = (residual * shrink).scatter_add_(1, target.y[:, None], one)
        return target.mean(entr(mixture.clamp_(0, 1)).sum(1))

    def best_intercept(self, scores, target, start):
        """Minimise the mean loss over the intercepts; of equivalent ones take those of mean 0."""
        intercept = newton_intercept(self, scores, target, start)
        return intercept - intercept.mean()

    def hessian(self, predictions, target):
        """Hessian of the mean loss in the intercepts, made regular along the constant shift."""
        weighted = target.weigh(predictions)
        hessian = torch.diag(weighted.mean(0)) - predictions.T @ weighted / len(predictions)
        return hessian + 1.0 / self.n_rows


class BinaryLoss:
    """Logistic loss of two classes, with one row of coefficients for the second."""

    curvature = 0.25
    boldness = 2.0
    is_coupled = False
    n_rows = 1

    def encode(self, y):
        """Turn class indices into what the other methods find in a target."""
        return y[:, None].double()

    def predict(self, scores):
        """Probabilities of the second class."""
        return torch.sigmoid(scores)

    def value(self, scores, target):
        """Mean loss."""
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, target.y, reduction="none"
        )
        return target.mean(losses[:, 0])

    def table_value(self, predictions, target):
        """Mean loss of predictions that were kept."""
        tiny = torch.finfo(predictions.dtype).tiny
        right = 1 - (predictions - target.y).abs_()
        return -target.mean(right.clamp_(min=tiny).log_()[:, 0])

    def separates(self, scores, target):
        """Tell whether the score of every sample that counts has the sign of its class."""
        return _holds_where_weighed((scores * (target.y - 0.5) > 0)[:, 0], target)

    def residual(self, predictions, target):
        """Gradient of each sample's loss in its score, not weighted."""
        return predictions - target.y

    def dual(self, residual, target, shrink):
        """Minus the mean conjugate of the loss at ``shrink * residual``."""
        mixture = (residual * shrink).abs_().clamp_(0, 1)
        return target.mean((entr(mixture) + entr(1 - mixture))[:, 0])

    def best_intercept(self, scores, target, start):
        """Minimise the mean loss over the intercept."""
        return newton_intercept(self, scores, target, start)

    def second_derivative(self, predictions):
        """Second derivative of each sample's loss in its score."""
        return predictions * (1 - predictions)

    def hessian(self, predictions, target):
        """Second derivative of the mean loss in the intercept."""
        return target.mean(self.second_derivative(predictions)[:, 0]).reshape(1, 1)


class SquaredLoss:
    """Half the squared error, summed over the outputs."""

    curvature = 1.0
    # The curvature is that everywhere.
    boldness = 0.5
    is_coupled = False

    def __init__(self, n_outputs):
        self.n_rows = n_outputs

    def encode(self, y):
        """Turn targets into what the other methods find in a target."""
        return y.double()

    def predict(self, scores):
        """Return the scores, which are the predictions."""
        return scores

    def value(self, scores, target):
        """Mean loss."""
        return target.mean((scores - target.y).square_().sum(1)) / 2

    table_value = value

    def separates(self, scores, target):
        """Return False: least squares always have an optimum."""
        return False

    def residual(self, predictions, target):
        """Gradient of each sample's loss in its scores, not weighted."""
        return predictions - target.y

    def dual(self, residual, target, shrink):
        """Minus the mean conjugate of the loss at ``shrink * residual``."""
        shrunk = residual * shrink
        return -target.mean((shrunk.square() / 2 + shrunk * target.y).sum(1))

    def best_intercept(self, scores, target, start):
        """Return the mean residual, which is the best intercept."""
        return target.weigh(target.y - scores).mean(0)

    def second_derivative(self, predictions):
        """Second derivative of each sample's loss in each score."""
        return torch.ones_like(predictions[:, :1])
