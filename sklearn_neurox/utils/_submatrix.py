# SPDX-License-Identifier: BSD-3-Clause
import numpy as np


def submatrix(X, rows, columns):
    """Read some rows and columns of a matrix, which may be memory-mapped.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    rows : slice or ndarray of int

    columns : ndarray of int, of shape (n_columns,)
        At least one.

    Returns
    -------
    part : ndarray of shape (n_rows, n_columns)
        In the dtype of X. A view of X where the rows are a slice and the columns a run.
    """
    if columns[-1] - columns[0] == len(columns) - 1 and (np.diff(columns) == 1).all():
        # A slice of columns reads nothing but the rows asked for.
        return X[rows, columns[0] : columns[-1] + 1]
    return X[rows][:, columns] if isinstance(rows, slice) else X[np.ix_(rows, columns)]
