# SPDX-License-Identifier: BSD-3-Clause
"""Fill a matrix of half precision with values of single precision."""

import numpy as np

from sklearn_neurox.utils._half_precision import narrowed
from sklearn_neurox.utils._underflow import DEAD, Underflow, warn_about_zeros


class HalfMatrix:
    """Stands in for a matrix of half precision, and casts the rows that are written to it.

    Writing a value beyond the range of the dtype raises an OverflowError.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        Filled in place.

    name : callable
        Returns the name of a column.
    """

    def __init__(self, values, name):
        self.values, self.name = values, name
        self.dtype, self.shape = values.dtype, values.shape
        self.underflow = Underflow(self.shape[1])

    def __len__(self):
        return len(self.values)

    def __setitem__(self, key, values):
        """Write a number to rows, or an array to rows or to a slice of their columns."""
        if np.isscalar(values):
            self.values[key] = values
            return
        columns = key[1] if isinstance(key, tuple) else slice(None)
        start = columns.start or 0
        cast = narrowed(values, self.dtype, lambda unit: f"The neuron {self.name(start + unit)}")
        self.underflow.look(values, cast, start)
        self.values[key] = cast

    def warn(self):
        """Warn about columns that became zero."""
        found = [(self.underflow, self.name)]
        warn_about_zeros(found, self.dtype, "The matrix", f"{DEAD} use dtype='float32'.")
