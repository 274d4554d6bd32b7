# SPDX-License-Identifier: BSD-3-Clause
"""Targets of a regression, in a few ranges with about equally many rows."""

import numpy as np

from sklearn_neurox.utils._quantile_cut import quantile_cut

N_RANGES = 5


def split_targets(targets):
    """Return the names of the ranges, lowest first, and the number of each target's range.

    The ranges end at quantiles of the targets. Equal targets are in the same range, and a range
    is named after its lowest and its highest target.
    """
    distinct = np.unique(targets)
    ends = distinct
    if len(distinct) > N_RANGES:
        shares = np.arange(1, N_RANGES + 1) / N_RANGES
        ends = np.unique(quantile_cut(targets, shares))
    codes = np.searchsorted(ends, targets, side="left")
    starts = distinct[np.searchsorted(distinct, np.append(-np.inf, ends[:-1]), side="right")]
    for digits in range(3, 18):
        names = [_name(low, high, digits) for low, high in zip(starts, ends, strict=True)]
        if len(set(names)) == len(names):
            return names, codes
    return names, codes


def _name(low, high, digits):
    low_text, high_text = (f"{value:.{digits}g}".replace("-", "−") for value in (low, high))
    return low_text if low == high else f"{low_text} to {high_text}"
