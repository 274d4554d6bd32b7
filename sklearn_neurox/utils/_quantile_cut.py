# SPDX-License-Identifier: BSD-3-Clause
"""Quantiles as thresholds, without rounding errors in the number of rows."""

import numpy as np


def quantile_cut(values, share, *, axis=None, weight=None):
    """Return the smallest value that at least a share of the rows does not exceed.

    Parameters
    ----------
    values : ndarray

    share : float or ndarray
        In [0, 1]. The cuts for several shares are along the first axis.

    axis : int or None, default=None
        The axis of the rows, which is kept.

    weight : ndarray or None, default=None
        The weight of each row.

    Returns
    -------
    cut : ndarray
    """
    # Rounding must not lift the number of rows above a whole number, as in .28 * 25. The sums of
    # the weights of a million rows have errors of 1e-11.
    share = np.multiply(share, 1 - 1e-9)
    options = {"method": "inverted_cdf", "axis": axis, "weights": weight, "keepdims": True}
    return np.quantile(values, share, **options)
