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
    """Raise an error if squares of a column's values overflow, or vanish although they are not 0.

    Half precision is squared in single precision, and single precision in double where it must be.
    Values that are not finite are for `check_all_finite` to name.
    """
    if X.dtype == np.float16:
        return
    info = np.finfo(X.dtype)
    # With a margin for sums over rows, and one for differences that are far below the values.
    limit, least = 1e-4 * np.sqrt(info.max), 1e14 * np.sqrt(info.tiny)
    found = _first_beyond(X, limit)
    if found is not None:
        raise ValueError(
            f"Input X contains a value too large for {X.dtype}: {_where(found, names)} is "
            f"{found[2]:.3g}, but {caller} computes with squares, and reads values up to "
            f"{limit:.1g}. Rescale the column, for example with StandardScaler."
        )
    found = _first_tiny(X, least) if X.dtype == np.float64 else None
    if found is not None:
        raise ValueError(
            f"Input X contains a column whose values are too small for {X.dtype}: "
            f"{_where(found, names)} is {found[2]:.3g}, the farthest from 0, but {caller} computes "
            f"with squares, and needs a value beyond {least:.1g} in each column that is not all 0. "
            "Rescale the column, for example divide it by its largest value."
        )


def _where(found, names):
    row, column, _ = found
    return f"column {column if names is None else repr(names[column])}, row {row}"


def _first_beyond(X, limit):
    """Return row, column and value of the first finite entry beyond a limit, if there is one."""
    if issparse(X):
        beyond = np.flatnonzero(_is_beyond(X.data, limit))
        return (*place_of(X, beyond[0]), X.data[beyond[0]]) if len(beyond) else None
    for block in row_blocks(X):
        if max(X[block].max(initial=0), -X[block].min(initial=0)) > limit:
            places = np.argwhere(_is_beyond(X[block], limit))
            if len(places):
                row, column = places[0]
                return block.start + row, column, X[block][row, column]
    return None


def _is_beyond(values, limit):
    return (np.abs(values) > limit) & np.isfinite(values)


def _first_tiny(X, least):
    """Return row, column and value of the largest entry of the first column below a limit."""
    largest = np.zeros(X.shape[1])
    with np.errstate(invalid="ignore"):
        if issparse(X):
            np.maximum.at(largest, X.indices, np.abs(X.data))
        else:
            for block in row_blocks(X):
                np.maximum(largest, X[block].max(axis=0), out=largest)
                np.maximum(largest, -X[block].min(axis=0), out=largest)
    columns = np.flatnonzero((largest > 0) & (largest < least))
    if not len(columns):
        return None
    values = X[:, [columns[0]]]
    values = (values.toarray() if issparse(values) else values)[:, 0]
    row = int(np.abs(values).argmax())
    return row, columns[0], values[row]
