# SPDX-License-Identifier: BSD-3-Clause
"""Class counts on either side of each value of a column, from a single sort."""

from typing import NamedTuple

import numpy as np


class CutCounts(NamedTuple):
    """Counts at the value of each sample; samples are grouped by class and sorted within it.

    Equal values are counted together. All arrays have shape (n_samples,). With sample weights,
    counts are sums of weights.
    """

    weights: np.ndarray | float
    """Weight of the sample."""
    hits_above: np.ndarray
    """Number of samples of its class with at least its value."""
    all_above: np.ndarray
    """Number of samples of any class with at least its value."""
    hits_below: np.ndarray
    """Number of samples of its class with at most its value."""
    all_below: np.ndarray
    """Number of samples of any class with at most its value."""


class ClassCounter:
    """Counts classes along sorted columns.

    ``codes`` start at 0 and leave none out; ``sample_weight`` is positive.
    """

    def __init__(self, codes, sample_weight=None):
        # NumPy sorts integers of at most 16 bits in linear time (radix sort).
        self.codes = codes.astype(np.min_scalar_type(codes.max()))
        self.weight = sample_weight
        sizes = np.bincount(codes)
        self.starts = np.cumsum(sizes) - sizes
        self.totals = np.bincount(codes, weights=sample_weight).astype(np.float64)
        self.totals_by_sample = np.repeat(self.totals, sizes)
        self._group_start = np.repeat(self.starts, sizes)
        self._group_end = np.repeat(self.starts + sizes, sizes)

    def cuts(self, column):
        """Count at each value of one column, an array of shape (n_samples,)."""
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
        """Return where the run of values equal to each sample's begins and ends."""
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
