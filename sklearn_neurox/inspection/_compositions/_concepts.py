# SPDX-License-Identifier: BSD-3-Clause
"""Annotations as concepts: sets of words."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp


class Concepts(NamedTuple):
    """The names of concepts, and a matrix of 0 and 1 of shape (n_concepts, n_words)."""

    names: list[str]
    members: sp.csr_array
    counts: np.ndarray


def read_concepts(table, min_count, *, caller):
    """Make a concept of every column of bools, and of every value of the other columns."""
    names, rows, columns = [], [], []
    for column in table:
        for name, where in _of_column(table[column], str(column), caller):
            if len(where) >= min_count:
                rows.append(np.full(len(where), len(names)))
                columns.append(where)
                names.append(name)
    repeated = pd.Index(names).duplicated()
    if repeated.any():
        raise ValueError(
            f"Two concepts of {caller} are both called {names[int(repeated.argmax())]!r}. Rename a "
            "column, or convert all values of a column to one type, such as str."
        )
    if not names:
        raise ValueError(
            f"No concept of {caller} has at least min_count={min_count} words. Lower min_count, or "
            "pass columns with more frequent values."
        )
    places = np.concatenate(rows), np.concatenate(columns)
    ones = np.ones(len(places[0]), dtype=np.int32)
    members = sp.csr_array((ones, places), shape=(len(names), len(table)))
    return Concepts(names, members, np.bincount(places[0], minlength=len(names)))


def _of_column(values, name, caller):
    """Return pairs of a concept's name and its rows; missing values belong to no concept."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return [(name, np.flatnonzero(values.fillna(False).to_numpy(dtype=bool)))]
    if pd.api.types.is_numeric_dtype(values.dtype) or values.dtype.kind in "mM":
        raise ValueError(
            f"The column {name!r} of 'concepts' of {caller} contains numbers. Make ranges of them "
            f"with pandas.cut, or bools such as table[{name!r}] > 0; if they are names, convert "
            "them to str."
        )
    try:
        codes, known = pd.factorize(values)
    except TypeError as error:
        raise ValueError(
            f"The column {name!r} of 'concepts' of {caller} has values that cannot be compared. "
            "Convert it to str or to one column of bools per value."
        ) from error
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(known) + 1))
    return [
        (f"{name}={value}", order[starts[code] : starts[code + 1]])
        for code, value in enumerate(known)
    ]
