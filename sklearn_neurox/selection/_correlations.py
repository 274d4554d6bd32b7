# SPDX-License-Identifier: BSD-3-Clause
"""Absolute correlations of the columns of a matrix, a block of them at a time."""

import numpy as np

from sklearn_neurox.utils._correlations import correlations

_BLOCK_COLUMNS = 1024


def correlation_blocks(columns):
    """Yield the absolute correlations of some columns, by blocks on and above the diagonal.

    Parameters
    ----------
    columns : StandardColumns of n_columns
        None of which is constant.

    Yields
    ------
    first, second : slice
        The places of the rows and of the columns of the block.

    block : ndarray, dtype float64
        The absolute correlations.
    """
    starts = range(0, len(columns), _BLOCK_COLUMNS)
    slices = [slice(start, min(start + _BLOCK_COLUMNS, len(columns))) for start in starts]
    parts = [columns.take(places) for places in slices]
    for number, first in enumerate(slices):
        for second, part in zip(slices[number:], parts[number:], strict=True):
            block = correlations(parts[number], part)
            yield first, second, np.minimum(np.abs(block, out=block), 1.0, out=block)
