# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import torch

from sklearn_neurox.utils._torch import to_numpy, to_tensor
from sklearn_neurox.utils._validation import row_blocks


class StandardizedDesign:
    """The matrix as the solvers see it: columns centred and of unit variance.

    Scaling is a change of variables only; what is penalised is the penalty's business. It keeps
    columns of very different scale, which language models do have, from slowing the solvers.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Kept, never changed.

    centre : bool
        False where there is no free intercept to absorb the means.

    rows : ndarray of shape (n_samples,)
        The row order of the working copy.

    device : torch.device

    Attributes
    ----------
    working : tensor of shape (n_samples, n_features)
        The standardized copy with shuffled rows: float64 of float64, float32 of anything else.

    mean, scale : tensor of shape (n_features,), float64
        Constant columns have scale one.
    """

    def __init__(self, X, *, centre, rows, device):
        self.X = X
        self.device = device
        dtype = torch.float64 if X.dtype == np.float64 else torch.float32
        self.working = torch.empty(X.shape, dtype=dtype, device=device)
        self.mean, self.scale = self._moments()
        if not centre:
            self.mean = torch.zeros_like(self.mean)
        mean, scale = self.mean.to(dtype), self.scale.to(dtype)
        for block in row_blocks(X):
            part = self._load(X[rows[block]], dtype)
            torch.sub(part, mean, out=part)
            torch.div(part, scale, out=self.working[block])

    def _load(self, part, dtype):
        return to_tensor(part, dtype=dtype, device=self.device)

    def _moments(self):
        n_samples, n_features = self.X.shape
        mean = torch.zeros(n_features, dtype=torch.float64, device=self.device)
        squares = torch.zeros_like(mean)
        seen = 0
        for block in row_blocks(self.X):
            part = self._load(self.X[block], torch.float64)
            var, centre = torch.var_mean(part, dim=0, correction=0)
            n, gap = len(part), centre - mean
            mean += gap * (n / (seen + n))
            squares += n * var + gap.square() * (seen * n / (seen + n))
            seen += n
        var = squares / n_samples
        # The rounding bound scikit-learn's scalers use to tell a constant column.
        eps = torch.finfo(torch.float64).eps
        constant = var <= n_samples * eps * var + (n_samples * mean * eps).square()
        return mean, torch.where(constant, 1.0, var.sqrt())

    def scores(self, coef):
        """``Z @ coef.T`` in float64, in the order of X."""
        coef = (coef / self.scale).T.contiguous()
        out = torch.empty((len(self.X), coef.shape[1]), dtype=torch.float64, device=self.device)
        for block in row_blocks(self.X):
            part = self._load(self.X[block], torch.float64) - self.mean
            torch.mm(part, coef, out=out[block])
        return out

    def correlate(self, residual):
        """``residual.T @ Z / n_samples`` in float64, for a residual in the order of X."""
        shape = (residual.shape[1], self.X.shape[1])
        out = torch.zeros(shape, dtype=torch.float64, device=self.device)
        for block in row_blocks(self.X):
            part = self._load(self.X[block], torch.float64) - self.mean
            out.addmm_(residual[block].T, part)
        return out.div_(self.scale * len(self.X))

    def in_input_units(self, coef, intercept):
        """Map coefficients of the standardized columns to those of X, as arrays."""
        coef = coef / self.scale
        return to_numpy(coef), to_numpy(intercept - coef @ self.mean)
