# SPDX-License-Identifier: BSD-3-Clause
"""The losses, with everything that solvers and certificates need from them.

Scores and predictions have one column per row of coefficients. Sample weights have mean one, so a
weighted mean is a sum divided by the number of samples; None stands for equal weights.

With many classes, a table of predictions may be larger than X, so means are computed by blocks.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch.special import entr

from sklearn_neurox.probes.solvers._intercept import newton_intercept
from sklearn_neurox.probes.solvers._row_parts import mean_by_parts, row_parts

# From this many classes on, logsumexp is as fast along rows as along columns.
_LONG_ROW = 32


@dataclass
class Target:
    """Labels or targets as encoded by a loss, with sample weights."""

    y: torch.Tensor
    weight: torch.Tensor | None = None

    def __len__(self):
        return len(self.y)

    def __getitem__(self, rows):
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, y=self.y[rows], weight=weight)

    def to(self, device, dtype):
        """Move to a device and convert floating-point values to a dtype."""
        weight = None if self.weight is None else self.weight.to(device=device, dtype=dtype)
        y = self.y if not self.y.is_floating_point() else self.y.to(dtype)
        return replace(self, y=y.to(device), weight=weight)

    def split(self, n_batches):
        """Split into batches as `torch.tensor_split` does."""
        ys = self.y.tensor_split(n_batches)
        weights = [None] * len(ys) if self.weight is None else self.weight.tensor_split(n_batches)
        return [replace(self, y=y, weight=weight) for y, weight in zip(ys, weights, strict=True)]

    def weigh(self, values):
        """Multiply the rows of values by the weights."""
        return values if self.weight is None else values * self.weight[:, None]

    def mean(self, values):
        """Compute the weighted mean of one value per sample."""
        return values.mean() if self.weight is None else values @ self.weight / len(values)


def _holds_where_weighted(holds, target):
    return bool((holds if target.weight is None else holds | (target.weight == 0)).all())


def _entropy_of_share(shrink, total, entropy):
    """Compute ``sum(entr(shrink * p))`` from the sum and the entropy of ``p``."""
    return shrink * entropy - (shrink * math.log(shrink) if shrink else 0.0) * total


class MultinomialLoss:
    """Softmax cross-entropy of several classes."""

    # Largest eigenvalue of the Hessian of one sample's loss, over all scores.
    curvature = 0.5
    # First step size, relative to the one that the curvature suggests.
    boldness = 2.0
    # Whether the Hessian couples the rows of coefficients.
    is_coupled = True
    # Whether the Hessian is the same everywhere, and for all rows of coefficients.
    is_quadratic = False

    def __init__(self, n_classes):
        self.n_rows = n_classes

    def encode(self, y):
        """Encode class indices for `Target.y`."""
        return y

    def predict(self, scores):
        """Compute the class probabilities."""
        if scores.is_cuda:
            return torch.softmax(scores, dim=1)
        # torch vectorizes the exponentials along columns, but hardly along rows.
        predictions = scores.new_empty(scores.shape)
        for _, part, own in row_parts(scores, predictions):
            own.copy_(torch.softmax(part.T, dim=0).T)
        return predictions

    @mean_by_parts
    def value(self, scores, target):
        """Compute the mean loss."""
        y = target.y
        if self.n_rows < _LONG_ROW and not scores.is_cuda:
            scores, y = scores.T[None], y[None]
        if target.weight is None:
            return torch.nn.functional.cross_entropy(scores, y)
        losses = torch.nn.functional.cross_entropy(scores, y, reduction="none")
        return target.mean(losses.ravel())

    def table_value(self, predictions, target):
        """Compute the mean loss from stored predictions."""
        tiny = torch.finfo(predictions.dtype).tiny
        chosen = predictions.gather(1, target.y[:, None])[:, 0]
        return -target.mean(chosen.clamp_(min=tiny).log_())

    def separates(self, scores, target):
        """Return whether every sample of positive weight has its highest score at its class."""
        right = scores.gather(1, target.y[:, None])
        others = scores.scatter(1, target.y[:, None], -torch.inf)
        return _holds_where_weighted((right > others.amax(1, keepdim=True))[:, 0], target)

    def residual(self, predictions, target):
        """Compute the unweighted gradient of each sample's loss in its scores."""
        minus = predictions.new_full((len(target), 1), -1.0)
        return predictions.clone().scatter_add_(1, target.y[:, None], minus)

    def dual(self, predictions, target):
        """Return a function of ``shrink``: minus the mean conjugate at ``shrink * residual``."""
        wrong = 1 - predictions.gather(1, target.y[:, None])[:, 0]
        entropy, others = 0.0, 0.0
        for share, part, own in row_parts(predictions, target):
            rest = part.scatter(1, own.y[:, None], 0.0)
            others += share * own.mean(rest.sum(1))
            entropy += share * own.mean(entr(rest).sum(1))
        return lambda shrink: (
            _entropy_of_share(shrink, others, entropy)
            + target.mean(entr((1 - shrink * wrong).clamp_(0, 1)))
        )

    def best_intercept(self, scores, target, start):
        """Minimize the mean loss over the intercepts; return the solution of mean zero."""
        intercept = newton_intercept(self, scores, target, start)
        return intercept - intercept.mean()

    def hessian(self, predictions, target):
        """Compute the Hessian in the intercepts, regularized along the constant shift."""
        weighted = target.weigh(predictions)
        hessian = torch.diag(weighted.mean(0)) - predictions.T @ weighted / len(predictions)
        return hessian + 1.0 / self.n_rows


