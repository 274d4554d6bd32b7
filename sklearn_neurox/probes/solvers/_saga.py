# SPDX-License-Identifier: BSD-3-Clause
import torch

_GROWTH = 1.25


class ProximalSAGA:
    """Mini-batch proximal SAGA with a table of every sample's probabilities.

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

    def __init__(self, problem, random_state, batch_size):
        self.problem = problem
        self.random_state = random_state
        working = problem.working
        n_samples = len(working)
        n_batches = -(-n_samples // batch_size)
        self.penalty = problem.penalty.to(working.dtype, working.device)
        self.y = problem.loss.encode(problem.y[problem.rows], working.dtype)
        self.table = working.new_empty((n_samples, problem.loss.n_rows))
        self.batches = working.tensor_split(n_batches)
        self.kept = self.table.tensor_split(n_batches)
        self.coef = working.new_zeros(problem.shape)
        self.intercept = working.new_zeros(problem.loss.n_rows)
        self.mean_gradient = torch.empty_like(self.coef)
        self.mean_residual = torch.empty_like(self.intercept)
        self.buffer = torch.empty_like(self.coef)
        eigenvalue = problem.largest_eigenvalue()
        longest = float(working[:2048].square().sum(1).max())
        # The bound holds at even predictions, where a fit begins; the surer they become, the
        # flatter the loss is and the longer a step may be, until an epoch shows it was too long.
        self.step = 2 / (problem.loss.curvature * (eigenvalue + longest / batch_size))
        self.intercept_step = min(1 / (2 * problem.loss.curvature), self.step * eigenvalue)
        self.longest_step = float("inf")
        self.best = None

    def start(self, point):
        """Begin from a certified point, whose probabilities are in the order of the batches."""
        self.coef.copy_(point.coef)
        self.intercept.copy_(point.intercept)
        self.table.copy_(point.probabilities)
        self.mean_gradient.copy_(point.gradient)
        self.mean_residual.copy_(self.problem.loss.residual(self.table, self.y).mean(0))
        self.best = float("inf") if self.best is None else self.best

    # A certificate knows the mean gradient better than the running sum, so begin again from it.
    refresh = start

    def epoch(self):
        """Pass over the data once, or take an epoch that went wrong back and shorten the step."""
        saved = [part.clone() for part in self._state()]
        for batch in self.random_state.permutation(len(self.batches)):
            self._batch(self.batches[batch], self.kept[batch])
        loss = self.problem.loss.table_value(self.table, self.y)
        objective = float(loss + self.penalty.value(self.coef))
        if objective <= self.best * 1.001:
            self.best = min(objective, self.best)
            self.step = min(self.step * _GROWTH, self.longest_step)
            return
        for part, before in zip(self._state(), saved, strict=True):
            part.copy_(before)
        # Settle down first, then come back to a little below what was too long.
        self.longest_step = self.step / 1.5
        self.step /= 3

    def _state(self):
        return self.coef, self.intercept, self.table, self.mean_gradient, self.mean_residual

    def _batch(self, rows, kept):
        coef, buffer, n_samples = self.coef, self.buffer, len(self.table)
        scores = torch.addmm(self.intercept, rows, coef.T)
        probabilities = self.problem.loss.probabilities(scores)
        change = probabilities - kept
        kept.copy_(probabilities)
        torch.mm(change.T, rows, out=buffer)
        coef.add_(buffer, alpha=-self.step / len(rows)).add_(self.mean_gradient, alpha=-self.step)
        self.mean_gradient.add_(buffer, alpha=1 / n_samples)
        self.penalty.prox_(coef, self.step, buffer)
        if self.problem.fit_intercept:
            change = change.sum(0)
            self.intercept.add_(change, alpha=-self.intercept_step / len(rows))
            self.intercept.add_(self.mean_residual, alpha=-self.intercept_step)
            self.mean_residual.add_(change, alpha=1 / n_samples)
