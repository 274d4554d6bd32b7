# SPDX-License-Identifier: BSD-3-Clause
"""Several problems on one matrix, solved together so that they share passes over the data."""

from dataclasses import dataclass

import torch

from sklearn_neurox.probes.solvers._losses import Target


@dataclass
class StackedTarget(Target):
    """A target with one column of weights per task."""

    def weigh(self, values):
        """Multiply the columns of each task by its weights."""
        n_samples, n_tasks = self.weight.shape
        parts = values.reshape(n_samples, n_tasks, -1) * self.weight[:, :, None]
        return parts.reshape(values.shape)


class StackedLoss:
    """The sum of the losses of several tasks with the same labels but different weights.

    The coefficient rows of all tasks are stacked. The objective separates into the tasks, but one
    pass multiplies the data by all their coefficients at once, which is efficient.
    """

    # The weights differ between tasks, so no two rows share a Hessian.
    is_coupled = True
    is_quadratic = False

    def __init__(self, loss, n_tasks):
        self.loss = loss
        self.n_tasks = n_tasks
        self.n_rows = n_tasks * loss.n_rows
        self.curvature = loss.curvature
        self.boldness = loss.boldness

    def predict(self, scores):
        """Compute the predictions of all tasks."""
        return self.loss.predict(scores.reshape(-1, self.loss.n_rows)).reshape(scores.shape)

    def value(self, scores, target):
        """Sum the mean losses of the tasks."""
        return self._sum(self.loss.value, scores, target)

    def table_value(self, predictions, target):
        """Sum the mean losses of the tasks, from stored predictions."""
        return self._sum(self.loss.table_value, predictions, target)

    def dual(self, predictions, target):
        """Return a function that sums the dual values of the tasks."""
        duals = [self.loss.dual(part, own) for part, own in self._tasks(predictions, target)]
        return lambda shrink: sum(dual(shrink) for dual in duals)

    def residual(self, predictions, target):
        """Compute the unweighted gradients of each sample's losses in its scores."""
        parts = self._tasks(predictions, target)
        return torch.cat([self.loss.residual(part, own) for part, own in parts], dim=1)

    def best_intercept(self, scores, target, start):
        """Minimize the mean loss of every task over its intercepts."""
        starts = start.split(self.loss.n_rows)
        parts = zip(self._tasks(scores, target), starts, strict=True)
        return torch.cat([self.loss.best_intercept(*part, own) for part, own in parts])

    def separates(self, scores, target):
        """Return whether the scores of any task separate its classes."""
        return any(self.loss.separates(*part) for part in self._tasks(scores, target))

    def _sum(self, value, table, target):
        return sum(value(part, own) for part, own in self._tasks(table, target))

    def _tasks(self, table, target):
        """Yield the columns of each task with its target."""
        for task, part in enumerate(table.split(self.loss.n_rows, dim=1)):
            yield part, Target(target.y, target.weight[:, task])
