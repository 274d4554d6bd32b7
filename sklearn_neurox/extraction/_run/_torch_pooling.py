# SPDX-License-Identifier: BSD-3-Clause
"""Pool the states of a running model: one gather per batch and layer, straight into the matrix."""

import numpy as np
import torch

from sklearn_neurox.extraction._run._row_parts import merge_split, split_values
from sklearn_neurox.utils._half_precision import narrowed
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._torch import to_numpy


class TorchPooler:
    """Pools the states of a running model into the rows of a matrix; see `ModelSource.run`.

    Parameters
    ----------
    parts : Parts
        The tokens of each row; rows without tokens are left as they are.

    block_widths : tuple of int

    out : ndarray of shape (n_rows, n_neurons), dtype=float32 or float16
        Filled in place.

    feature_names : callable
        Returns the names of the neurons, for the error about a value beyond float16.
    """

    def __init__(self, parts, block_widths, out, feature_names):
        self.parts, self.out, self.feature_names = parts, out, feature_names
        self.edges = pointers(block_widths).tolist()
        self.split = split_values(parts, out.shape[1])

    def begin(self, batch, base):
        """Find the rows with tokens in a batch."""
        self.batch = self.parts.of_batch(batch, base)
        self.places = torch.from_numpy(self.batch.places)
        self.ptr = torch.from_numpy(self.batch.ptr)
        self.size = torch.from_numpy(self.batch.size)

    def visit(self, block, states):
        """Pool the states of one block of the batch."""
        columns = slice(self.edges[block], self.edges[block + 1])
        pooled = self._reduce(states).cpu()
        n = self.batch.n_whole
        self._put(pooled[:n], columns)
        if n < len(pooled):
            rest = to_numpy(pooled[n:])
            merge_split(self.split[:, columns], self.batch, rest, self.parts.strategy)

    def finish(self):
        """Fill the rows whose tokens are in several inputs."""
        rows = self.parts.split_rows
        self.out[rows] = narrowed(self.split, self.out.dtype, self._name)

    def _put(self, pooled, columns):
        if self.out.dtype == np.float32:
            target = torch.from_numpy(self.out)[:, columns]
            target.index_copy_(0, torch.from_numpy(self.batch.rows), pooled)
        else:
            self.out[self.batch.rows, columns] = narrowed(
                to_numpy(pooled), self.out.dtype, lambda unit: self._name(columns.start + unit)
            )

    def _name(self, neuron):
        return f"The neuron {self.feature_names()[neuron]}"

    def _reduce(self, states):
        places = self.places.to(states.device)
        if self.parts.strategy in ("first", "last"):
            return states.index_select(0, places)
        if self.parts.strategy == "mean":
            return torch.nn.functional.embedding_bag(
                places, states, self.ptr.to(states.device), mode="mean"
            )
        return self._maximum(states, places)

    def _maximum(self, states, places):
        """Take the maximum subword by subword, as few words have more than three."""
        first, size = self.ptr.to(states.device), self.size.to(states.device)
        result = states.index_select(0, places[first])
        for step in range(1, int(self.size.max()) if len(self.size) else 0):
            longer = torch.nonzero(size > step).squeeze(1)
            more = states.index_select(0, places[first[longer] + step])
            result[longer] = torch.maximum(result[longer], more)
        return result
