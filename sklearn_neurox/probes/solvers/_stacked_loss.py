# SPDX-License-Identifier: BSD-3-Clause
"""Several problems on one matrix, solved as one whose passes over the data serve them all."""

from dataclasses import dataclass

import torch

from sklearn_neurox.probes.solvers._losses import Target


@dataclass
class StackedTarget(Target):
    """A target with one column of weights a task."""

    def weigh(self, values):
        """Multiply the columns of each task by its weights."""
        n_samples, n_tasks = self.weight.shape
        parts = values.reshape(n_samples, n_tasks, -1) * self.weight[:, :, None]
        return parts.reshape(values.shape)


class StackedLoss:
    """The sum of the losses of several tasks, which have the same labels and other weights.

    The rows of coefficients of the tasks are stacked. What is minimised falls apart into the
    tasks, but a pass over the data multiplies it with all their coefficients at once, which is
    what processors are good at.

    Parameters
    ----------
    loss : MultinomialLoss, BinaryLoss or SquaredLoss
        Of one task.

    n_tasks : int
    """

    # The tasks have other weights, so that no two rows have the same Hessian.
    is_coupled = True

    def __init__(self, loss, n_tasks):
        self.loss = loss
        self.n_tasks = n_tasks
        self.n_rows = n_tasks * loss.n_rows
        self.curvature = loss.curvature
        self.boldness = loss.boldness

    def encode(self, y):
        """Turn labels into what the other methods find in a target."""
        return self.loss.encode(y)

    def predict(self, scores):
        """Predictions of all tasks."""
        return self.loss.predict(scores.reshape(-1, self.loss.n_rows)).reshape(scores.shape)

    def value(self, scores, target):
        """Sum of the tasks' mean losses."""
        return self._sum(self.loss.value, scores, target)

    def table_value(self, predictions, target):
        """Sum of the tasks' mean losses at predictions that were kept."""
        return self._sum(self.loss.table_value, predictions, target)

    def dual(self, residual, target, shrink):
        """Sum of the tasks' dual values."""
        return self._sum(lambda part, own: self.loss.dual(part, own, shrink), residual, target)

    def residual(self, predictions, target):
        """Gradient of each sample's losses in its scores, not weighted."""
        parts = self._tasks(predictions, target)
        return torch.cat([self.loss.residual(part, own) for part, own in parts], dim=1)

    def best_intercept(self, scores, target, start):
        """Minimise every task's mean loss over its intercepts."""
        starts = start.split(self.loss.n_rows)
        parts = zip(self._tasks(scores, target), starts, strict=True)
        return torch.cat([self.loss.best_intercept(*part, own) for part, own in parts])

    def separates(self, scores, target):
        """Tell whether the scores of a task separate its classes."""
        return any(self.loss.separates(*part) for part in self._tasks(scores, target))

    def _sum(self, value, table, target):
        return sum(value(part, own) for part, own in self._tasks(table, target))

    def _tasks(self, table, target):
        """Yield the columns of each task, and its own target."""
        for task, part in enumerate(table.split(self.loss.n_rows, dim=1)):
            yield part, Target(target.y, target.weight[:, task])
