# SPDX-License-Identifier: BSD-3-Clause
"""Pool the states of a running model: one gather per batch and layer, straight into the matrix."""

from functools import partial

import numpy as np
import torch

from sklearn_neurox.extraction._run._row_parts import merge_split, split_values
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._torch import send_behind, to_numpy


class TorchPooler:
    """Pools the states of a running model into the rows of a matrix; see `ModelSource.run`.

    Parameters
    ----------
    parts : Parts
        The tokens of each row; rows without tokens are left as they are.

    block_widths : tuple of int

    out : ndarray of shape (n_rows, n_neurons), dtype=float32; HalfMatrix or SparseRows
        Filled in place.

    copies : DeviceCopies
        Brings pooled states to the host.
    """

    def __init__(self, parts, block_widths, out, copies):
        self.parts, self.out, self.copies = parts, out, copies
        self.edges = pointers(block_widths).tolist()
        self.split = split_values(parts, out.shape[1])

    def begin(self, batch, base):
        """Find the rows with tokens in a batch."""
        self.batch = self.parts.of_batch(batch, base)
        self.on_device = {}

    def visit(self, block, states):
        """Pool the states of one block of the batch."""
        columns = slice(self.edges[block], self.edges[block + 1])
        self.copies.send(self._reduce(states), partial(self._take, self.batch, columns))

    def finish(self):
        """Fill the rows whose tokens are in several inputs."""
        self.out[self.parts.split_rows] = self.split

    def _take(self, batch, columns, pooled):
        """Write the pooled states of a batch to their rows, or merge them."""
        pooled = to_numpy(pooled)
        whole, rest = np.split(pooled, [batch.n_whole])

        def write(some):
            self.out[batch.rows[some], columns] = whole[some]

        self.copies.by_rows(write, whole)
        if len(rest):
            merge_split(self.split[:, columns], batch, rest, self.parts.strategy)

    def _reduce(self, states):
        places, ptr = self._indices(states.device)
        if self.parts.strategy in ("first", "last"):
            return states.index_select(0, places)
        if self.parts.strategy == "mean":
            return self._mean(states, places, ptr)
        return self._maximum(states, places, ptr)

    def _mean(self, states, places, ptr):
        result = torch.nn.functional.embedding_bag(places, states, ptr, mode="mean")
        # Sums overflow before means do, also this one. Looking at it would make the CPU wait for a GPU.
        if not result.is_cuda and torch.isfinite(result.sum()):
            return result
        unit = 2.0 ** int(np.frexp(self.batch.size.max())[1])  # more than the longest part
        small = torch.nn.functional.embedding_bag(places, states / unit, ptr, mode="mean")
        return torch.where(torch.isfinite(result), result, small * unit)

    def _indices(self, device):
        """Return the places of the batch and where each part begins, sent to a device once."""
        if device not in self.on_device:
            arrays = self.batch.places, self.batch.ptr
            self.on_device[device] = [send_behind(array, device) for array in arrays]
        return self.on_device[device]

    def _maximum(self, states, places, first):
        """Take the maximum subword by subword, as few words have more than three."""
        size = self.batch.size
        result = states.index_select(0, places[first])
        for step in range(1, int(size.max()) if len(size) else 0):
            longer = send_behind(np.flatnonzero(size > step), states.device)
            more = states.index_select(0, places[first[longer] + step])
            result[longer] = torch.maximum(result[longer], more)
        return result
