# SPDX-License-Identifier: BSD-3-Clause
"""Conversion to half precision that raises an error on overflow."""

import numpy as np


def narrowed(values, dtype, what):
    """Cast values of shape (n, n_units) to a dtype; raise an OverflowError if one does not fit.

    ``what`` returns the name of a unit, given its column, for the error message.
    """
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    lost = np.isinf(cast) & np.isfinite(values)
    if lost.any():
        row, unit = (int(i[0]) for i in np.nonzero(lost))
        raise OverflowError(
            f"{what(unit)} is {values[row, unit]:.6g} for some subword, but {np.dtype(dtype)} "
            f"ends at {np.finfo(dtype).max:.0f} ({int(lost.sum())} such values). Use float32."
        )
    return cast
