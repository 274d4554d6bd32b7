# SPDX-License-Identifier: BSD-3-Clause
import copy

import numpy as np
import torch

from sklearn_neurox.probes.solvers._column_moments import scale_of
from sklearn_neurox.probes.solvers._design import StandardizedDesign
from sklearn_neurox.utils._moments import column_means, column_variances
from sklearn_neurox.utils._torch import to_numpy, to_tensor

_POWER_STEPS = 20


class SparseDesign(StandardizedDesign):
    """A design on a CSR matrix, whose columns are centered and scaled without being touched.

    With means m and scales s, ``Z @ W.T`` is ``X @ (W / s).T`` minus the constant
    ``(W / s) @ m``, and ``R.T @ Z`` is ``(R.T @ X - sum(R) m') / s``. So every product costs what
    the non-zeros cost, and nothing has the shape of X. Rows are not shuffled, as the algorithms for
    this design take whole passes.

    Parameters
    ----------
    X : csr_matrix of shape (n_samples, n_features), canonical

    weight, moments, center, rows, device, dtype
        As in `StandardizedDesign`; ``rows`` are in the order of X.
    """

    def __init__(self, X, **options):
        super().__init__(X, **options)
        self._set_working()

    def _set_working(self):
        kind = np.float64 if self.dtype == torch.float64 else np.float32
        self.working = self.X.astype(kind, copy=False)

    def moments(self, weight):
        """Compute the mean and scale of every column in float64."""
        weight = None if weight is None else to_numpy(weight)
        mean = column_means(self.X, weight)
        var = column_variances(self.X, mean, weight)
        mean, var = (to_tensor(part, dtype=torch.float64) for part in (mean, var))
        return mean, scale_of(mean, var, self.X.shape[0])

    def scores(self, coef):
        """Compute ``Z @ coef.T`` in float64, in the order of X."""
        return _product(self.X, coef / self.scale, self.mean)

    def correlate(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in float64 for a residual in the order of X."""
        return _correlation(self.X, residual, self.mean, self.scale)

    def product(self, coef):
        """Compute ``Z @ coef.T`` in the working precision and order."""
        return _product(self.working, coef / self.working_scale, self.working_mean)

    def gradient(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in the working precision and order."""
        return _correlation(self.working, residual, self.working_mean, self.working_scale)

    def largest_eigenvalue(self, weight):
        """Estimate the largest eigenvalue of the weighted correlation matrix."""
        vector = self.working_mean.new_ones(1, self.X.shape[1])
        norm = vector.norm()
        for _ in range(_POWER_STEPS):
            scores = self.product(vector / norm)
            vector = self.gradient(scores if weight is None else scores * weight[:, None])
            norm = vector.norm()
            if norm == 0:
                return 1.0
        return float(norm)

    def batches(self, n_batches):
        """Split the rows into batches, from which some columns can be read."""
        return _SparseBatches(self, n_batches)

    def in_double(self):
        """Return the same design with float64 as the working precision."""
        fine = copy.copy(self)
        fine.dtype = torch.float64
        fine.working_mean, fine.working_scale = fine.mean, fine.scale
        fine._set_working()
        return fine


class _SparseBatches:
    """Batches of rows of a `SparseDesign`."""

    def __init__(self, design, n_batches):
        self.design = design
        self.rows = np.array_split(design.rows, n_batches)

    def __len__(self):
        return len(self.rows)

    def visit(self, order):
        """Yield the number and the rows of each batch, in the given order."""
        for batch in order:
            yield batch, _StandardizedRows(self.design, self.rows[batch])


class _StandardizedRows:
    """Rows of a `SparseDesign`, of which only the columns asked for become dense."""

    def __init__(self, design, rows):
        self.design = design
        self.raw = design.working[rows[0] : rows[-1] + 1]

    def __getitem__(self, key):
        _, columns = key
        part = torch.from_numpy(self.raw[:, to_numpy(columns)].toarray())
        return (part - self.design.working_mean[columns]) / self.design.working_scale[columns]


def _product(X, coef, mean):
    return torch.from_numpy(X @ to_numpy(coef).T) - coef @ mean


def _correlation(X, residual, mean, scale):
    # The transpose of a CSR matrix is a CSC matrix on the same arrays.
    out = torch.from_numpy((X.T @ to_numpy(residual)).T)
    return (out - residual.sum(0)[:, None] * mean).div_(scale * X.shape[0])
