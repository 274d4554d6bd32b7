# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._algorithm import Algorithm


class RestartedFISTA(Algorithm):
    """Accelerated proximal gradient descent with an adaptive step and restarts.

    Scores are linear in the coefficients, so the scores of an extrapolated point follow from the
    previous two, and trying a step costs one matrix product instead of two.

    References
    ----------
    Beck and Teboulle (2009). A fast iterative shrinkage-thresholding algorithm for linear inverse
    problems. SIAM Journal on Imaging Sciences.

    O'Donoghue and Candes (2015). Adaptive restart for accelerated gradient schemes. Foundations
    of Computational Mathematics.
    """

    def __init__(self, problem):
        self.problem = problem
        design = problem.design
        self.penalty = problem.penalty.to(design.dtype, design.device)
        self.target = problem.target
        # Treat the intercept as the coefficient of a column whose length is that of the principal
        # direction.
        eigenvalue, _ = problem.smoothness(1)
        self.weight = eigenvalue * problem.fit_intercept
        self.step = 1 / (problem.loss.curvature * eigenvalue)
        # Half the step that theory guarantees: if a shorter one seems necessary, the loss is so
        # small that only rounding errors are compared.
        self.shortest_step = self.step / 2
        self.slack = 10 * torch.finfo(design.dtype).eps

    def start(self, point):
        """Start from a certified point, without momentum."""
        design = self.problem.design
        kind = {"dtype": design.dtype, "device": design.device, "copy": True}
        self.coef = point.coef.to(**kind)
        self.intercept = point.intercept.to(**kind)
        self.scores = design.product(self.coef)
        self.before = (self.coef, self.intercept, self.scores)
        self.momentum = 1.0

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
        loss, design = self.problem.loss, self.problem.design
        value = loss.value(scores + intercept, self.target)
        predictions = loss.predict(scores + intercept)
        residual = self.target.weigh(loss.residual(predictions, self.target))
        gradient, slope = design.gradient(residual), residual.mean(0)
        buffer = torch.empty_like(gradient)
        while True:
            new = self.penalty.prox(self.step).apply_(coef - self.step * gradient, buffer)
            new_intercept = intercept - self.step * self.weight * slope
            new_scores = design.product(new)
            new_value = loss.value(new_scores + new_intercept, self.target)
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
