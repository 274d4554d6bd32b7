# SPDX-License-Identifier: BSD-3-Clause
"""Allocate the output matrix, in memory or in a file that appears only when complete."""

import mmap
import os

import numpy as np

from sklearn_neurox.extraction._run._half_matrix import HalfMatrix
from sklearn_neurox.utils._files._foreign_files import as_path, expanded
from sklearn_neurox.utils._files._output_files import write_whole

_PARAMETER = "The file given as 'memmap'"


def filled_matrix(shape, dtype, path, fill, name):
    """Allocate a matrix in memory or in a ``.npy`` file, call ``fill`` with it, and return it.

    A matrix in a file is returned as a map of the file. An existing file is replaced when the new
    one is complete; matrices mapped from the old one do not change, nor do the copies of them that
    worker processes get. Raises an OSError if the file cannot be written or does not fit on the
    disk.

    ``fill`` writes values of single precision. If ``dtype`` is half precision, it is called with a
    `HalfMatrix`, whose errors and warnings take the name of a column from ``name``.
    """
    if path is None:
        values = np.empty(shape, dtype=dtype)
        _fill(values, fill, name)
        return values
    path = expanded(as_path(path, _PARAMETER), _PARAMETER)

    def write(temporary):
        values = _mapped(temporary, shape, dtype, path)
        _fill(values, fill, name)
        values.flush()
        if os.name == "posix":  # elsewhere, a file that is mapped cannot be renamed
            mapped.append(_mapped_copy(temporary))

    mapped = []
    write_whole(path, write)
    # Mapped before it got its name, under which another process may write at the same time.
    return mapped[0] if mapped else _mapped_copy(path)


def _fill(values, fill, name):
    if values.dtype == np.float32:
        fill(values)
        return
    matrix = HalfMatrix(values, name)
    fill(matrix)
    matrix.warn()


def _mapped_copy(path):
    # Copy on write: changing the matrix does not change the file.
    return _without_name(np.load(path, mmap_mode="c"))


def _without_name(values):
    """Return a memory-mapped matrix as an array that does not name its file.

    joblib has a worker process map the file that a np.memmap names: without changes made in memory
    and, if the file was replaced meanwhile, with other values.
    """
    if not isinstance(values.base, mmap.mmap):
        return np.asarray(values)
    offset = values.offset % mmap.ALLOCATIONGRANULARITY
    return np.ndarray(values.shape, values.dtype, buffer=values.base, offset=offset)


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
