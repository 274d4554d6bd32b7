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
        total += shares[block] @ np.square(centered, out=centered)
    return np.sqrt(total)


def _shares(X, sample_weight):
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    return weight / weight.sum()
