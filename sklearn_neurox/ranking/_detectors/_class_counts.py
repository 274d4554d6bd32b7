# SPDX-License-Identifier: BSD-3-Clause
"""How many samples of every class lie on either side of every value of a column, from one sort."""

from typing import NamedTuple

import numpy as np


class CutCounts(NamedTuple):
    """Cuts of a column at each of its samples; samples grouped by class, ascending within.

    A cut between two values parts the samples in two; equal values stay together. All arrays are
    of shape (n_samples,), and weights take the place of numbers where there are any.
    """

    weights: np.ndarray | float
    """Of the sample itself."""
    hits_above: np.ndarray
    """Samples of its class that are not below it."""
    all_above: np.ndarray
    """Samples of any class that are not below it."""
    hits_below: np.ndarray
    """Samples of its class that are not above it."""
    all_below: np.ndarray
    """Samples of any class that are not above it."""


class ClassCounter:
    """Count classes along sorted columns.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        The class of every sample, from 0; every class is there.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights.
    """

    def __init__(self, codes, sample_weight=None):
        # Sorting integers of at most 16 bits is linear (radix sort).
        self.codes = codes.astype(np.min_scalar_type(codes.max()))
        self.weight = sample_weight
        sizes = np.bincount(codes)
        self.starts = np.cumsum(sizes) - sizes
        self.totals = np.bincount(codes, weights=sample_weight).astype(np.float64)
        self.totals_by_sample = np.repeat(self.totals, sizes)
        self._group_start = np.repeat(self.starts, sizes)
        self._group_end = np.repeat(self.starts + sizes, sizes)

    def cuts(self, column):
        """Count at every cut of one column, an array of shape (n_samples,)."""
        order = np.argsort(column)
        grouped = np.argsort(self.codes[order], kind="stable")
        first, after = self._ties(column[order], grouped)
        run_start, run_end = self._runs_within_class(first)
        if self.weight is None:
            return CutCounts(
                1.0,
                self._group_end - run_start,
                len(order) - first,
                run_end - self._group_start,
                after,
            )
        weights = self.weight[order]
        below, hits = _from_zero(weights), _from_zero(weights[grouped])
        return CutCounts(
            weights[grouped],
            hits[self._group_end] - hits[run_start],
            below[-1] - below[first],
            hits[run_end] - hits[self._group_start],
            below[after],
        )

    def _ties(self, values, grouped):
        """Place where the equals of each sample begin, and the place after them."""
        changes = values[1:] != values[:-1]
        if changes.all():
            return grouped, grouped + 1
        first, after = _runs(changes)
        return first[grouped], after[grouped]

    def _runs_within_class(self, first):
        changes = first[1:] != first[:-1]
        changes[self.starts[1:] - 1] = True
        return _runs(changes)


def _runs(changes):
    starts = np.flatnonzero(np.append(True, changes))
    ends = np.append(starts[1:], len(changes) + 1)
    return np.repeat(starts, ends - starts), np.repeat(ends, ends - starts)


def _from_zero(weights):
    return np.append(0.0, np.cumsum(weights))