class BinaryLoss:
    """Logistic loss of two classes, with one row of coefficients for the second."""

    curvature = 0.25
    boldness = 2.0
    is_coupled = False
    is_quadratic = False
    n_rows = 1

    def encode(self, y):
        """Encode class indices for `Target.y`."""
        return y[:, None].double()

    def predict(self, scores):
        """Compute the probability of the second class."""
        return torch.sigmoid(scores)

    def value(self, scores, target):
        """Compute the mean loss."""
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, target.y, reduction="none"
        )
        return target.mean(losses[:, 0])

    def table_value(self, predictions, target):
        """Compute the mean loss from stored predictions."""
        tiny = torch.finfo(predictions.dtype).tiny
        right = 1 - (predictions - target.y).abs_()
        return -target.mean(right.clamp_(min=tiny).log_()[:, 0])

    def separates(self, scores, target):
        """Return whether every sample of positive weight has a score of the right sign."""
        return _holds_where_weighted((scores * (target.y - 0.5) > 0)[:, 0], target)

    def residual(self, predictions, target):
        """Compute the unweighted gradient of each sample's loss in its score."""
        return predictions - target.y

    def dual(self, predictions, target):
        """Return a function of ``shrink``: minus the mean conjugate at ``shrink * residual``."""
        wrong = self.residual(predictions, target).abs_()[:, 0]
        others, entropy = target.mean(wrong), target.mean(entr(wrong))
        return lambda shrink: (
            _entropy_of_share(shrink, others, entropy)
            + target.mean(entr((1 - shrink * wrong).clamp_(0, 1)))
        )

    def best_intercept(self, scores, target, start):
        """Minimize the mean loss over the intercept."""
        return newton_intercept(self, scores, target, start)

    def second_derivative(self, predictions):
        """Compute the second derivative of each sample's loss in its score."""
        return predictions * (1 - predictions)

    def hessian(self, predictions, target):
        """Compute the second derivative of the mean loss in the intercept."""
        return target.mean(self.second_derivative(predictions)[:, 0]).reshape(1, 1)


class SquaredLoss:
    """Half the squared error, summed over the outputs."""

    curvature = 1.0
    # Unlike the other losses, this one has its full curvature everywhere.
    boldness = 0.5
    is_coupled = False
    is_quadratic = True

    def __init__(self, n_outputs):
        self.n_rows = n_outputs

    def encode(self, y):
        """Encode targets for `Target.y`."""
        return y.double()

    def predict(self, scores):
        """Return the scores."""
        return scores

    def value(self, scores, target):
        """Compute the mean loss."""
        return target.mean((scores - target.y).square_().sum(1)) / 2

    table_value = value

    def separates(self, scores, target):
        """Return False: least squares always has an optimum."""
        return False

    def residual(self, predictions, target):
        """Compute the unweighted gradient of each sample's loss in its scores."""
        return predictions - target.y

    def dual(self, predictions, target):
        """Return a function of ``shrink``: minus the mean conjugate at ``shrink * residual``."""
        residual = self.residual(predictions, target)
        squares = target.mean(residual.square().sum(1))
        products = target.mean((residual * target.y).sum(1))
        return lambda shrink: -shrink * (shrink * squares / 2 + products)

    def best_intercept(self, scores, target, start):
        """Return the mean residual, which is the optimal intercept."""
        return target.weigh(target.y - scores).mean(0)

    def second_derivative(self, predictions):
        """Return the second derivatives, which are one."""
        return torch.ones_like(predictions[:, :1])
