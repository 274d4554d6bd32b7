# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of rows that large matrices are read in."""

# Small enough for one block and its upcast to stay in the processor's cache.
_BLOCK_BYTES = 4_000_000


def row_blocks(X):
    """Yield slices that split the rows of a matrix into blocks of a few megabytes."""
    rows = max(1, _BLOCK_BYTES // max(1, X.shape[1] * 8))
    for start in range(0, X.shape[0], rows):
        yield slice(start, min(start + rows, X.shape[0]))
