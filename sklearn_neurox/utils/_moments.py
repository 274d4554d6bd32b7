# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.utils._validation import row_blocks


def column_means(X, sample_weight=None):
    """Compute the mean of every column in double precision, block by block."""
    shares = _shares(X, sample_weight)
    # Differences from a row of positive weight make the mean of a constant column exact.
    origin = X[np.argmax(shares > 0)].astype(np.float64)
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        total += shares[block] @ (X[block] - origin)
    return origin + total


def column_deviations(X, means, sample_weight=None):
    """Compute the standard deviation of every column in double precision; 0 if constant."""
    shares = _shares(X, sample_weight)
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        centered = X[block] - means
        with np.errstate(over="ignore"):
            total += shares[block] @ np.square(centered, out=centered)
    if not np.isfinite(total).all():
        column = int(np.flatnonzero(~np.isfinite(total))[0])
        raise ValueError(
            f"The values of column {column} of X are too large: the variance of the column is not "
            "a finite number. Rescale the column, for example divide it by its largest value."
        )
    return np.sqrt(total)


def _shares(X, sample_weight):
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    return weight / weight.sum()
