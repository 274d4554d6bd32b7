# SPDX-License-Identifier: BSD-3-Clause
"""Checks and codes of labels."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._containers import to_pandas


def check_no_missing_labels(y, *, input_name="y", may_mix=False):
    """Raise an error if any label is None, NaN or ``pd.NA``, or if some are str and some not.

    ``may_mix`` allows the latter: targets of a regression are checked as numbers later.
    """
    y = to_pandas(y)
    name = getattr(y, "name", None)
    labels = y if hasattr(y, "dtype") else np.asarray(y, dtype=object)
    missing = np.asarray(pd.isna(labels))
    if missing.ndim == 2:
        missing = missing.any(axis=1)
    if not missing.any():
        if not may_mix:
            check_one_type(labels, f"Input {input_name}", f"{input_name}.astype(str)")
        return
    first = int(np.flatnonzero(missing)[0])
    column = repr(name) if isinstance(name, str) else "<the column of labels>"
    raise ValueError(
        f"Input {input_name} contains NaN: {missing.sum()} of {len(missing)} labels are missing, "
        f"the first at row {first}. Drop the rows without a label before fitting; for a frame of "
        f"words: words = words.dropna(subset=[{column}])"
    )


def check_one_type(labels, what, remedy):
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
        f"Convert all of them to one type, for example to strings with {remedy}."
    )


def encode_classes(y, counting, *, caller):
    """Find the classes in the rows selected by a mask or slice, and encode all rows by them.

    A row that is not selected gets an arbitrary code if its label is not among these classes.
    Raise an error if there are fewer than two classes.
    """
    classes = np.unique(y[counting])
    if len(classes) < 2:
        raise ValueError(
            f"{caller} needs at least two classes, but the rows of positive weight have only "
            f"1 class: {classes.tolist()[0]!r}. Give it rows of another class as well."
        )
    return classes, np.searchsorted(classes, y).clip(max=len(classes) - 1)


def encode_known(y, classes):
    """Encode labels by the classes that the first call of ``partial_fit`` has set."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y contains the labels {unknown.tolist()}, which are not in classes. In the "
            "first call of partial_fit, set classes to all labels that can occur."
        )
    return np.searchsorted(classes, y)
