# SPDX-License-Identifier: BSD-3-Clause
import mmap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from sklearn_neurox.probes.solvers._design import StandardizedDesign
from sklearn_neurox.utils._torch import to_tensor

# Rows and numbers per block when no batch size is given.
_BLOCK_ROWS = 512
_BLOCK_NUMBERS = 2**21
# Numbers of a few rows that stay in the processor's cache with what standardizes them.
_CACHED_NUMBERS = 2**16
# Numbers of the first rows that are kept: 2,048 rows of 4,096 columns.
_HEAD_NUMBERS = 2**23
# Bytes of one chunk of consecutive rows: of a file, and of a matrix of short rows in memory.
_MAPPED_CHUNK = 2**16
_SENT_CHUNK = 2**18
_LONG_ROW = 2**12
# Chunks of a matrix in memory, of which every batch on a GPU has a dozen or more.
_FEWEST_CHUNKS = 4096


class StreamedDesign(StandardizedDesign):
    """A design that reads X again at every pass and standardizes one batch at a time.

    Used for memory-mapped matrices, and for float16, whose upcast copy would be twice as large.
    The next batch is read during the computations on the current one. On CUDA, see `DeviceDesign`.
    """

    def gradient(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in the working precision and order."""
        out = residual.new_zeros((residual.shape[1], self.X.shape[1]))
        for block, rows in self.blocks():
            out.addmm_(residual[block].T, rows)
        return out.div_(len(self.X))

    def head(self, n_rows):
        """Return the first rows, as blocks that are read again whenever they are iterated over."""
        return _Head(self, min(n_rows, len(self.X)))

    def blocks(self):
        """Yield slices of the working order, each with its rows."""
        n_blocks = -(-len(self.X) // self._rows_per_block())
        batches = self.batches(n_blocks)
        for batch, rows in batches.visit(range(n_blocks)):
            yield batches.slices[batch], rows

    def _rows_per_block(self):
        return max(1, min(_BLOCK_ROWS, _BLOCK_NUMBERS // max(1, self.X.shape[1])))

    def batches(self, n_batches):
        """Split the working order into batches, which can be visited in any order."""
        return _StreamedBatches(self, n_batches)

    def _buffer(self, n_rows):
        shape = n_rows, self.X.shape[1]
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def _load(self, block, buffer):
        """Read the rows of a block into a buffer, standardized."""
        rows = self.rows[block]
        if self.X.dtype == np.float16 and not is_memory_mapped(self.X):
            return self._load_half(rows, buffer[: len(rows)])
        # Sorting reads a batch in the order in which it is stored on disk.
        order = np.argsort(rows)
        part = np.empty((len(rows), self.X.shape[1]), dtype=self.X.dtype)
        part[order] = self.X[rows[order]]
        buffer = buffer[: len(rows)].copy_(to_tensor(part))
        return buffer.sub_(self.working_mean).div_(self.working_scale)

    def _load_half(self, rows, buffer):
        """Do as `_load` for float16 in memory: convert and standardize in the processor's cache.

        One pass over the whole block for each operation would take three times as long.
        """
        inverse = self.working_scale.reciprocal()
        shift = -self.working_mean * inverse
        n_rows = max(1, _CACHED_NUMBERS // max(1, self.X.shape[1]))
        for start in range(0, len(rows), n_rows):
            part = buffer[start : start + n_rows]
            own = rows[start : start + n_rows]
            # A single row is a view, which is not copied before it is converted.
            part.copy_(to_tensor(self.X[own[0] : own[0] + 1] if len(own) == 1 else self.X[own]))
            # One operation instead of two; its rounding is far below that of half precision.
            torch.addcmul(shift, part, inverse, out=part)
        return buffer


class _StreamedBatches:
    """Batches that are read during the visit, one batch ahead."""

    def __init__(self, design, n_batches):
        self.design = design
        ends = np.cumsum([len(part) for part in np.array_split(design.rows, n_batches)])
        self.slices = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def __len__(self):
        return len(self.slices)

    def visit(self, order):
        """Yield the number and the rows of each batch, in the given order.

        Rows are valid until the next batch is asked for.
        """
        order = list(order)
        # The first batch is as long as any.
        buffers = [self.design._buffer(self.slices[0].stop) for _ in range(2)]
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead = reader.submit(self._read, order[0], buffers[0])
            for position, batch in enumerate(order):
                rows = ahead.result()
                if position + 1 < len(order):
                    buffers.reverse()
                    ahead = reader.submit(self._read, order[position + 1], buffers[0])
                yield batch, rows

    def _read(self, batch, buffer):
        with torch.inference_mode():
            return self.design._load(self.slices[batch], buffer)


class _Head:
    """The first rows as blocks: kept if they are few numbers, else read again at every visit."""

    def __init__(self, design, n_rows):
        self.design = design
        self.is_kept = n_rows * design.X.shape[1] <= _HEAD_NUMBERS
        n_at_once = n_rows if self.is_kept else design._rows_per_block()
        self.slices = [slice(a, min(a + n_at_once, n_rows)) for a in range(0, n_rows, n_at_once)]
        self.buffer = design._buffer(n_at_once)
        if self.is_kept:
            design._load(self.slices[0], self.buffer)

    def __iter__(self):
        if self.is_kept:
            return iter([self.buffer])
        return (self.design._load(block, self.buffer) for block in self.slices)


def reading_order(X, n_samples, random_state, *, is_sent=False):
    """Return a permutation of the samples, by chunks if single rows would be slow to read.

    ``is_sent`` says that X is gathered in memory at every pass: rows that are long enough are then
    gathered one by one, and shorter ones in chunks.
    """
    row_bytes = max(1, X[:1].nbytes)
    if is_memory_mapped(X):
        # A chunk spans a few pages of the file or, in column order, a few cache lines per column.
        chunk = max(1, _MAPPED_CHUNK // row_bytes) if X.flags.c_contiguous else 128
    elif is_sent and row_bytes < _LONG_ROW:
        # Enough of them for every batch to have rows from many places.
        chunk = max(1, min(_SENT_CHUNK // row_bytes, n_samples // _FEWEST_CHUNKS))
    else:
        return random_state.permutation(n_samples)
    starts = random_state.permutation(np.arange(0, n_samples, chunk))
    rows = (starts[:, None] + np.arange(chunk)).ravel()
    return rows[rows < n_samples]


def is_memory_mapped(X):
    """Return whether an array, or an array it is a view of, is memory-mapped."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return isinstance(X, mmap.mmap)
