# SPDX-License-Identifier: BSD-3-Clause
"""Columns in which large integers stay exact beside missing values."""

from numbers import Integral

import numpy as np
import pandas as pd

# pandas converts integers beside missing values to float64, which is exact up to here.
_MOST_EXACT = 2**53


def exact_series(values):
    """Return a list as a Series whose large integers are exact even if other values are missing.

    Such a Series is ``Int64``, ``UInt64`` or object. Any other has the dtype that pandas infers.
    """
    series = pd.Series(values)
    if series.dtype != np.float64 or not has_large(series):
        return series
    present = [value for value in values if not pd.isna(value)]
    if not any(_is_large(value) for value in present) or not all(
        isinstance(value, Integral) for value in present
    ):
        return series
    dtype = "Int64"
    if max(present) > np.iinfo(np.int64).max:
        dtype = "UInt64" if min(present) >= 0 else object
    filled = [None if pd.isna(value) else int(value) for value in values]
    return pd.Series(filled, dtype=dtype)


def has_large(column):
    """Return whether a column of floats, or of arrays of floats, may have rounded integers."""
    if column.dtype == np.float64:
        return bool((column.abs() > _MOST_EXACT - 1).any())
    if column.dtype != object:
        return False
    return any(
        isinstance(cell, np.ndarray)
        and cell.dtype == np.float64
        and bool((np.abs(cell) > _MOST_EXACT - 1).any())
        for cell in column
    )


def _is_large(value):
    return isinstance(value, Integral) and abs(int(value)) > _MOST_EXACT
