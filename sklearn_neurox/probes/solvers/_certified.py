# SPDX-License-Identifier: BSD-3-Clause
import math
from dataclasses import dataclass, replace

import torch

from sklearn_neurox.probes.solvers._active_set_newton import ActiveSetNewton
from sklearn_neurox.probes.solvers._certificate import Certificate
from sklearn_neurox.probes.solvers._fista import RestartedFISTA
from sklearn_neurox.probes.solvers._momentum_svrg import MomentumSVRG
from sklearn_neurox.probes.solvers._saga import ProximalSAGA
from sklearn_neurox.probes.solvers._sparse_design import SparseDesign
from sklearn_neurox.probes.solvers._threads import thread_limit
from sklearn_neurox.utils._full_float32 import full_float32

# Rows per batch, and the number of batches below which stochastic epochs do not pay off.
_BATCH_SIZE = 128
_FEWEST_BATCHES = 16
# Starting a step takes a GPU so long that more steps per epoch than this do not pay off while it
# has work for batches of this many numbers. Fewer take more epochs (on correlated columns: 64
# steps twice as many as 256, 128 a quarter more, 192 as many), which cost most if X is sent.
_DEVICE_NUMBERS = 2**25
_DEVICE_STEPS = {"kept": 192, "sent": 256}
# Within this factor, the working precision cannot decide whether zero is the solution.
_NEARLY_ONE = 1.01
# With more columns than this, a Gram matrix costs more than the epochs it saves.
_MOST_COLUMNS = 8192
# A Gram matrix of p columns costs about as much as p / 64 passes, because a product of matrices
# uses a processor so much better than one of a matrix and a vector. With more columns than this,
# the passes over planted data that a ridge penalty needs are cheaper.
_GRAM_COLUMNS = 1024
# If SAGA needs more epochs than this at its current rate, switch to momentum.
_PATIENCE = 25
# Epochs in which SAGA may adapt its step size before it is judged.
_FEWEST_EPOCHS = 15
# An algorithm has stalled if this many passes have not reduced the gap by a tenth.
_STALLED_PASSES = 50
_STALLED_GAIN = 0.9
# The precision is too low if less than this share of the gap remains without rounding errors.
_LEAST_TRUE_SHARE = 0.7
# Rounding error of sums over many rows, in units of the last digit.
_LOST_DIGITS = 10


@dataclass
class Solution:
    """The result of `CertifiedSolver`.

    Attributes
    ----------
    gap, target : float
        The duality gap and the value at which to stop; without a penalty, the norm of the
        gradient relative to the norm at zero coefficients.

    n_iter : int
        Number of passes over the data.

    zero_gradient : tensor of shape (n_rows, n_features)
        The gradient at zero coefficients, in float64.

    has_no_optimum : bool
        Whether there is no penalty and the point separates the classes, so that doubling the
        coefficients always improves the objective.

    is_stopped : bool
        Whether a callback stopped the fit.
    """

    point: Certificate
    gap: float
    target: float
    n_iter: int
    zero_gradient: torch.Tensor
    has_no_optimum: bool = False
    is_stopped: bool = False

    @property
    def has_converged(self):
        """Whether the gap is within the tolerance."""
        return self.gap <= self.target


