# SPDX-License-Identifier: BSD-3-Clause
"""Conversion to half precision that raises an error on overflow."""

import numpy as np


def narrowed(values, dtype, what):
    """Cast values of shape (n, n_units) to a dtype; raise an OverflowError if one does not fit.

    NumPy has no bfloat16: ``"bfloat16"`` returns its bits as uint16, which `widened` reads.
    ``what`` returns the name of a unit, given its column, for the error message.
    """
    cast, lost = cast_and_find_lost(values, dtype)
    if lost is not None:
        row, unit = (int(i[0]) for i in np.nonzero(lost))
        raise OverflowError(
            f"{what(unit)} is {values[row, unit]:.6g} for some subword, but the largest "
            f"{dtype} is {_largest(dtype):.6g} ({int(lost.sum())} such values). "
            "Use float32."
        )
    return cast


def widened(values):
    """Return values of any of these types as float32, exactly; the bits of bfloat16 are uint16."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32, copy=False)


def cast_and_find_lost(values, dtype):
    """Cast values, and mark the finite ones that became infinite; None if there are none."""
    if dtype == "bfloat16":
        cast = _bits_of_bfloat16(values)
        lost = np.isinf(widened(cast)) & np.isfinite(values)
        return cast, lost if lost.any() else None
    if values.dtype == dtype:
        return values, None
    with np.errstate(over="ignore"):
        cast = values.astype(dtype)
    lost = np.isinf(cast) & np.isfinite(values)
    return cast, lost if lost.any() else None


def _bits_of_bfloat16(values):
    """Round float32 to the nearest bfloat16, to an even last bit if two are equally near."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    with np.errstate(over="ignore"):
        rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    # Rounding could carry NaN over into another number.
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)


def _largest(dtype):
    return widened(np.array([0x7F7F], np.uint16))[0] if dtype == "bfloat16" else np.finfo(dtype).max
