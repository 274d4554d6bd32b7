# SPDX-License-Identifier: BSD-3-Clause
import numpy as np


def submatrix(X, rows, columns):
    """Read rows (slice or indices) and columns (indices) of a matrix, possibly memory-mapped.

    The result is a view of X if the rows are a slice and the columns are consecutive.
    """
    if columns[-1] - columns[0] == len(columns) - 1 and (np.diff(columns) == 1).all():
        # A slice of columns reads only the requested rows.
        return X[rows, columns[0] : columns[-1] + 1]
    return X[rows][:, columns] if isinstance(rows, slice) else X[np.ix_(rows, columns)]
