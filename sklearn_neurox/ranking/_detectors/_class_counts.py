# SPDX-License-Identifier: BSD-3-Clause
"""Class counts on either side of each value of a column, from a single sort."""

import numpy as np


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
        """Count the samples above and below the value of each sample in one column.

        Samples are grouped by class and sorted within it; equal values are counted together. With
        sample weights, counts are sums of weights.

        Returns
        -------
        weights : ndarray of shape (n_samples,) or float
            Weight of each sample.

        above, below : pairs of ndarrays of shape (n_samples,)
            Number of samples with at least (above) or at most (below) the value of each sample:
            first those of its class, then those of any class.
        """
        order = np.argsort(column)
        grouped = np.argsort(self.codes[order], kind="stable")
        first, after = self._ties(column[order], grouped)
        run_start, run_end = self._runs_within_class(first)
        if self.weight is None:
            above = self._group_end - run_start, len(order) - first
            below = run_end - self._group_start, after
            return 1.0, above, below
        every = self.weight[order]
        weights = every[grouped]
        # Each side is summed from its end: a difference of sums would lose the small weights.
        above = self._within_class(_sums_down, weights)[run_start], _sums_down(every)[first]
        below = self._within_class(np.cumsum, weights)[run_end - 1], np.cumsum(every)[after - 1]
        return weights, above, below

    def _ties(self, values, grouped):
        """Return where the run of values equal to each sample's begins and ends."""
        changes = values[1:] != values[:-1]
        if changes.all():
            return grouped, grouped + 1
        first, after = _runs(changes)
        return first[grouped], after[grouped]

    def _within_class(self, sums, weights):
        return np.concatenate([sums(part) for part in np.split(weights, self.starts[1:])])

    def _runs_within_class(self, first):
        changes = first[1:] != first[:-1]
        changes[self.starts[1:] - 1] = True
        return _runs(changes)


def _runs(changes):
    starts = np.flatnonzero(np.append(True, changes))
    ends = np.append(starts[1:], len(changes) + 1)
    return np.repeat(starts, ends - starts), np.repeat(ends, ends - starts)


def _sums_down(weights):
    return np.cumsum(weights[::-1])[::-1]
