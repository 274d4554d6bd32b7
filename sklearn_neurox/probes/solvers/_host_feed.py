# SPDX-License-Identifier: BSD-3-Clause
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch

from sklearn_neurox.probes.solvers._row_view import RowView

# One block is filled while the one before it is on its way.
_N_BUFFERS = 2
# A single thread copies memory more slowly than the link to a device carries it.
_MOST_THREADS = 16
_BYTES_PER_THREAD = 2_000_000


class HostFeed:
    """Send parts of a matrix in host memory, or in a file, to a device, one part ahead.

    On a GPU, a part is gathered into a pinned buffer by several threads and copied on a stream of
    its own, so that the link carries one part while the next one is gathered and the one before it
    is used. Host memory grows by two buffers only.

    Parameters
    ----------
    X : ndarray or RowView of shape (n_samples, n_features)
        In any layout and byte order; never modified.

    device : torch.device
    """

    def __init__(self, X, device):
        self.X = X
        self.device = device
        self.dtype = getattr(torch, X.dtype.newbyteorder("=").name)
        self.source = _shared(X.X if isinstance(X, RowView) else X)
        self.n_threads = min(_MOST_THREADS, torch.get_num_threads())

    def visit(self, parts):
        """Yield the rows of each part on the device, in the precision of X.

        A part is a slice or an array of row numbers. Rows are valid until the next part is asked
        for, and must be used on the stream that is current now.
        """
        if not len(parts):
            return
        slots = self._slots(max(_length(part) for part in parts))
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(self.n_threads) as pool:
            ahead = reader.submit(self._send, parts[0], slots[0], pool)
            for number in range(len(parts)):
                rows = ahead.result()
                slot = slots[number % _N_BUFFERS]
                if number + 1 < len(parts):
                    after = slots[(number + 1) % _N_BUFFERS]
                    ahead = reader.submit(self._send, parts[number + 1], after, pool)
                slot.take_over()
                yield rows
                slot.give_back()

    def _slots(self, n_rows):
        shape = n_rows, self.X.shape[1]
        if self.device.type != "cuda":
            kind = {"dtype": self.dtype, "device": "cpu"}
            return [_Slot(torch.empty(shape, **kind)) for _ in range(_N_BUFFERS)]
        stream = torch.cuda.Stream(self.device)
        # The memory of the buffers may still be in use by work that is queued.
        stream.wait_stream(torch.cuda.current_stream(self.device))
        return [_CudaSlot(shape, self.dtype, self.device, stream) for _ in range(_N_BUFFERS)]

    def _send(self, part, slot, pool):
        n_rows = _length(part)
        X = self.X
        if isinstance(X, RowView):
            X, part = X.X, X.rows[part]
        with torch.inference_mode():
            host = slot.host()[:n_rows]
            if self.source is None or isinstance(part, slice):
                self._copy(X, part, host.numpy(), pool)
            else:
                # Threads of torch's own, because those of Python wait for each other at every row.
                torch.index_select(self.source, 0, torch.from_numpy(part), out=host)
            return slot.send(n_rows)

    def _copy(self, X, part, host, pool):
        """Copy rows into a buffer by a few large pieces, one per thread."""
        n_pieces = max(1, min(self.n_threads, host.nbytes // _BYTES_PER_THREAD))
        ends = np.linspace(0, len(host), n_pieces + 1).astype(int).tolist()

        def copy(start, end):
            if isinstance(part, slice):
                rows = slice(part.start + start, part.start + end)
            else:
                rows = part[start:end]
            np.copyto(host[start:end], X[rows])

        for piece in [pool.submit(copy, a, b) for a, b in pairwise(ends)]:
            piece.result()


class _Writable:
    """The memory of an array, declared writable so that torch reads it without a warning."""

    def __init__(self, array):
        self.array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def _shared(X):
    """Return a tensor that shares the memory of an array; None if torch cannot read it."""
    if not X.dtype.isnative or min(X.strides) < 0:
        return None
    return torch.from_numpy(np.asarray(X if X.flags.writeable else _Writable(X)))


class _Slot:
    """A buffer that the device reads directly."""

    def __init__(self, memory):
        self.memory = memory

    def host(self):
        return self.memory

    def send(self, n_rows):
        return self.memory[:n_rows]

    def take_over(self):
        """Wait, on the current stream, until the rows have arrived."""

    def give_back(self):
        """Allow the buffer to be filled again, once the work queued so far is done."""


class _CudaSlot(_Slot):
    """A pinned buffer, its counterpart on the device, and the events that guard both."""

    def __init__(self, shape, dtype, device, stream):
        super().__init__(torch.empty(shape, dtype=dtype, device=device))
        self.device = self.memory.device
        self.stream = stream
        # If a visit ends early, a copy may still be on its way when the buffer is freed.
        self.memory.record_stream(stream)
        self.pinned = torch.empty(shape, dtype=dtype, device="cpu", pin_memory=True)
        self.arrived, self.used = torch.cuda.Event(), torch.cuda.Event()

    def host(self):
        self.arrived.synchronize()
        return self.pinned

    def send(self, n_rows):
        with torch.cuda.device(self.device), torch.cuda.stream(self.stream):
            self.stream.wait_event(self.used)
            self.memory[:n_rows].copy_(self.pinned[:n_rows], non_blocking=True)
            self.arrived.record(self.stream)
        return self.memory[:n_rows]

    def take_over(self):
        torch.cuda.current_stream(self.device).wait_event(self.arrived)

    def give_back(self):
        self.used.record(torch.cuda.current_stream(self.device))


def _length(part):
    return part.stop - part.start if isinstance(part, slice) else len(part)
