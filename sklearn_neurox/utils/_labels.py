# SPDX-License-Identifier: BSD-3-Clause
"""Checks and codes of labels."""

from collections.abc import Iterable, Set
from datetime import datetime

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._warn_user import warn_user

# What scikit-learn takes as class labels; complex numbers have no order.
_PLAIN = (str, bool, int, float, np.bool_, np.integer, np.floating, np.datetime64, datetime)


def check_no_missing_labels(y, *, input_name="y", may_mix=False):
    """Raise an error if any label is None, NaN or ``pd.NA``, or if some are str and some not.

    ``may_mix`` allows the latter: targets of a regression are checked as numbers later.
    """
    y = to_pandas(y)
    name = getattr(y, "name", None)
    labels = y if hasattr(y, "dtype") else np.asarray(y, dtype=object)
    if not may_mix:
        check_plain(labels, f"Input {input_name}", input_name)
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


def check_plain(labels, what, name):
    """Raise an error at the first label that is neither a string, a number nor missing."""
    of_objects = isinstance(labels.dtype, (pd.IntervalDtype, pd.PeriodDtype))
    if not of_objects and not pd.api.types.is_object_dtype(labels):
        return
    values = np.asarray(labels, dtype=object)
    if values.ndim == 1:
        for row, value in enumerate(values):
            if not isinstance(value, _PLAIN) and not (_is_one(value) and pd.isna(value)):
                raise TypeError(_odd_label(what, name, row, value))


def _odd_label(what, name, row, value):
    remedy = f"for example as strings: {name} = [str(label) for label in {name}]"
    if isinstance(value, bytes):
        remedy = f"for example with {name} = [label.decode() for label in {name}]"
    elif not _is_one(value):
        remedy = f"for example the first: {name} = [label[0] for label in {name}]"
        if not isinstance(value, (list, tuple, np.ndarray)):
            remedy = f"for example with a function of yours: {name} = [choose(v) for v in {name}]"
    return (
        f"{what} has {value!r:.60} of type {type(value).__name__} at row {row}, but a label is a "
        f"string, an integer or a bool. Give each row one of these, {remedy}."
    )


def check_groups(groups, caller):
    """Raise an error at the first group that cannot be compared with the others."""
    if groups is None or not pd.api.types.is_object_dtype(getattr(groups, "dtype", object)):
        return
    values = np.empty(len(groups), dtype=object)
    values[:] = list(groups)
    first = None
    for row, value in enumerate(values):
        is_odd = isinstance(value, (Set, complex)) or not is_hashable(value)
        if not is_odd and not (_is_one(value) and pd.isna(value)):
            first = value if first is None else first
            try:
                is_odd = not (value <= first or value > first)
            except (TypeError, ValueError):
                is_odd = True
        if is_odd:
            raise TypeError(
                f"The 'groups' parameter of {caller} has {value!r:.60} of type "
                f"{type(value).__name__} at row {row}, which cannot be sorted among the groups. "
                "Give each row a string or a number, for example with "
                "groups = [str(group) for group in groups]."
            )


def check_no_missing_groups(groups, caller):
    """Raise an error at the first row without a group, which is in no fold."""
    missing = np.asarray(pd.isna(pd.Series(list(groups), dtype=object)))
    if missing.any():
        raise ValueError(
            f"The 'groups' parameter of {caller} contains NaN: {missing.sum()} of {len(missing)} "
            f"rows have no group, the first is row {int(missing.argmax())}. Drop these rows, or "
            "give each of them a group."
        )


def is_hashable(value):
    """Return whether a value can be counted and looked up; a tuple that holds a list cannot."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_one(value):
    """Return whether a value is single, so that `pandas.isna` returns one bool for it."""
    return isinstance(value, (str, bytes)) or not isinstance(value, (Iterable, slice))


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


def check_class_labels(y, *, input_name="y"):
    """Raise an error if y holds no class labels; for numbers in an object array, say the remedy."""
    try:
        check_classification_targets(y)
    except ValueError as error:
        values = np.asarray(y, dtype=object).ravel()
        kinds = sorted({type(value).__name__ for value in values})
        if not pd.api.types.is_object_dtype(getattr(y, "dtype", None)) or "str" in kinds:
            raise
        family = {kind.rstrip("_0123456789").removeprefix("u") for kind in kinds}
        own = family.pop() if family in ({"bool"}, {"int"}, {"float"}) else "str"
        raise ValueError(
            f"Unknown label type: {input_name} has dtype object, but holds no strings: its labels "
            f"are of type {' and '.join(kinds)}. Convert them with {input_name} = "
            f"{input_name}.astype({own})."
        ) from error


def warn_about_spaces(classes, *, caller):
    """Warn if two classes differ only in the white space around them."""
    names = [name for name in np.asarray(classes).tolist() if isinstance(name, str)]
    padded = [name for name in names if name != name.strip() and name.strip() in names]
    if padded:
        warn_user(
            f"{caller} treats the labels {padded[0]!r} and {padded[0].strip()!r} as different "
            "classes, but they differ only in white space. Remove it with y.str.strip()."
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
    warn_about_spaces(classes, caller=caller)
    return classes, np.searchsorted(classes, y).clip(max=len(classes) - 1)


def class_codes(labels, classes):
    """Return the place of each label among the classes, or -1.

    Labels are compared as Python does: True equals 1 and 1.0, which pandas tells apart.
    """
    places = {label: place for place, label in enumerate(np.asarray(classes).tolist())}
    codes, values = pd.factorize(np.asarray(labels))
    return np.array([places.get(value, -1) for value in values.tolist()], dtype=np.intp)[codes]


def encode_known(y, classes):
    """Encode labels by the classes that the first call of ``partial_fit`` has set."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y contains the labels {unknown.tolist()}, which are not in classes. In the "
            "first call of partial_fit, set classes to all labels that can occur."
        )
    return np.searchsorted(classes, y)
