# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from scipy.sparse import issparse

from sklearn_neurox.probes.solvers._certificate import Certificate
from sklearn_neurox.probes.solvers._design import ResidentDesign, StandardizedDesign
from sklearn_neurox.probes.solvers._device_design import DeviceDesign
from sklearn_neurox.probes.solvers._losses import Target
from sklearn_neurox.probes.solvers._penalty import ElasticNetPenalty
from sklearn_neurox.probes.solvers._row_view import RowView
from sklearn_neurox.probes.solvers._sparse_design import SparseDesign
from sklearn_neurox.probes.solvers._stacked_loss import StackedLoss, StackedTarget
from sklearn_neurox.probes.solvers._streamed_design import (
    StreamedDesign,
    is_memory_mapped,
    reading_order,
)
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._torch import to_numpy, to_tensor

# X may take this share of the free memory of a device.
_DEVICE_SHARE = 0.7


@dataclass
class Problem:
    """A penalized linear model on one matrix, as every algorithm receives it.

    Attributes
    ----------
    penalty : ElasticNetPenalty
        In float64, on the coefficients of the standardized columns.

    exact_target : Target
        In float64, in the order of X.

    target : Target
        In the working precision and order.

    unit : tensor of shape (n_features,), float64
        The coefficient of a standardized column that the penalty counts as one.

    is_fine : bool
        Whether estimates are made in float64, because float32 would not resolve the tolerance.

    memory : dict
        Values that depend little or not at all on the penalty, shared by all problems that differ
        only in the penalty.
    """

    design: StandardizedDesign
    loss: object
    penalty: ElasticNetPenalty
    exact_target: Target
    target: Target
    fit_intercept: bool
    unit: torch.Tensor
    is_fine: bool = True
    memory: dict = field(default_factory=dict)

    @property
    def shape(self):
        """Shape of the coefficients."""
        return self.loss.n_rows, self.design.shape[1]

    def penalized(self, alpha, l1_ratio):
        """Return the same problem with another penalty."""
        penalty = ElasticNetPenalty(
            alpha * l1_ratio / self.unit, alpha * (1 - l1_ratio) / self.unit.square()
        )
        return replace(self, penalty=penalty)

    def alpha_max(self, gradient, l1_ratio):
        """Return the smallest alpha at which zero is the solution, from the gradient at zero."""
        largest = float((gradient.abs() * self.unit).amax())
        if largest == 0:
            return 0.0
        return largest / l1_ratio if l1_ratio else float("inf")

    def zeros(self):
        """Return zero coefficients and intercepts, in float64."""
        kind = {"dtype": torch.float64, "device": self.design.exact_device}
        return torch.zeros(self.shape, **kind), torch.zeros(self.loss.n_rows, **kind)

    def zero(self):
        """Estimate the certificate of zero coefficients."""
        if "zero" not in self.memory:
            shape = self.design.shape[0], self.loss.n_rows
            scores = torch.zeros(shape, dtype=self.design.dtype, device=self.design.device)
            zero = self._estimate(*self.zeros(), scores)
            # All samples have the same predictions, of which one row is enough.
            tables = {name: getattr(zero, name)[:1] for name in ("scores", "predictions")}
            tables = {name: row.clone().expand(shape) for name, row in tables.items()}
            self.memory["zero"] = replace(zero, **tables, find_dual=None)
        return self.reprice(self.memory["zero"])

    def reprice(self, point):
        """Estimate the certificate of a point from its estimate for another penalty."""
        target = self.target.to(point.scores.device, point.scores.dtype)
        return point.price(self.loss, self.penalty, target)

    def certify(self, coef, intercept):
        """Certify a point on X itself, in float64."""
        design = self.design
        coef = coef.to(device=design.exact_device, dtype=torch.float64)
        scores = design.scores(coef)
        return self._certify(coef, intercept, scores, self.exact_target, design.correlate)

    def estimate(self, coef, intercept):
        """Certify a point on the working copy: faster, and nearly as accurate.

        Scores and predictions of the result are in the working order.
        """
        design = self.design
        coef = coef.to(device=design.exact_device, dtype=torch.float64)
        scores = design.product(coef.to(design.device, design.dtype))
        return self._estimate(coef, intercept, scores)

    def _estimate(self, coef, intercept, scores):
        target, exact = self.target, self.design.exact_device
        if self.is_fine:
            scores = scores.to(exact).double()
            target = target.to(exact, torch.float64)
        return self._certify(coef, intercept, scores, target, self._correlate)

    def _correlate(self, residual):
        residual = residual.to(self.design.device, self.design.dtype)
        return self.design.gradient(residual).to(self.design.exact_device).double()

    def _certify(self, coef, start, scores, target, correlate):
        """Certify a point, in the precision of its scores, to which intercepts are added in place.

        ``start`` is where the search for the optimal intercepts starts; ``correlate`` maps a
        residual of shape (n_samples, n_rows) to ``residual.T @ Z / n_samples`` in float64.
        """
        loss = self.loss
        intercept = start.to(device=scores.device, dtype=scores.dtype)
        if self.fit_intercept:
            intercept = loss.best_intercept(scores, target, intercept)
        scores = scores.add_(intercept)
        predictions = loss.predict(scores)
        gradient = correlate(target.weigh(loss.residual(predictions, target)))
        point = Certificate(coef, intercept, scores, predictions, gradient)
        return point.price(loss, self.penalty, target)

    @property
    def may_be_finer(self):
        """Whether the device supports a higher precision than the working precision."""
        return self.design.dtype == torch.float32 and self.design.device.type != "mps"

    def in_double(self):
        """Return the same problem in float64, streamed from X.

        Streaming is slower, but avoids a second copy.
        """
        design = self.design
        if isinstance(design, (DeviceDesign, SparseDesign)):
            fine = design.in_double()
        else:
            moments = to_numpy(design.mean), to_numpy(design.scale)
            kind = {"rows": design.rows, "device": design.device, "dtype": torch.float64}
            fine = StreamedDesign(design.X, weight=None, moments=moments, center=True, **kind)
        rows = to_tensor(design.rows, device=design.exact_device)
        target = self.exact_target[rows].to(design.device, torch.float64)
        return replace(self, design=fine, target=target, is_fine=True, memory={})

    def smoothness(self, batch_size):
        """Estimate the smoothness along the principal direction and for a batch.

        Some rows suffice: with fewer rows, the principal eigenvalue is overestimated, which is
        safe.

        Returns
        -------
        eigenvalue, batch_eigenvalue : float
            The largest eigenvalue of the correlation matrix, and a bound on its mean over batches,
            both without the curvature of the loss.
        """
        if "smoothness" not in self.memory:
            self.memory["smoothness"] = self._smoothness()
        eigenvalue, longest = self.memory["smoothness"]
        return eigenvalue, eigenvalue + longest / batch_size

    def _smoothness(self, n_rows=2048, n_iter=20):
        if isinstance(self.design, SparseDesign):
            weight = self.target.weight
            weight = weight.amax(1) if weight is not None and weight.ndim == 2 else weight
            return self.design.largest_eigenvalue(weight), 0.0
        parts = self.design.head(n_rows)
        weight = self.target[:n_rows].weight
        if weight is not None and weight.ndim == 2:
            weight = weight.amax(1)
        longest, ends = 0.0, []
        for part in parts:
            start = ends[-1].stop if ends else 0
            ends.append(slice(start, start + len(part)))
            for block in row_blocks(part):
                squares = part[block].square().sum(1)
                if weight is not None:
                    squares *= weight[ends[-1]][block]
                longest = max(longest, float(squares.max()))
        vector = part.new_ones(part.shape[1])
        norm = vector.norm()
        for _ in range(n_iter):
            direction, vector = vector / norm, torch.zeros_like(vector)
            for own, part in zip(ends, parts, strict=True):
                scores = part @ direction
                if weight is not None:
                    scores *= weight[own]
                vector += part.T @ scores / ends[-1].stop
            norm = vector.norm()
            if norm == 0:
                return 1.0, 0.0
        return float(norm), longest