class CertifiedSolver:
    """Run an algorithm until its point is certified; switch to another if it stalls.

    Parameters
    ----------
    problem : Problem

    tol : float
        Duality gap to reach, relative to the objective.

    max_iter : int
        Maximum number of passes over the data.

    random_state : RandomState

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        "auto" chooses by the shape of the data first and by the progress later.

    is_exact : bool, default=True
        Whether the final certificate is computed on X itself in float64, or in working precision.

    watch : EpochWatch or None, default=None
        Notified at the beginning and end of every epoch; may stop the fit.
    """

    def __init__(
        self, problem, *, tol, max_iter, random_state, solver="auto", is_exact=True, watch=None
    ):
        self.problem = problem
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.solver = solver
        self.is_exact = is_exact
        self.watch = watch

    def solve(self, start=None):
        """Solve the problem, starting at zero or from a `Certificate` (of any penalty)."""
        with torch.inference_mode(), full_float32(self.problem.design.device):
            self.penalized = not self.problem.penalty.is_zero
            zero = self._zero()
            self.zero_gradient = zero.gradient
            self.norm = float(zero.gradient.norm())
            if self.norm == 0 or (self.penalized and self._saturation(zero) <= 1):
                return self._solution(self._exact(zero), 1)
            point = zero
            if start is not None:
                point = self.problem.reprice(start)
                gap, target = self._gap(point)
                if gap <= target:
                    solution = self._solution(self._exact(point), 1)
                    if solution.has_converged:
                        return solution
            self._take_up(self._first(), point)
            wait = 5 if start is None else 2
            return self._run(point, 1 if self.algorithm.knows_its_gap else wait)

    def _zero(self):
        """Certify zero coefficients, exactly if rounding could decide whether they are optimal."""
        zero = self.problem.zero()
        if abs(self._saturation(zero) - 1) < _NEARLY_ONE - 1:
            # Scores stay in the working order, because algorithms may start here.
            zero.gradient = self.problem.certify(*self.problem.zeros()).gradient
        return zero

    def _saturation(self, zero):
        return self.problem.penalty.saturation(zero.gradient)

    @property
    def is_sparse(self):
        """Whether X is sparse, so that batches of standardized rows would be too wide."""
        return isinstance(self.problem.design, SparseDesign)

    def _first(self):
        """Choose the first algorithm."""
        if self.solver != "auto":
            return self.solver
        n_samples, n_features = self.problem.design.shape
        is_small = n_samples < _BATCH_SIZE * _FEWEST_BATCHES
        has_l1 = self.problem.penalty.has_l1
        if is_small and not self.problem.loss.is_coupled:
            if has_l1 or n_features <= _MOST_COLUMNS:
                return "newton"
        is_linear = self.problem.loss.is_quadratic and self.penalized and not has_l1
        if is_linear and not self.is_sparse and n_features <= _GRAM_COLUMNS:
            return "newton"
        return "fista" if is_small or self.is_sparse else "saga"

    def _take_up(self, name, point):
        """Continue from a point with the named algorithm."""
        n_samples = self.problem.design.shape[0]
        batch_size = min(self._rows_per_batch(), -(-n_samples // 4))
        stochastic = {"saga": ProximalSAGA, "svrg": MomentumSVRG}
        if name in stochastic:
            self.algorithm = stochastic[name](self.problem, self.random_state, batch_size)
        else:
            whole = {"newton": ActiveSetNewton, "fista": RestartedFISTA}
            self.algorithm = whole[name](self.problem)
        self.algorithm.start(point)
        self.name = name
        self.smallest_gap, self.last_gain = math.inf, 0
        rows_of_a_step = batch_size if name in stochastic else n_samples
        self.operations_of_a_step = 4 * rows_of_a_step * math.prod(self.problem.shape)

    def _rows_per_batch(self):
        """Return the batch size at which a step keeps the device busy."""
        design = self.problem.design
        if design.device.type != "cuda":
            return _BATCH_SIZE
        n_samples, n_features = design.shape
        n_steps = _DEVICE_STEPS["kept" if design.is_kept else "sent"]
        return max(_BATCH_SIZE, min(n_samples // n_steps, _DEVICE_NUMBERS // n_features))

    def _run(self, point, wait):
        passes, gap, margin = 0, self._gap(point)[0], 1.0
        while True:
            before = gap
            # Run at least one epoch, unless that exceeds max_iter.
            wait = min(max(wait, self.algorithm.n_passes), self.max_iter - passes)
            done, is_stopped = self._epochs(wait)
            passes += done
            point = self.algorithm.point()
            gap, target = self._gap(point)
            is_near = gap <= margin * target
            is_last = is_stopped or passes + self.algorithm.n_passes > self.max_iter
            if is_near and not is_last and self._settle(point):
                wait = 1
                continue
            if is_near or is_last:
                solution = self._solution(self._exact(point), passes)
                if solution.has_converged or is_last:
                    return replace(solution, is_stopped=is_stopped)
                # The working precision was too optimistic: estimate in float64 and aim lower.
                self.problem.is_fine = True
                margin *= 0.7
            rate = math.log(before / gap) / done if 0 < gap < before else 0.0
            needed = math.log(max(gap / target, 1.0)) / rate if rate and target else math.inf
            longest = min(max(5, passes // 2), _STALLED_PASSES)
            wait = max(1, min(math.ceil(min(needed, longest)), longest))
            self._choose(point, gap, needed, passes)
            if self.algorithm.knows_its_gap:
                # Only the dual value costs anything here, and far from the end it is not needed.
                wait = max(1, min(wait, int(min(needed, longest) / 3)))

    def _epochs(self, n_passes):
        """Run epochs for up to ``n_passes`` passes over the data, or until a callback stops."""
        done, is_stopped = 0, False
        with thread_limit(self.operations_of_a_step):
            while done + self.algorithm.n_passes <= n_passes and not is_stopped:
                if self.watch is not None:
                    self.watch.begin(self.algorithm)
                self.algorithm.epoch()
                done += self.algorithm.n_passes
                is_stopped = self.watch is not None and self.watch.end(self.algorithm)
        return done, is_stopped

    def _choose(self, point, gap, needed, passes):
        """Refresh the algorithm, or switch if it would take many more epochs."""
        has_stalled = self._has_stalled(passes, gap)
        if has_stalled and self._is_coarse(point):
            self.problem = self.problem.in_double()
            return self._take_up(self._first(), self.problem.estimate(point.coef, point.intercept))
        if self.solver == "auto":
            if self.name == "saga" and passes >= _FEWEST_EPOCHS and needed > _PATIENCE:
                return self._take_up("svrg", point)
            if self.name == "svrg" and has_stalled:
                is_coupled = self.problem.loss.is_coupled
                return self._take_up("fista" if is_coupled else "newton", point)
            if self.name == "newton" and self.algorithm.n_active > _MOST_COLUMNS:
                return self._take_up("fista" if self.is_sparse else "saga", point)
        return self.algorithm.refresh(point)

    def _has_stalled(self, passes, gap):
        """Return whether the gap has not decreased noticeably for many passes."""
        if gap < _STALLED_GAIN * self.smallest_gap:
            self.smallest_gap, self.last_gain = gap, passes
        return passes - self.last_gain > _STALLED_PASSES

    def _is_coarse(self, point):
        """Return whether rounding of the gradient may account for the remaining gap.

        This happens if a column of very large scale is hardly penalized.
        """
        if not (self.penalized and self.problem.may_be_finer):
            return False
        largest = float(self.zero_gradient.abs().amax() + point.coef.abs().amax())
        rounding = _LOST_DIGITS * torch.finfo(self.problem.design.dtype).eps * largest
        left = self.problem.penalty.without_rounding(point.gradient, rounding)
        return (
            self.problem.reprice(replace(point, gradient=left)).gap < _LEAST_TRUE_SHARE * point.gap
        )

    def _settle(self, point):
        """Switch from SVRG, whose averages have no exact zeros, to SAGA; return whether it did."""
        if self.name != "svrg" or not self.problem.penalty.has_l1:
            return False
        self._take_up("saga", point)
        return True

    def _exact(self, point):
        certify = self.problem.certify if self.is_exact else self.problem.estimate
        return certify(point.coef, point.intercept)

    def _gap(self, point):
        if self.penalized:
            return point.gap, self.tol * point.objective
        return float(point.gradient.norm()) / self.norm, self.tol

    def _solution(self, point, n_iter):
        gap, target = self._gap(point) if self.norm else (0.0, 0.0)
        has_no_optimum = False
        if self.norm and not self.penalized:
            labels = self.problem.exact_target if self.is_exact else self.problem.target
            has_no_optimum = self.problem.loss.separates(point.scores, labels)
        return Solution(point, gap, target, n_iter, self.zero_gradient, has_no_optimum)
