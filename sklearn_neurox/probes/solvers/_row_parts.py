# SPDX-License-Identifier: BSD-3-Clause
from functools import wraps

# Numbers of a table that one block of rows may have.
_BLOCK_NUMBERS = 2**20


def row_parts(table, target):
    """Yield the rows of a table by blocks: a share of all rows, a table and a target."""
    n_samples, n_columns = table.shape
    n_rows = max(1, _BLOCK_NUMBERS // max(1, n_columns))
    if n_rows >= n_samples:
        yield 1.0, table, target
        return
    for start in range(0, n_samples, n_rows):
        block = slice(start, min(start + n_rows, n_samples))
        yield (block.stop - block.start) / n_samples, table[block], target[block]


def mean_by_parts(function):
    """Make a mean over samples, as a method of a loss, need little memory beside its table."""

    @wraps(function)
    def run(self, table, target):
        return sum(share * function(self, *part) for share, *part in row_parts(table, target))

    return run
