# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._linear_scores import linear_scores

_GROWTH = 1.25
# Because the table lags behind the iterate, its objective may rise by as much without harm.
_TOLERANCE = 1.02
_FADING = 0.9
# The share of the step that ended one fit of a path with which the next begins.
_CAUTION = 0.6


class ProximalSAGA:
    """Mini-batch proximal SAGA with a table of every sample's predictions.

    Rows are shuffled once, so that a batch is a contiguous slice of the working copy; the order
    of the batches changes with every epoch.

    Parameters
    ----------
    problem : Problem

    random_state : RandomState

    batch_size : int

    References
    ----------
    Defazio, Bach and Lacoste-Julien (2014). SAGA: a fast incremental gradient method with support
    for non-strongly convex composite objectives. NeurIPS.
    """

    # Passes over the data of one call of `epoch`.
    n_passes = 1
    # Whether `point` costs nothing.
    knows_its_gap = False

    def __init__(self, problem, random_state, batch_size):
        self.problem = problem
        self.random_state = random_state
        design, loss = problem.design, problem.loss
        kind = {"dtype": design.dtype, "device": design.device}
        n_samples = design.shape[0]
        n_batches = -(-n_samples // batch_size)
        self.penalty = problem.penalty.to(design.dtype, design.device)
        self.batches = design.batches(n_batches)
        self.targets = problem.target.split(n_batches)
        self.table = torch.empty((n_samples, loss.n_rows), **kind)
        self.kept = self.table.tensor_split(n_batches)
        self.coef = torch.zeros(problem.shape, **kind)
        self.intercept = torch.zeros(loss.n_rows, **kind)
        self.mean_gradient = torch.empty_like(self.coef)
        self.mean_residual = torch.empty_like(self.intercept)
        self.buffer = torch.empty_like(self.coef)
        eigenvalue, batch_eigenvalue = problem.smoothness(batch_size)
        # The bound holds at even predictions, where a fit begins; the surer they become, the
        # flatter the loss is and the longer a step may be, until an epoch shows it was too long.
        self.step = loss.boldness / (loss.curvature * batch_eigenvalue)
        self.intercept_step = min(1 / (2 * loss.curvature), self.step * eigenvalue)
        # Under a penalty not very different, a step proved right that was not very different.
        self.step = max(self.step, _CAUTION * problem.memory.get("saga_step", 0.0))
        self.longest_step = float("inf")
        # Theory needs none shorter; where one seems needed, the lag of the table is what is seen.
        self.shortest_step = 1 / (6 * loss.curvature * batch_eigenvalue)

    def start(self, point):
        """Begin from a point, whose predictions are in the working order."""
        self.refresh(point)
        self.objective = point.objective

    def refresh(self, point):
        """Begin again from the mean gradient of a certificate, which knows it better."""
        self.coef.copy_(point.coef)
        self.intercept.copy_(point.intercept)
        self.table.copy_(point.predictions)
        self.mean_gradient.copy_(point.gradient)
        target = self.problem.target
        residual = target.weigh(self.problem.loss.residual(self.table, target))
        self.mean_residual.copy_(residual.mean(0))

    def point(self):
        """Return the current point, with an estimate of its duality gap."""
        return self.problem.estimate(self.coef, self.intercept)

    def state(self):
        """Return the current coefficients and intercepts."""
        return self.coef, self.intercept

    def epoch(self):
        """Pass over the data once, or take an epoch that went wrong back and shorten the step."""
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
            # Should it be the step all the same, it must not come back for ever.
            longest = min(self.longest_step, self.step) * _FADING
            self.longest_step = max(longest, self.shortest_step)
            self._shorten(1.5)
        else:
            for part, before in zip(self._state(), saved, strict=True):
                part.copy_(before)
            # Settle down first, then come back to a little below what was too long.
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
