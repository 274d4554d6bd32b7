# SPDX-License-Identifier: BSD-3-Clause
"""Absolute correlations of the columns of a matrix, a block of them at a time."""

import numpy as np

_BLOCK_COLUMNS = 1024
_BLOCK_ROWS = 4096


class Correlations:
    """The absolute correlations of some columns, computed when asked for.

    No standardised copy of the matrix is kept, so half precision and memory-mapped matrices need
    no more memory than a block.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    columns : ndarray of shape (n_columns,)
        The columns, none of which is constant.

    means, deviations : ndarray of shape (n_features,)
        Of all columns of X.
    """

    def __init__(self, X, columns, means, deviations):
        self.X = X
        self.columns = columns
        self.means = means
        self.deviations = deviations

    def __len__(self):
        return len(self.columns)

    def of(self, places):
        """Restrict to the columns at some places."""
        return Correlations(self.X, self.columns[places], self.means, self.deviations)

    def blocks(self):
        """Yield the blocks on and above the diagonal.

        Yields
        ------
        first, second : slice
            The places of the rows and of the columns of the block.

        block : ndarray, dtype float64
            The absolute correlations.
        """
        starts = range(0, len(self), _BLOCK_COLUMNS)
        slices = [slice(start, min(start + _BLOCK_COLUMNS, len(self))) for start in starts]
        for number, first in enumerate(slices):
            for second in slices[number:]:
                yield first, second, self._block(first, second)

    def _block(self, first, second):
        total = np.zeros((first.stop - first.start, second.stop - second.start))
        for start in range(0, len(self.X), _BLOCK_ROWS):
            left = self._standardized(start, first)
            right = left if first == second else self._standardized(start, second)
            # Half precision is multiplied in single, and what that rounds is summed in double.
            total += left.T @ right
        total /= len(self.X)
        return np.minimum(np.abs(total, out=total), 1.0, out=total)

    def _standardized(self, start, places):
        columns = self.columns[places]
        dtype = np.promote_types(self.X.dtype, np.float32)
        is_run = columns[-1] - columns[0] == len(columns) - 1
        # A slice of a memory-mapped matrix reads less than an array of indices.
        chosen = slice(columns[0], columns[-1] + 1) if is_run else columns
        part = self.X[start : start + _BLOCK_ROWS, chosen].astype(dtype)
        part -= self.means[columns].astype(dtype)
        part /= self.deviations[columns].astype(dtype)
        return part
