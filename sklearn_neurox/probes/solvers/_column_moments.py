# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import torch

from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._torch import to_numpy, to_tensor

# Variances in this range neither overflow float32 nor lose digits when squared.
_SMALLEST, _LARGEST = 1e-30, 1e30


def column_moments(X, weight, device):
    """Compute the mean and standard deviation of every column, block by block.

    Each block is summed in the precision of X (float32 for float16) after subtracting a
    row: constant columns are then exactly zero, and rounding errors are relative to the spread of
    a column, not to its mean. Block sums are combined in float64.

    Returns
    -------
    mean, scale : tensor of shape (n_features,), float64
        The scale is one for a column that is constant up to rounding.
    """
    dtype = torch.float64 if X.dtype.itemsize == 8 else torch.float32
    every = np.arange(X.shape[1])
    mean, var = _moments(X, weight, device, dtype, every)
    if dtype == torch.float32:
        # Squares outside the range of float32, and zeros, which may be underflowed squares.
        extreme = to_numpy(~((var > _SMALLEST) & (var < _LARGEST))).nonzero()[0]
        if len(extreme):
            mean[extreme], var[extreme] = _moments(X, weight, device, torch.float64, extreme)
    return mean, scale_of(mean, var, len(X))


def _moments(X, weight, device, dtype, columns):
    is_whole = len(columns) == X.shape[1]

    def parts():
        for block in row_blocks(X):
            rows = X[block] if is_whole else X[block][:, columns]
            yield block, to_tensor(rows, dtype=dtype, device=device)

    return moments_of_parts(parts(), weight, dtype, device)


def moments_of_parts(parts, weight, dtype, device):
    """Compute the means and variances of columns from pairs of a slice and its rows.

    ``weight`` has the order of the slices; sums within a part are computed in ``dtype``.
    """
    if weight is not None:
        weight = weight.to(device=device, dtype=dtype)
    shift, seen = None, 0.0
    for block, rows in parts:
        w = rows.new_ones(len(rows), dtype=dtype) if weight is None else weight[block]
        total = float(len(rows)) if weight is None else float(w.sum())
        if total == 0:
            continue
        if shift is None:
            # Any row that counts; a copy, because the buffer of the first part may be used again.
            first = int((w > 0).double().argmax())
            shift = rows[first : first + 1].to(dtype, copy=True)
            mean = torch.zeros(shift.shape[1], dtype=torch.float64, device=device)
            squares = torch.zeros_like(mean)
        part = rows - shift
        center = w @ part / total
        part.sub_(center).square_()
        gap = center.double() - mean
        mean += gap * (total / (seen + total))
        squares += (w @ part).double() + gap.square() * (seen * total / (seen + total))
        seen += total
    return mean + shift[0], squares / seen


def scale_of(mean, var, n_samples):
    """Turn variances into scales; scikit-learn's rounding bound identifies constant columns."""
    eps = torch.finfo(torch.float64).eps
    constant = var <= n_samples * eps * var + (n_samples * mean * eps).square()
    return torch.where(constant, 1.0, var.sqrt())
