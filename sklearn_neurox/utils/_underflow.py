# SPDX-License-Identifier: BSD-3-Clause
"""Columns that a cast to a smaller dtype turns into zeros."""

import numpy as np

from sklearn_neurox.utils._half_precision import widened
from sklearn_neurox.utils._warn_user import warn_user

# What all messages say before their remedy.
DEAD = "In a trained model, such neurons are usually dead. To keep them,"
_SMALLEST = {"float16": 6e-8, "float32": 1.4e-45, "bfloat16": 9.2e-41}
_FIRST_ROWS = 64


class Underflow:
    """Finds the columns of which a cast leaves only zeros, although they held other numbers.

    A value that vanishes beside larger ones in its column is rounded like any other.

    Parameters
    ----------
    n_columns : int
    """

    def __init__(self, n_columns):
        self.is_kept = np.zeros(n_columns, dtype=bool)
        self.largest = np.zeros(n_columns)

    def look(self, before, after, start=0):
        """Look at rows before and after the cast; ``start`` is the place of their first column."""
        # The first rows leave few columns to look for in the others.
        for rows in (slice(0, _FIRST_ROWS), slice(_FIRST_ROWS, None)):
            self._look(before[rows], after[rows], start)

    def _look(self, before, after, start):
        places = np.flatnonzero(~self.is_kept[start : start + before.shape[1]])
        if not len(places) or not len(before):
            return
        is_kept = (widened(after[:, places]) != 0).any(axis=0)
        self.is_kept[start + places[is_kept]] = True
        places = places[~is_kept]
        largest = np.abs(before[:, places]).max(axis=0)
        self.largest[start + places] = np.maximum(self.largest[start + places], largest)

    def merge(self, other):
        """Add what another process has found in the same columns."""
        self.is_kept |= other.is_kept
        np.maximum(self.largest, other.largest, out=self.largest)

    def columns(self):
        """Return the columns that became zero."""
        return np.flatnonzero(~self.is_kept & (self.largest > 0))


def warn_about_zeros(found, dtype, where, advice):
    """Warn about columns that became zero, if there are any.

    ``found`` has pairs of an `Underflow` and a function that returns the name of a column.
    """
    lost = [(each, name, column) for each, name in found for column in each.columns()]
    if not lost:
        return
    each, name, column = lost[0]
    n_columns = sum(len(each.is_kept) for each, _ in found)
    warn_user(
        f"{where}: {len(lost)} of {n_columns} neurons become 0 in all rows because their values "
        f"are too small for {dtype}, whose smallest number is {_SMALLEST[str(dtype)]:.2g}. The "
        f"first is {name(column)}; its largest value is {each.largest[column]:.3g}. {advice}"
    )
