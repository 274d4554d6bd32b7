# SPDX-License-Identifier: BSD-3-Clause
import math
from dataclasses import dataclass

import torch

from sklearn_neurox.probes.solvers._certificate import Certificate
from sklearn_neurox.probes.solvers._fista import RestartedFISTA
from sklearn_neurox.probes.solvers._saga import ProximalSAGA

# Rows a batch of SAGA, and the batches below which its epochs are not worth their overhead.
_BATCH_SIZE = 128
_FEWEST_BATCHES = 16
# Below this the working precision cannot tell whether zero is the solution.
_NEARLY_ONE = 1.01


@dataclass
class Solution:
    """What `solve` found, and how sure it is.

    Attributes
    ----------
    point : Certificate
        In float64.

    gap, target : float
        The duality gap and the value at which to stop; without a penalty, the norm of the
        gradient relative to that at zero.

    n_iter : int
        Epochs.

    saturation : float
        The largest gradient at zero coefficients, in units of the l1 penalty: zero is the
        solution where it is at most one. Infinite without an l1 penalty.
    """

    point: Certificate
    gap: float
    target: float
    n_iter: int
    saturation: float


class CertifiedSolver:
    """Runs an algorithm until its point is certified, and changes it where it stalls.

    Parameters
    ----------
    problem : Problem

    tol : float
        The duality gap to reach, relative to the objective.

    max_iter : int
        The most epochs to take.

    random_state : RandomState
    """

    def __init__(self, problem, *, tol, max_iter, random_state):
        self.problem = problem
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.penalised = bool((problem.penalty.l1 > 0).any() or (problem.penalty.l2 > 0).any())

    def solve(self):
        """Solve the problem.

        Returns
        -------
        solution : Solution
        """
        point = self.problem.estimate(*self.problem.zeros())
        saturation = self._saturation(point)
        if self.norm == 0 or saturation <= _NEARLY_ONE:
            point = self._exact(point)
            saturation = self._saturation(point)
            if self.norm == 0 or saturation <= 1:
                return self._solution(point, 1, saturation)
        n_samples = len(self.problem.working)
        if n_samples >= _BATCH_SIZE * _FEWEST_BATCHES:
            self.algorithm = ProximalSAGA(self.problem, self.random_state, _BATCH_SIZE)
        else:
            self.algorithm = RestartedFISTA(self.problem)
        self.algorithm.start(point)
        return self._run(point, saturation)

    def _saturation(self, zero):
        self.norm = float(zero.gradient.norm())
        return float((zero.gradient.abs() / self.problem.penalty.l1).nan_to_num(0.0).amax())

    def _run(self, point, saturation):
        epochs, wait = 0, 5
        gap, target = self._gap(point)
        while True:
            n_epochs = min(wait, self.max_iter - epochs)
            for _ in range(n_epochs):
                self.algorithm.epoch()
            epochs += n_epochs
            before = gap
            point = self.problem.estimate(self.algorithm.coef, self.algorithm.intercept)
            gap, target = self._gap(point)
            if gap <= target or epochs == self.max_iter:
                solution = self._solution(self._exact(point), epochs, saturation)
                if solution.gap <= solution.target or epochs == self.max_iter:
                    return solution
            rate = math.log(before / gap) / n_epochs if gap < before else 0.0
            wait = self._wait(rate, gap, target, epochs)
            self._choose(point, rate, epochs)

    def _wait(self, rate, gap, target, epochs):
        """Epochs until the gap, if it goes on falling at this rate, reaches its target."""
        longest = max(5, epochs // 2)
        needed = math.log(max(gap / target, 1.0)) / rate if rate and target else longest
        return max(1, min(math.ceil(needed), longest))

    def _choose(self, point, rate, epochs):
        """Refresh the algorithm, or leave one that would take hundreds of epochs more."""
        if isinstance(self.algorithm, ProximalSAGA) and rate < 0.01 and epochs >= 20:
            self.algorithm = RestartedFISTA(self.problem)
            self.algorithm.start(point)
        else:
            self.algorithm.refresh(point)

    def _exact(self, point):
        return self.problem.certify(point.coef, point.intercept)

    def _gap(self, point):
        if self.penalised:
            return point.gap, self.tol * point.objective
        return float(point.gradient.norm()) / self.norm, self.tol

    def _solution(self, point, n_iter, saturation):
        gap, target = self._gap(point) if self.norm else (0.0, 0.0)
        return Solution(point, gap, target, n_iter, saturation)


def operations_of_a_step(n_samples, n_coefficients):
    """Count the multiplications and additions of one step of the algorithm that will be chosen."""
    is_stochastic = n_samples >= _BATCH_SIZE * _FEWEST_BATCHES
    return 4 * n_coefficients * (_BATCH_SIZE if is_stochastic else n_samples)


def solve(problem, *, tol, max_iter, random_state):
    """Solve a problem to a certified gap.

    Parameters
    ----------
    problem : Problem

    tol : float

    max_iter : int

    random_state : RandomState

    Returns
    -------
    solution : Solution
    """
    with torch.inference_mode():
        solver = CertifiedSolver(problem, tol=tol, max_iter=max_iter, random_state=random_state)
        return solver.solve()
