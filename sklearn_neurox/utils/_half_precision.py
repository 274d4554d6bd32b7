# SPDX-License-Identifier: BSD-3-Clause
"""Conversion to half precision that raises an error on overflow."""

import numpy as np


def narrowed(values, dtype, what):
    """Cast values of shape (n, n_units) to a dtype; raise an OverflowError if one does not fit.

    ``what`` returns the name of a unit, given its column, for the error message.
    """
    cast, lost = cast_and_find_lost(values, dtype)
    if lost is not None:
        row, unit = (int(i[0]) for i in np.nonzero(lost))
        raise OverflowError(
            f"{what(unit)} is {values[row, unit]:.6g} for some subword, but the largest "
            f"{np.dtype(dtype)} is {np.finfo(dtype).max:.0f} ({int(lost.sum())} such values). "
            "Use float32."
        )
    return cast


def cast_and_find_lost(values, dtype):
    """Cast values, and mark the finite ones that became infinite; None if there are none."""
    if values.dtype == dtype:
        return values, None
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    lost = np.isinf(cast) & np.isfinite(values)
    return cast, lost if lost.any() else None
