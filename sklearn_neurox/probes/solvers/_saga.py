# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._algorithm import StochasticAlgorithm
from sklearn_neurox.probes.solvers._linear_scores import linear_scores

_GROWTH = 1.25
# The table lags behind the iterate, so its objective may increase by this factor harmlessly.
_TOLERANCE = 1.02
_FADING = 0.9
# On a path, each fit starts with this share of the final step size of the previous one.
_CAUTION = 0.6


class ProximalSAGA(StochasticAlgorithm):
    """Mini-batch proximal SAGA with a table of every sample's predictions.

    Rows are shuffled once, so a batch is a contiguous slice of the working copy; the order of the
    batches changes with every epoch.

    References
    ----------
    Defazio, Bach and Lacoste-Julien (2014). SAGA: a fast incremental gradient method with support
    for non-strongly convex composite objectives. NeurIPS.
    """

    def __init__(self, problem, random_state, batch_size):
        super().__init__(problem, random_state, batch_size)
        loss = problem.loss
        self.table = torch.empty((problem.design.shape[0], loss.n_rows), **self.kind)
        self.kept = self.table.tensor_split(len(self.batches))
        self.coef = torch.zeros(problem.shape, **self.kind)
        self.intercept = torch.zeros(loss.n_rows, **self.kind)
        self.mean_gradient = torch.empty_like(self.coef)
        self.mean_residual = torch.empty_like(self.intercept)
        self.buffer = torch.empty_like(self.coef)
        self.intercept_step = min(self.longest_intercept_step, self.step * self.eigenvalue)
        # Fits with a similar penalty need a similar step.
        self.step = max(self.step, _CAUTION * problem.memory.get("saga_step", 0.0))
        # As predictions become more confident, the loss becomes flatter and steps may grow, until
        # one proves too long.
        self.longest_step = float("inf")
        # Theory needs no shorter step; if one seems necessary, the lag of the table is the cause.
        self.shortest_step = 1 / (6 * loss.curvature * self.batch_eigenvalue)

    def start(self, point):
        """Start from a point whose predictions are in the working order."""
        self.refresh(point)
        self.objective = point.objective

    def refresh(self, point):
        """Restart from a certified point, whose mean gradient is more accurate."""
        self.coef.copy_(point.coef)
        self.intercept.copy_(point.intercept)
        self.table.copy_(point.predictions)
        self.mean_gradient.copy_(point.gradient)
        target = self.problem.target
        residual = target.weigh(self.problem.loss.residual(self.table, target))
        self.mean_residual.copy_(residual.mean(0))

    def epoch(self):
        """Make one pass over the data; undo it and shorten the step if it diverged."""
        saved = [part.clone() for part in self._state()]
        order = self.random_state.permutation(len(self.batches))
        prox = self.penalty.prox(self.step)
        for batch, rows in self.batches.visit(order):
            self._batch(rows, self.kept[batch], self.targets[batch], prox)
        self.problem.memory["saga_step"] = self.step
        loss = self.problem.loss.table_value(self.table, self.problem.target)
        objective = float(loss + self.penalty.value(self.coef))
        if objective < self.objective:
            self.step = min(self.step * _GROWTH, self.longest_step)
        elif objective <= self.objective * _TOLERANCE or self.step <= self.shortest_step:
            # In case the step is to blame after all, it must not grow back forever.
            longest = min(self.longest_step, self.step) * _FADING
            self.longest_step = max(longest, self.shortest_step)
            self._shorten(1.5)
        else:
            for part, before in zip(self._state(), saved, strict=True):
                part.copy_(before)
            # Settle with a short step first, then return to just below the one that was too long.
            self._shorten(1.5)
            self.longest_step = self.step
            self._shorten(2)
            return
        self.objective = objective

    def _shorten(self, factor):
        self.step = max(self.step / factor, self.shortest_step)

    def _state(self):
        return self.coef, self.intercept, self.table, self.mean_gradient, self.mean_residual

    def _batch(self, rows, kept, target, prox):
        coef, buffer, n_samples = self.coef, self.buffer, len(self.table)
        scores = linear_scores(rows, coef).add_(self.intercept)
        predictions = self.problem.loss.predict(scores)
        change = target.weigh(predictions - kept)
        kept.copy_(predictions)
        torch.mm(change.T, rows, out=buffer)
        coef.add_(buffer, alpha=-self.step / len(rows)).add_(self.mean_gradient, alpha=-self.step)
        self.mean_gradient.add_(buffer, alpha=1 / n_samples)
        prox.apply_(coef, buffer)
        if self.problem.fit_intercept:
            change = change.sum(0)
            self.intercept.add_(change, alpha=-self.intercept_step / len(rows))
            self.intercept.add_(self.mean_residual, alpha=-self.intercept_step)
            self.mean_residual.add_(change, alpha=1 / n_samples)
