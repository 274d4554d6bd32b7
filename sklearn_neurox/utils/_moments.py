# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.utils._validation import row_blocks


def column_means(X, sample_weight=None):
    """Compute the mean of every column, in double precision, block by block.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    sample_weight : ndarray of shape (n_samples,) or None, default=None

    Returns
    -------
    means : ndarray of shape (n_features,), dtype float64
    """
    shares = _shares(X, sample_weight)
    # Differences from a row that counts make the mean of a constant column that very constant.
    origin = X[np.argmax(shares > 0)].astype(np.float64)
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        total += shares[block] @ (X[block] - origin)
    return origin + total


def column_deviations(X, means, sample_weight=None):
    """Compute the standard deviation of every column, exactly zero where it is constant.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    means : ndarray of shape (n_features,)
        The column means.

    sample_weight : ndarray of shape (n_samples,) or None, default=None

    Returns
    -------
    deviations : ndarray of shape (n_features,), dtype float64
    """
    shares = _shares(X, sample_weight)
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        centred = X[block] - means
        total += shares[block] @ np.square(centred, out=centred)
    return np.sqrt(total)


def _shares(X, sample_weight):
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    return weight / weight.sum()
