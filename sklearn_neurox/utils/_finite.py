# SPDX-License-Identifier: BSD-3-Clause
"""Checks of every value of a matrix, block by block."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._sparse import place_of

# With less to check than this, starting a thread takes longer than it saves.
_BYTES_PER_THREAD = 64_000_000
_MOST_THREADS = 16


def check_all_finite(X, names, *, input_name="X", caller):
    """Raise an error that names the first row and column with NaN or infinity, if there is one."""
    place = _place_in_csr(X) if issparse(X) else _place_in_array(X)
    if place is None:
        return
    row, column, value = place
    kind = "NaN" if np.isnan(value) else "infinity"
    where = f"column {column}" if names is None else f"column {names[column]!r}"
    raise ValueError(
        f"Input {input_name} contains {kind}: {where}, row {row} is {value}. "
        f"{caller} does not accept missing or infinite values. With missing='nan', words that "
        "the tokenizer dropped are NaN: remove their rows first."
    )


def _place_in_csr(X):
    """Return the row, the column and the value of the first stored value that is not finite."""
    wrong = ~np.isfinite(X.data)
    if not wrong.any():
        return None
    first = int(wrong.argmax())
    return (*place_of(X, first), X.data[first])


def _place_in_array(X):
    """Return the row, the column and the value of the first value that is not finite."""
    block = _first_not_finite(X)
    if block is None:
        return None
    row, column = np.argwhere(~np.isfinite(X[block]))[0]
    return block.start + row, column, X[block][row, column]


def _first_not_finite(X):
    """Return the first block of rows with a value that is not finite; None if there is none."""
    blocks = list(row_blocks(X))

    def first(some):
        return next((block for block in some if not _all_finite(X[block])), None)

    # Private, but it has no public counterpart: the number of threads that OMP_NUM_THREADS allows.
    n_threads = min(_MOST_THREADS, _openmp_effective_n_threads(), X.nbytes // _BYTES_PER_THREAD)
    if n_threads < 2:
        return first(blocks)
    with ThreadPoolExecutor(n_threads) as pool:
        ends = np.linspace(0, len(blocks), n_threads + 1).astype(int).tolist()
        found = list(pool.map(first, [blocks[a:b] for a, b in pairwise(ends)]))
    return next((block for block in found if block is not None), None)


def _all_finite(rows):
    if rows.dtype != np.float16:
        return bool(np.isfinite(rows).all())
    # All bits of the exponent are set; ten times as fast as `isfinite`, which converts to float32.
    exponent = rows.view(np.uint16) & 0x7C00
    return not (exponent == 0x7C00).any()


def check_squares(X, names, caller):
    """Raise an error if a value is too large for sums of its squares."""
    # With a margin for sums over rows; half precision is squared in single precision.
    limit = 1e-4 * np.sqrt(np.finfo(np.promote_types(X.dtype, np.float32)).max)
    if X.dtype == np.float16:
        return
    found = _first_beyond(X, limit)
    if found is not None:
        row, column, value = found
        where = f"column {column}" if names is None else f"column {names[column]!r}"
        raise ValueError(
            f"Input X contains a value too large for {X.dtype}: {where}, row {row} is {value:.3g}, "
            f"but {caller} computes with squares, and reads values up to {limit:.1g}. Rescale the "
            "column, for example with StandardScaler."
        )


def _first_beyond(X, limit):
    """Return row, column and value of the first entry beyond a limit; None if there is none."""
    if issparse(X):
        beyond = np.flatnonzero(np.abs(X.data) > limit)
        return (*place_of(X, beyond[0]), X.data[beyond[0]]) if len(beyond) else None
    for block in row_blocks(X):
        if max(X[block].max(initial=0), -X[block].min(initial=0)) > limit:
            row, column = np.argwhere(np.abs(X[block]) > limit)[0]
            return block.start + row, column, X[block][row, column]
    return None
