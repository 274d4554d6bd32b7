# SPDX-License-Identifier: BSD-3-Clause
"""Allocate the output matrix, in memory or in a file that appears only when complete."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class _Matrix:
    values: np.ndarray


@contextlib.contextmanager
def new_matrix(shape, dtype, path=None):
    """Allocate a matrix, whose ``values`` the caller fills, in memory or in a ``.npy`` file.

    On exit, ``values`` are mapped from the file. An existing file is replaced when the new one is
    complete; matrices mapped from the old one do not change. Raises an OSError if the file cannot
    be written or does not fit on the disk.
    """
    if path is None:
        yield _Matrix(np.empty(shape, dtype=dtype))
        return
    path = Path(path).expanduser()
    temporary = path.with_name(f"{os.urandom(16).hex()}.tmp")
    try:
        matrix = _Matrix(_mapped(temporary, shape, dtype, path))
        yield matrix
        matrix.values.flush()
        os.replace(temporary, path)
        # Copy on write: changing the matrix does not change the file.
        matrix.values = np.load(path, mmap_mode="c")
    finally:
        temporary.unlink(missing_ok=True)


def _mapped(temporary, shape, dtype, path):
    try:
        values = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        # Without allocating, writing to a sparse file on a full disk would crash the process.
        if hasattr(os, "posix_fallocate"):
            with open(temporary, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    except OSError as error:
        n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        raise OSError(
            error.errno,
            f"The matrix of {n_bytes / 1e9:.2f} GB cannot be written to memmap={str(path)!r} "
            f"({error}). Free some space, or choose another path.",
        ) from error
    return values
