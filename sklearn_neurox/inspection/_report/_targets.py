# SPDX-License-Identifier: BSD-3-Clause
"""Targets of a regression, in a few ranges with about equally many rows."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.multiclass import type_of_target

N_RANGES = 5


def are_numbers(y, ranker, probe):
    """Return whether a page shows y as numbers: it is continuous, or the probe is a regressor."""
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(f"y is {y[row]} at row {row}. Drop the rows without a number.")
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind.startswith("continuous"):
        return True
    fitted = (getattr(ranker, "estimator_", None), probe)
    return y.dtype.kind in "iuf" and any(
        estimator is not None and is_regressor(estimator) for estimator in fitted
    )


def split_targets(targets):
    """Return the names of the ranges, lowest first, and the number of each target's range.

    The ranges end at quantiles of the targets. Equal targets are in the same range, and a range
    is named after its lowest and its highest target.
    """
    distinct = np.unique(targets)
    ends = distinct
    if len(distinct) > N_RANGES:
        shares = np.arange(1, N_RANGES + 1) / N_RANGES
        ends = np.unique(np.quantile(targets, shares, method="inverted_cdf"))
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
