# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.probes.solvers._column_moments import column_moments
from sklearn_neurox.probes.solvers._linear_scores import linear_scores
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._torch import to_numpy, to_tensor


class StandardizedDesign:
    """The matrix as the solvers see it: columns centered and of unit variance.

    Scaling is only a change of variables and does not alter the penalty. It prevents columns of
    very different scale, which are common in language models, from slowing down the solvers.

    Certificates read X itself, in float64; the algorithms read shuffled, standardized rows in the
    working precision. A subclass takes those from a copy or reads X again.

    Parameters
    ----------
    X : ndarray or RowView of shape (n_samples, n_features)
        Never modified.

    weight : tensor of shape (n_samples,), float64, or None
        Sample weights of the moments.

    moments : (ndarray, ndarray) or None
        Means and scales of the columns; None computes them from X.

    center : bool
        Whether to center columns; False without a free intercept to absorb the means.

    rows : ndarray of shape (n_samples,)
        The rows of X in the working order, in which the algorithms see them.

    device : torch.device

    dtype : torch.dtype or None, default=None
        The working precision; None uses float64 for a float64 matrix and float32 otherwise.

    Attributes
    ----------
    mean, scale : tensor of shape (n_features,), float64
        Constant columns have scale one.

    dtype : torch.dtype
        The working precision.
    """

    def __init__(self, X, *, weight, moments, center, rows, device, dtype=None):
        self.X = X
        self.rows = rows
        self.device = device
        # Apple's GPUs have no float64, so certificates are computed on the CPU.
        self.exact_device = torch.device("cpu") if device.type == "mps" else device
        self.dtype = dtype or (torch.float64 if X.dtype.itemsize == 8 else torch.float32)
        if moments is None:
            self.mean, self.scale = self.moments(weight)
        else:
            kind = {"dtype": torch.float64, "device": self.exact_device}
            self.mean, self.scale = (to_tensor(part, **kind) for part in moments)
        if not center:
            self.mean = torch.zeros_like(self.mean)
        self.working_mean = self.mean.to(self.dtype).to(device)
        self.working_scale = self.scale.to(self.dtype).to(device)

    @property
    def shape(self):
        """Shape of X."""
        return self.X.shape

    def moments(self, weight):
        """Compute the mean and scale of every column in float64, with sample weights or None."""
        return column_moments(self.X, weight, self.exact_device)

    def scores(self, coef):
        """Compute ``Z @ coef.T`` in float64, in the order of X."""
        coef = coef / self.scale
        out = coef.new_empty((len(self.X), len(coef)))
        for block in row_blocks(self.X):
            out[block] = linear_scores(self._exact(block), coef)
        return out

    def product(self, coef):
        """Compute ``Z @ coef.T`` in the working precision and order."""
        out = coef.new_empty((len(self.X), len(coef)))
        for block, rows in self.blocks():
            out[block] = linear_scores(rows, coef)
        return out

    def correlate(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in float64 for a residual in the order of X."""
        out = residual.new_zeros((residual.shape[1], self.X.shape[1]))
        for block in row_blocks(self.X):
            out.addmm_(residual[block].T, self._exact(block))
        return out.div_(self.scale * len(self.X))

    def _exact(self, block):
        part = to_tensor(self.X[block], dtype=torch.float64, device=self.exact_device)
        return part - self.mean

    def in_input_units(self, coef, intercept):
        """Map coefficients for standardized columns to arrays in units of X."""
        coef = coef.to(self.exact_device).double() / self.scale
        intercept = intercept.to(self.exact_device).double() - coef @ self.mean
        return to_numpy(coef), to_numpy(intercept)

    def from_input_units(self, coef, intercept):
        """Map arrays of coefficients in units of X to those for standardized columns."""
        coef = to_tensor(coef, dtype=torch.float64, device=self.exact_device)
        intercept = to_tensor(intercept, dtype=torch.float64, device=self.exact_device)
        return coef * self.scale, intercept + coef @ self.mean


class ResidentDesign(StandardizedDesign):
    """A design that keeps a standardized, shuffled copy of X on the device."""

    def __init__(self, X, *, rows, device, **options):
        super().__init__(X, rows=rows, device=device, **options)
        self.working = torch.empty(X.shape, dtype=self.dtype, device=device)
        inverse = self.working_scale.reciprocal()
        for block in row_blocks(X):
            part = to_tensor(X[rows[block]], dtype=self.dtype, device=device)
            torch.sub(part, self.working_mean, out=part)
            torch.mul(part, inverse, out=self.working[block])

    def gradient(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in the working precision and order."""
        return residual.T @ self.working / len(self.working)

    def head(self, n_rows):
        """Return the first rows, as a list of blocks."""
        return [self.working[:n_rows]]

    def blocks(self):
        """Yield slices of the working order, each with its rows."""
        for block in row_blocks(self.X):
            yield block, self.working[block]

    def batches(self, n_batches):
        """Split the working order into batches, which can be visited in any order."""
        return ResidentBatches(self.working.tensor_split(n_batches))


class ResidentBatches:
    """Batches that are views of a working copy."""

    def __init__(self, parts):
        self.parts = parts

    def __len__(self):
        return len(self.parts)

    def visit(self, order):
        """Yield the number and the rows of each batch, in the given order."""
        for batch in order:
            yield batch, self.parts[batch]
