# SPDX-License-Identifier: BSD-3-Clause
"""Values to half precision, where what does not fit is an error."""

import numpy as np


def narrowed(values, dtype, what):
    """Cast values to the dtype they are to be kept in.

    Parameters
    ----------
    values : ndarray of shape (n, n_units)

    dtype : dtype

    what : callable
        Called with the place of the first unit that does not fit; names it.

    Returns
    -------
    values : ndarray of shape (n, n_units)

    Raises
    ------
    OverflowError
        If a finite value is beyond the range of the dtype.
    """
    cast, lost = cast_and_find_lost(values, dtype)
    if lost is not None:
        row, unit = (int(i[0]) for i in np.nonzero(lost))
        raise OverflowError(
            f"{what(unit)} is {values[row, unit]:.6g} for some subword, which {np.dtype(dtype)} "
            f"cannot hold: it ends at {np.finfo(dtype).max:.0f} ({int(lost.sum())} such values). "
            "Keep float32."
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
