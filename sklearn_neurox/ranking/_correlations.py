# SPDX-License-Identifier: BSD-3-Clause
"""Correlations between the columns of two matrices, read by blocks of rows."""

import numpy as np
from scipy.linalg import eigh

from sklearn_neurox.ranking._moments import column_deviations, column_means

# Enough for full speed of the matrix product, few enough to stay small.
_BLOCK_ROWS = 2048
# Variance below this fraction of the largest is rounding.
_RANK_TOLERANCE = 1e-10
# Of the variance, which is what SVCCA keeps.
_KEPT_VARIANCE = 0.99


class StandardColumns:
    """Some columns of a matrix, centred and scaled to unit variance as they are read.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    columns : ndarray of int or None, default=None
        Which; None for all.
    """

    def __init__(self, X, columns=None):
        self.X = X
        self.columns = slice(None) if columns is None else columns
        self.n_samples = X.shape[0]
        means = column_means(X)
        deviations = column_deviations(X, means)
        self.means, self.deviations = means[self.columns], deviations[self.columns]

    def rows(self, block):
        """Give a block of rows in float64; a constant column is zero."""
        centred = self.X[block][:, self.columns] - self.means
        return np.divide(
            centred, self.deviations, out=np.zeros_like(centred), where=self.deviations > 0
        )


def correlations(first, second):
    """Correlate the columns of one matrix with those of another.

    Parameters
    ----------
    first, second : StandardColumns

    Returns
    -------
    correlations : ndarray of shape (n_first, n_second)
        Zero for constant columns.
    """
    total = np.zeros((len(first.means), len(second.means)))
    for start in range(0, first.n_samples, _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, first.n_samples))
        rows = first.rows(block)
        total += rows.T @ (rows if second is first else second.rows(block))
    return total / first.n_samples


def explained_by_all(own, other):
    """Multiple correlation of every column with all columns of another matrix.

    Parameters
    ----------
    own, other : StandardColumns

    Returns
    -------
    correlations : ndarray of shape (n_own,)
    """
    variances, directions = _principal(other)
    return _length(correlations(own, other) @ (directions / np.sqrt(variances)))


def explained_by_shared_subspace(own, other):
    """Length of every column's part in the principal subspace of both matrices.

    Parameters
    ----------
    own, other : StandardColumns

    Returns
    -------
    lengths : ndarray of shape (n_own,)
        Of columns of length 1, projected on the principal components of their own matrix and
        then on those of the other.
    """
    variances, directions = _principal(own, _KEPT_VARIANCE)
    other_variances, other_directions = _principal(other, _KEPT_VARIANCE)
    between = directions.T @ correlations(own, other) @ other_directions
    # The components' own scales cancel but for those of the other matrix.
    return _length(directions @ (between / np.sqrt(other_variances)))


def _principal(columns, share=1.0):
    """Variances and directions of the fewest components that hold a share of the variance."""
    variances, directions = eigh(correlations(columns, columns))
    variances, directions = variances[::-1], directions[:, ::-1]
    above = variances > _RANK_TOLERANCE * variances[0]
    variances, directions = variances[above], directions[:, above]
    if share < 1:
        n_kept = np.searchsorted(np.cumsum(variances), share * variances.sum()) + 1
        variances, directions = variances[:n_kept], directions[:, :n_kept]
    return variances, directions


def _length(rows):
    return np.sqrt(np.einsum("ij,ij->i", rows, rows))
