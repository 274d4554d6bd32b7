# SPDX-License-Identifier: BSD-3-Clause
class Algorithm:
    """Base class for the algorithms that `CertifiedSolver` runs epoch by epoch."""

    # Passes over the data in one call of `epoch`.
    n_passes = 1
    # Whether `point` needs no pass over the data.
    knows_its_gap = False

    def refresh(self, point):
        """Refresh running sums at a certified point; by default, there are none."""

    def point(self):
        """Return the current point with an estimate of its duality gap."""
        return self.problem.estimate(self.coef, self.intercept)

    def state(self):
        """Return the current coefficients and intercepts."""
        return self.coef, self.intercept


class StochasticAlgorithm(Algorithm):
    """An algorithm that visits the batches of the working copy in random order."""

    def __init__(self, problem, random_state, batch_size):
        self.problem = problem
        self.random_state = random_state
        design, loss = problem.design, problem.loss
        self.kind = {"dtype": design.dtype, "device": design.device}
        n_batches = -(-design.shape[0] // batch_size)
        self.batches = design.batches(n_batches)
        self.targets = problem.target.split(n_batches)
        self.penalty = problem.penalty.to(**self.kind)
        self.eigenvalue, self.batch_eigenvalue = problem.smoothness(batch_size)
        # The bound is tight at uniform predictions, where a fit starts.
        self.step = loss.boldness / (loss.curvature * self.batch_eigenvalue)
        self.longest_intercept_step = 1 / (2 * loss.curvature)
