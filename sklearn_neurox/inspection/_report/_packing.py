# SPDX-License-Identifier: BSD-3-Clause
"""Arrays and frames as compact JSON."""

import base64
import zlib

import numpy as np
import pandas as pd


def pack(values, dtype):
    """Encode an array as deflated, little-endian bytes of the given dtype in base64."""
    values = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    data = base64.b64encode(zlib.compress(values.tobytes(), 6)).decode("ascii")
    return {"dtype": dtype, "shape": list(values.shape), "data": data}


def pack_rounded(values):
    """Encode an array as float32 of 11 bits of precision, which are smaller when deflated."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = np.where(np.isfinite(values), (bits + 0x800) & 0xFFFFF000, bits)
    return pack(rounded.astype(np.uint32).view(np.float32), "float32")


def pack_indices(values):
    """Encode non-negative integers in the smallest type that holds the largest."""
    largest = np.max(values, initial=0)
    dtypes = ("uint8", "uint16", "uint32")
    return pack(values, next(name for name in dtypes if largest <= np.iinfo(name).max))


def pack_scaled(values):
    """Encode an array in 16 bits, in steps of 1 / 32767 of the largest absolute value."""
    scale = float(np.max(np.abs(values), initial=0)) / 32767 or 1.0
    return {**pack(np.round(values / scale), "int16"), "scale": scale}


def pack_frame(frame):
    """Encode a DataFrame as column names, whether each column is numeric, and rows."""
    numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in frame.dtypes]
    columns = [
        [_number(value) for value in frame.iloc[:, i]]
        if numeric[i]
        else ["" if pd.isna(value) else str(value) for value in frame.iloc[:, i]]
        for i in range(frame.shape[1])
    ]
    return {
        "columns": [str(name) for name in frame.columns],
        "numeric": numeric,
        "rows": [list(row) for row in zip(*columns, strict=True)],
    }


def _number(value):
    if pd.isna(value) or not np.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else float(value)
