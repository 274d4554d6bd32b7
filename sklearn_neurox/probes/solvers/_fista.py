# SPDX-License-Identifier: BSD-3-Clause
import torch


class RestartedFISTA:
    """Accelerated proximal gradient descent with an adaptive step and restarts.

    The scores are linear in the coefficients, so that those of an extrapolated point follow from
    the two before it, and trying a step costs one matrix product, not two.

    Parameters
    ----------
    problem : Problem

    References
    ----------
    Beck and Teboulle (2009). A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems. SIAM Journal on Imaging Sciences.

    O'Donoghue and Candes (2015). Adaptive restart for accelerated gradient schemes. Foundations
    of Computational Mathematics.
    """

    def __init__(self, problem):
        self.problem = problem
        working = problem.working
        self.penalty = problem.penalty.to(working.dtype, working.device)
        self.y = problem.loss.encode(problem.y[problem.rows], working.dtype)
        # An intercept is a coefficient of a column as long as the principal direction.
        eigenvalue = problem.largest_eigenvalue()
        self.weight = eigenvalue * problem.fit_intercept
        self.step = 1 / (problem.loss.curvature * eigenvalue)
        # Half the step that theory guarantees: where a shorter one seems needed, the loss is so
        # small that what is compared is rounding.
        self.shortest_step = self.step / 2
        self.slack = 10 * torch.finfo(working.dtype).eps

    def start(self, point):
        """Begin from a certified point, without momentum."""
        working = self.problem.working
        self.coef = point.coef.to(working.dtype, copy=True)
        self.intercept = point.intercept.to(working.dtype, copy=True)
        self.scores = working @ self.coef.T
        self.before = (self.coef, self.intercept, self.scores)
        self.momentum = 1.0

    def refresh(self, point):
        """Keep the momentum; there is no running sum to renew."""

    def epoch(self):
        """Take one step."""
        momentum = (1 + (1 + 4 * self.momentum**2) ** 0.5) / 2
        beta = (self.momentum - 1) / momentum
        here = (self.coef, self.intercept, self.scores)
        ahead = [now.lerp(past, -beta) for now, past in zip(here, self.before, strict=True)]
        self._step_from(*ahead)
        self.before = here
        uphill = ((ahead[0] - self.coef) * (self.coef - here[0])).sum()
        if self.weight:
            uphill += ((ahead[1] - self.intercept) * (self.intercept - here[1])).sum() / self.weight
        self.momentum = 1.0 if uphill > 0 else momentum

    def _step_from(self, coef, intercept, scores):
        loss, working = self.problem.loss, self.problem.working
        value = loss.value(scores + intercept, self.y)
        probabilities = loss.probabilities(scores + intercept)
        residual = loss.residual(probabilities, self.y)
        gradient, slope = residual.T @ working / len(working), residual.mean(0)
        buffer = torch.empty_like(gradient)
        while True:
            new = self.penalty.prox_(coef - self.step * gradient, self.step, buffer)
            new_intercept = intercept - self.step * self.weight * slope
            new_scores = working @ new.T
            new_value = loss.value(new_scores + new_intercept, self.y)
            move, shift = new - coef, new_intercept - intercept
            length = move.square().sum()
            if self.weight:
                length += shift.square().sum() / self.weight
            linear = value + (gradient * move).sum() + slope @ shift
            bound = linear + length / (2 * self.step) + self.slack * value.abs()
            if new_value <= bound or self.step <= self.shortest_step:
                break
            self.step = max(self.step / 2, self.shortest_step)
        self.coef, self.intercept, self.scores = new, new_intercept, new_scores
        self.step *= 1.2
