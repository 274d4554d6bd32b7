# SPDX-License-Identifier: BSD-3-Clause
"""Quantiles that are values of the data, with exact shares."""

import numpy as np

# Shares that differ by less are equal: a tenth of ten rows is one row, however it is rounded.
_ROUNDING = 1e-9


def lower_quantile(values, share, weight=None):
    """Return the smallest value in each row that, with the values below, has this share of it.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_values) or (n_values,)

    share : float in [0, 1]

    weight : ndarray of shape (n_values,) or None, default=None
        Positive weights; None weights all values equally.

    Returns
    -------
    quantiles : ndarray of shape (n_rows,), or a number
    """
    if weight is None:
        n_values = values.shape[-1]
        place = max(0, int(np.ceil((share - _ROUNDING) * n_values)) - 1)
        return np.partition(values, place, axis=-1)[..., place]
    order = np.argsort(values, axis=-1)
    shares = np.cumsum(weight[order], axis=-1, dtype=np.float64)
    shares /= shares[..., -1:]
    places = np.argmax(shares >= share - _ROUNDING, axis=-1)[..., np.newaxis]
    return np.take_along_axis(values, np.take_along_axis(order, places, -1), -1)[..., 0]
