# SPDX-License-Identifier: BSD-3-Clause
"""Subwords to rows: one gather per batch and layer, straight into the matrix."""

import numpy as np
import torch

from sklearn_neurox.extraction._run._row_parts import split_values
from sklearn_neurox.utils._half_precision import narrowed
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._torch import to_numpy


def pool(source, parts, out):
    """Run a source and pool its subword activations into the rows of a matrix.

    Parameters
    ----------
    source : ModelSource or ArraySource

    parts : Parts
        The tokens of each row; rows without tokens are left as they are.

    out : ndarray of shape (n_rows, n_neurons), dtype=float32 or float16
        Filled in place.

    Raises
    ------
    OverflowError
        If a value is beyond the range of float16.
    """
    pooler = _Pooler(parts, source, out)
    source.run(pooler.begin, pooler.visit)
    pooler.finish()


class _Pooler:
    def __init__(self, parts, source, out):
        self.parts, self.out, self.source = parts, out, source
        self.edges = pointers(source.block_widths).tolist()
        self.split = split_values(parts, out.shape[1])

    def begin(self, batch, base):
        self.batch = self.parts.of_batch(batch, base)
        self.places = torch.from_numpy(self.batch.places)
        self.ptr = torch.from_numpy(self.batch.ptr)
        self.size = torch.from_numpy(self.batch.size)

    def visit(self, block, states):
        columns = slice(self.edges[block], self.edges[block + 1])
        pooled = self._reduce(states).cpu()
        n = self.batch.n_whole
        self._put(pooled[:n], columns)
        if n == len(pooled):
            return
        rest, split = to_numpy(pooled[n:]), self.split[:, columns]
        if self.parts.strategy == "max":
            np.maximum.at(split, self.batch.split, rest)
        else:
            np.add.at(split, self.batch.split, rest * self.batch.share)

    def finish(self):
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
        return f"The neuron {self.source.feature_names()[neuron]}"

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
        """Take the maximum subword by subword: few words have more than three."""
        first, size = self.ptr.to(states.device), self.size.to(states.device)
        result = states.index_select(0, places[first])
        for step in range(1, int(self.size.max()) if len(self.size) else 0):
            longer = torch.nonzero(size > step).squeeze(1)
            more = states.index_select(0, places[first[longer] + step])
            result[longer] = torch.maximum(result[longer], more)
        return result
