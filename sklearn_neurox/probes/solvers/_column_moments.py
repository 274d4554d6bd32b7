# SPDX-License-Identifier: BSD-3-Clause
import torch

from sklearn_neurox.utils._torch import to_tensor
from sklearn_neurox.utils._validation import row_blocks


def column_moments(X, weight, device):
    """Compute the mean and standard deviation of every column, block by block in float64.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    weight : tensor of shape (n_samples,), float64, or None
        Sample weights.

    device : torch.device

    Returns
    -------
    mean, scale : tensor of shape (n_features,), float64
        The scale of a column that is constant, up to rounding, is one.
    """
    n_samples, n_features = X.shape
    weight = weight if weight is None else weight.to(device)
    mean = torch.zeros(n_features, dtype=torch.float64, device=device)
    squares = torch.zeros_like(mean)
    seen = 0.0
    for block in row_blocks(X):
        part = to_tensor(X[block], dtype=torch.float64, device=device)
        if weight is None:
            total, (var, centre) = len(part), torch.var_mean(part, dim=0, correction=0)
        else:
            w = weight[block]
            total = float(w.sum())
            if total == 0:
                continue
            centre = w @ part / total
            var = w @ (part - centre).square_() / total
        gap = centre - mean
        mean += gap * (total / (seen + total))
        squares += total * var + gap.square() * (seen * total / (seen + total))
        seen += total
    return mean, scale_of(mean, squares / seen, n_samples)


def scale_of(mean, var, n_samples):
    """Turn variances into scales by scikit-learn's rounding bound for a constant column."""
    eps = torch.finfo(torch.float64).eps
    constant = var <= n_samples * eps * var + (n_samples * mean * eps).square()
    return torch.where(constant, 1.0, var.sqrt())
