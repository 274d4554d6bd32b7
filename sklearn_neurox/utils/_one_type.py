# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd


def check_one_type(labels, what):
    """Raise an error if some labels are strings and others are not; missing ones are ignored."""
    if not pd.api.types.is_object_dtype(labels):
        return
    values = np.asarray(labels, dtype=object).ravel()
    is_text = np.array([isinstance(value, str) for value in values], dtype=bool)
    other = ~is_text & ~np.asarray(pd.isna(values), dtype=bool)
    if not is_text.any() or not other.any():
        return
    row, other_row = int(is_text.argmax()), int(other.argmax())
    raise ValueError(
        f"{what} mixes strings and other types: {values[row]!r} at row {row} is a string, but "
        f"{values[other_row]!r} at row {other_row} is of type {type(values[other_row]).__name__}. "
        "Convert all of them to one type, for example to strings with str()."
    )
