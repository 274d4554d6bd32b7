# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.utils._validation import row_blocks


def column_means(X):
    """Compute the mean of every column, in double precision, block by block.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    means : ndarray of shape (n_features,), dtype float64
    """
    # Differences from the first row make the mean of a constant column that very constant.
    origin = X[0].astype(np.float64)
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        total += (X[block] - origin).sum(axis=0)
    return origin + total / X.shape[0]


def column_deviations(X, means):
    """Compute the standard deviation of every column, exactly zero where it is constant.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    means : ndarray of shape (n_features,)
        The column means.

    Returns
    -------
    deviations : ndarray of shape (n_features,), dtype float64
    """
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        centred = X[block] - means
        total += np.einsum("ij,ij->j", centred, centred)
    return np.sqrt(total / X.shape[0])
