# SPDX-License-Identifier: BSD-3-Clause
"""Copy tensors from a GPU to host memory while the GPU goes on."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from queue import SimpleQueue

import numpy as np
import torch

# One buffer is filled while the one before it is used and the next one waits.
_N_BUFFERS = 3
# A single thread writes to fresh memory more slowly than the link to a GPU carries it.
_MOST_THREADS = 8
_BYTES_PER_THREAD = 2_000_000


class DeviceCopies:
    """Copies tensors to the host and hands them to functions, in order.

    Tensors on a GPU are copied to pinned buffers on a stream of their own and handed over in a
    thread, so that neither the GPU nor the thread that launches its work waits. Other tensors are
    handed over at once. Use it as a context: leaving it waits for the threads.
    """

    def __init__(self):
        self.reader, self.writers = ThreadPoolExecutor(1), None
        self.buffers, self.streams, self.pending = SimpleQueue(), {}, deque()
        for _ in range(_N_BUFFERS):
            self.buffers.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.shutdown(cancel_futures=True)
        if self.writers is not None:
            self.writers.shutdown()

    def send(self, tensor, use):
        """Call ``use`` with a copy of a tensor in host memory, valid during that call only."""
        if not is_behind(tensor.device):
            use(tensor.cpu())
            return
        if self.writers is None:
            self.writers = ThreadPoolExecutor(min(_MOST_THREADS, torch.get_num_threads()))
        while self.pending and self.pending[0].done():
            self.pending.popleft().result()
        buffer = self.buffers.get()
        try:
            if buffer is None or len(buffer) < tensor.nbytes:
                pinned = tensor.is_cuda
                buffer = torch.empty(
                    tensor.nbytes, dtype=torch.uint8, device="cpu", pin_memory=pinned
                )
            host = buffer[: tensor.nbytes].view(tensor.dtype).view(tensor.shape)
            arrived = self._copy(tensor, host)
            self.pending.append(self.reader.submit(self._hand_over, buffer, host, arrived, use))
        except BaseException:
            self.buffers.put(buffer)
            raise

    def wait(self):
        """Wait until every tensor has been handed over; raise the first error."""
        while self.pending:
            self.pending.popleft().result()

    def by_rows(self, function, values):
        """Call ``function`` with ranges of rows that cover the values, in several threads."""
        n_pieces = 1 if self.writers is None else self.writers._max_workers
        n_pieces = max(1, min(n_pieces, values.nbytes // _BYTES_PER_THREAD))
        if n_pieces == 1:
            function(slice(None))
            return
        ends = np.linspace(0, len(values), n_pieces + 1).astype(int).tolist()
        for _ in self.writers.map(function, [slice(a, b) for a, b in pairwise(ends)]):
            pass

    def _copy(self, tensor, host):
        """Start a copy, and return the event that marks its end."""
        if not tensor.is_cuda:
            host.copy_(tensor)
            return None
        with torch.cuda.device(tensor.device):
            stream = self.streams.get(tensor.device)
            if stream is None:
                stream = self.streams[tensor.device] = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                host.copy_(tensor, non_blocking=True)
                tensor.record_stream(stream)
                arrived = torch.cuda.Event()
                arrived.record(stream)
        return arrived

    def _hand_over(self, buffer, host, arrived, use):
        try:
            with torch.inference_mode():
                if arrived is not None:
                    arrived.synchronize()
                use(host)
        finally:
            self.buffers.put(buffer)


def is_behind(device):
    """Return whether work on a device is only queued when a function returns."""
    return device.type == "cuda"
