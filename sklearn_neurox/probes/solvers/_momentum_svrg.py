# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._algorithm import StochasticAlgorithm
from sklearn_neurox.probes.solvers._linear_scores import linear_scores

_GROWTH = 1.5
# Weight of the iterates relative to the snapshot; steps are longer by its inverse.
_MOMENTUM = 0.3
# Where a fit spends most of its time, the loss is about this much flatter than its bound. Longer
# steps are stable too, but noise cancels their gain.
_FLATTEST = 6.0
_N_PASSES = 2


class MomentumSVRG(StochasticAlgorithm):
    """Mini-batch variance-reduced proximal gradient descent with negative momentum.

    Gradients are evaluated between the current iterate and a snapshot whose own gradient is known
    exactly. On badly conditioned problems this needs several times fewer epochs than SAGA, and
    every snapshot comes with its duality gap.

    References
    ----------
    Zhou, Shang and Cheng (2018). A simple stochastic variance reduced algorithm with fast
    convergence rates. ICML.
    """

    # Two stochastic passes, and one full pass for the snapshot.
    n_passes = _N_PASSES + 1
    knows_its_gap = True

    def __init__(self, problem, random_state, batch_size):
        super().__init__(problem, random_state, batch_size)
        self.longest_step = _FLATTEST * self.step

    def start(self, point):
        """Start from a point whose scores are in the working order."""
        self.snapshot = point
        self.coef = point.coef.to(**self.kind, copy=True)
        self.intercept = point.intercept.to(**self.kind, copy=True)

    def point(self):
        """Return the last snapshot with an estimate of its duality gap."""
        return self.snapshot

    def state(self):
        """Return the coefficients and intercepts of the last snapshot."""
        return self.snapshot.coef, self.snapshot.intercept

    def epoch(self):
        """Make two passes and a snapshot; if it is worse than the last one, undo everything."""
        before = self.snapshot
        coef, intercept = self._run(before)
        after = self.problem.estimate(
            before.coef.lerp(coef.to(before.coef), _MOMENTUM),
            before.intercept.lerp(intercept.to(before.intercept), _MOMENTUM),
        )
        if after.objective <= before.objective:
            self.snapshot = after
            self.step = min(self.step * _GROWTH, self.longest_step)
            return
        self.start(before)
        self.longest_step = self.step / 1.5
        self.step /= 3

    def _run(self, snapshot):
        """Return the mean of the iterates."""
        loss, target = self.problem.loss, self.problem.target
        predictions = snapshot.predictions.to(**self.kind)
        gradient = snapshot.gradient.to(**self.kind)
        residual = target.weigh(loss.residual(predictions, target)).mean(0)
        scores = snapshot.scores.to(**self.kind).tensor_split(len(self.batches))
        predictions = predictions.tensor_split(len(self.batches))
        sums = torch.zeros_like(self.coef), torch.zeros_like(self.intercept)
        buffer = torch.empty_like(self.coef)
        prox = self.penalty.prox(self.step / _MOMENTUM)
        for _ in range(_N_PASSES):
            order = self.random_state.permutation(len(self.batches))
            for batch, rows in self.batches.visit(order):
                known = scores[batch], predictions[batch], gradient, residual
                self._batch(rows, self.targets[batch], known, prox, buffer)
                sums[0].add_(self.coef)
                sums[1].add_(self.intercept)
        return [part / (_N_PASSES * len(self.batches)) for part in sums]

    def _batch(self, rows, target, known, prox, buffer):
        known_scores, known_predictions, gradient, residual = known
        step = self.step / _MOMENTUM
        scores = linear_scores(rows, self.coef).add_(self.intercept)
        scores.mul_(_MOMENTUM).add_(known_scores, alpha=1 - _MOMENTUM)
        change = target.weigh(self.problem.loss.predict(scores) - known_predictions)
        torch.mm(change.T, rows, out=buffer)
        self.coef.add_(buffer, alpha=-step / len(rows)).add_(gradient, alpha=-step)
        prox.apply_(self.coef, buffer)
        if self.problem.fit_intercept:
            step = min(step * self.eigenvalue, self.longest_intercept_step / _MOMENTUM)
            self.intercept.add_(change.mean(0), alpha=-step).add_(residual, alpha=-step)