def build_problem(
    X,
    targets,
    *,
    standardize,
    fit_intercept,
    random_state,
    device,
    tol,
    samples=None,
    moments=None,
    is_resident=True,
):
    """Build the problem of a linear model on a matrix, without a penalty.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    targets : ClassTargets or NumberTargets

    standardize, fit_intercept : bool

    random_state : RandomState

    device : torch.device

    tol : float

    samples : ndarray of int, or None, default=None
        The rows of X to use, ascending, one per target; None uses all.

    moments : (ndarray, ndarray) or None, default=None
        Means and scales of the columns; None computes them from X.

    is_resident : bool, default=True
        Whether a working copy in host memory is allowed.

    Returns
    -------
    problem : Problem
    """
    n_samples = X.shape[0] if samples is None else len(samples)
    choice, X = _choose_design(X, n_samples, device, is_resident)
    if choice is SparseDesign:
        device = torch.device("cpu")
        rows, X = np.arange(n_samples), X if samples is None else X[samples]
    else:
        is_sent = not getattr(choice, "keywords", {}).get("is_kept", True)
        rows = reading_order(X, n_samples, random_state, is_sent=is_sent)
        X = X if samples is None else RowView(X, samples)
    design = choice(
        X,
        weight=_tensor(targets.moment_weight),
        moments=moments,
        center=fit_intercept,
        rows=rows,
        device=device,
    )
    loss = targets.loss
    exact = Target(loss.encode(to_tensor(targets.values)), _tensor(targets.weight))
    exact = exact.to(design.exact_device, torch.float64)
    target = exact[to_tensor(rows, device=design.exact_device)].to(device, design.dtype)
    unit = torch.ones_like(design.scale) if standardize else design.scale
    is_fine = tol < 1e-5 or design.dtype == torch.float64
    problem = Problem(design, loss, None, exact, target, fit_intercept, unit, is_fine)
    return problem.penalized(0.0, 0.0)


