# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._algorithm import StochasticAlgorithm
from sklearn_neurox.probes.solvers._linear_scores import linear_scores

# Number of samples after which the step size begins to decrease.
_CONSTANT_SAMPLES = 20_000
_BATCH_SIZE = 128


class ProximalSGD(StochasticAlgorithm):
    """Mini-batch proximal stochastic gradient descent, for samples that are seen only once.

    The step size is constant at first and then decreases with the square root of the number of
    samples, so that the noise of the batches averages out. ``problem`` holds the current samples;
    ``n_seen`` is the number of samples seen before.

    References
    ----------
    Duchi and Singer (2009). Efficient online and batch learning using forward backward splitting.
    Journal of Machine Learning Research.
    """

    def __init__(self, problem, random_state, n_seen):
        super().__init__(problem, random_state, _BATCH_SIZE)
        self.n_seen = n_seen

    @torch.inference_mode()
    def run(self, coef, intercept):
        """Make one pass from the given coefficients and intercepts; return the new ones."""
        coef = coef.to(**self.kind, copy=True)
        intercept = intercept.to(**self.kind, copy=True)
        buffer = torch.empty_like(coef)
        n_seen = self.n_seen
        order = self.random_state.permutation(len(self.batches))
        for batch, rows in self.batches.visit(order):
            target = self.targets[batch]
            step = self.step * (1 + n_seen / _CONSTANT_SAMPLES) ** -0.5
            predictions = self.problem.loss.predict(linear_scores(rows, coef).add_(intercept))
            residual = target.weigh(self.problem.loss.residual(predictions, target))
            torch.mm(residual.T, rows, out=buffer)
            coef.add_(buffer, alpha=-step / len(rows))
            self.penalty.prox(step).apply_(coef, buffer)
            if self.problem.fit_intercept:
                length = min(self.longest_intercept_step, step * self.eigenvalue)
                intercept.add_(residual.mean(0), alpha=-length)
            n_seen += len(rows)
        return coef, intercept
