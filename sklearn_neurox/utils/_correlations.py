# SPDX-License-Identifier: BSD-3-Clause
"""Column correlations, computed in blocks of rows without a standardized copy of the matrix."""

import numpy as np

from sklearn_neurox.utils._moments import column_deviations, column_means
from sklearn_neurox.utils._submatrix import submatrix

# Enough rows for a fast matrix product, few enough to need little memory.
_BLOCK_ROWS = 2048


class StandardColumns:
    """Columns of a matrix, standardized on reading.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    columns : ndarray of int, ascending, or None, default=None
        Indices of the columns; None uses all.

    dtype : dtype, default=float64
        Dtype of the standardized values.

    weight : ndarray of shape (n_samples,) or None, default=None
        Sample weights, for moments and correlations.

    moments : (ndarray, ndarray) or None, default=None
        Means and standard deviations of the columns; None computes them.

    Attributes
    ----------
    means, deviations : ndarray of shape (n_columns,), dtype float64
        A deviation of zero marks a constant column.
    """

    def __init__(self, X, columns=None, *, dtype=np.float64, weight=None, moments=None):
        self.X, self.weight = X, weight
        self.columns = np.arange(X.shape[1]) if columns is None else columns
        self.dtype = dtype
        if moments is None:
            means = column_means(X, weight)
            deviations = column_deviations(X, means, weight)
            moments = means[self.columns], deviations[self.columns]
        self.means, self.deviations = moments

    def __len__(self):
        return len(self.columns)

    def take(self, places):
        """Restrict to the columns at the given positions, a slice or ascending indices."""
        moments = self.means[places], self.deviations[places]
        options = {"dtype": self.dtype, "weight": self.weight, "moments": moments}
        return StandardColumns(self.X, self.columns[places], **options)

    def rows(self, block):
        """Return rows times the square root of their weights; constant columns are zero."""
        part = submatrix(self.X, block, self.columns).astype(self.dtype)
        part -= self.means.astype(self.dtype)
        deviations = self.deviations.astype(self.dtype)
        part = np.divide(part, deviations, out=np.zeros_like(part), where=deviations > 0)
        if self.weight is not None:
            scaled = np.sqrt(self.weight[block] / self.weight.mean())
            part *= scaled[:, np.newaxis].astype(self.dtype)
        return part


def correlations(first, second):
    """Correlate two sets of `StandardColumns`; constant columns have correlation zero.

    Products within a block of rows are summed in the dtype of the columns, blocks in float64.
    """
    total = np.zeros((len(first), len(second)))
    for start in range(0, len(first.X), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        rows = first.rows(block)
        total += rows.T @ (rows if second is first else second.rows(block))
    return total / len(first.X)