def build_stacked_problem(X, targets, *, standardize, fit_intercept, random_state, device, tol):
    """Build one problem from several that differ only in their sample weights.

    All of them use the column moments of all rows: the free intercepts absorb the means, and the
    units of the penalties absorb the scales.

    Parameters
    ----------
    targets : list of ClassTargets or of NumberTargets
        With the same values and losses; weights are zero for the rows that a problem leaves out.

    X, standardize, fit_intercept, random_state, device, tol
        As in `build_problem`.

    Returns
    -------
    problem : Problem
        Its rows of coefficients are those of the problems, in order.
    """
    whole = replace(targets[0], weight=None, moment_weight=None)
    options = {"random_state": random_state, "device": device, "tol": tol}
    problem = build_problem(X, whole, standardize=False, fit_intercept=fit_intercept, **options)
    design = problem.design
    weight = torch.stack([_tensor(own.weight) for own in targets], dim=1)
    exact = StackedTarget(problem.exact_target.y, weight.to(design.exact_device, torch.float64))
    rows = to_tensor(design.rows, device=design.exact_device)
    unit = design.scale.expand(len(targets), -1)
    if standardize:
        weights = [_tensor(own.moment_weight) for own in targets]
        scales = [design.moments(own)[1] for own in weights]
        unit = design.scale / torch.stack(scales)
    return replace(
        problem,
        loss=StackedLoss(problem.loss, len(targets)),
        exact_target=exact,
        target=exact[rows].to(device, design.dtype),
        unit=unit.repeat_interleave(problem.loss.n_rows, dim=0),
        memory={},
    ).penalized(0.0, 0.0)


def _tensor(weight):
    return None if weight is None else to_tensor(weight)


def _choose_design(X, n_samples, device, is_resident):
    """Choose between a copy and streaming X at every pass; a CSR matrix has its own design."""
    if issparse(X):
        return SparseDesign, X
    if device.type == "cuda":
        n_bytes = n_samples * X.shape[1] * X.dtype.itemsize
        return partial(DeviceDesign, is_kept=n_bytes <= _DEVICE_SHARE * _free_memory(device)), X
    if is_memory_mapped(X) or not is_resident:
        return StreamedDesign, X
    if X.dtype.itemsize == 2:
        # In column order, reading single rows would touch every cache line of the matrix.
        return StreamedDesign, X if X.flags.c_contiguous else X.copy(order="C")
    return ResidentDesign, X


def _free_memory(device):
    """Return the free bytes of a GPU, including those that torch keeps for later use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
