# SPDX-License-Identifier: BSD-3-Clause
"""Subwords to rows: one gather per batch and layer, straight into the matrix."""

import numpy as np
import torch

from sklearn_neurox.extraction._alignment import ranges
from sklearn_neurox.extraction._sources import widths_of


def pool(source, sequence, position, ptr, strategy, out):
    """Run a source and pool its subword activations into the rows of a matrix.

    Parameters
    ----------
    source : ModelSource or ArraySource

    sequence, position : ndarray of shape (n_tokens,)
        Where each token of each row stands.

    ptr : ndarray of shape (n_rows + 1,)
        Row i has the tokens ``ptr[i]:ptr[i + 1]``; rows without tokens are left as they are.

    strategy : {"first", "last", "mean", "max"}

    out : ndarray of shape (n_rows, n_neurons), dtype=float32
        Filled in place.
    """
    pooler = _Pooler(_Parts(sequence, position, ptr, strategy), source, torch.from_numpy(out))
    source.run(pooler.begin, pooler.visit)


class _Parts:
    """Runs of tokens that belong to one row and stand in one input.

    A row is one part, but for the rare word cut by the windows of a long text.
    """

    def __init__(self, sequence, position, ptr, strategy):
        counts = np.diff(ptr)
        filled = np.flatnonzero(counts)
        if strategy in ("first", "last"):
            chosen = ptr[filled] if strategy == "first" else ptr[filled + 1] - 1
            sequence, position = sequence[chosen], position[chosen]
            row_of_token, totals = filled, np.ones(len(ptr) - 1, dtype=np.int64)
        else:
            row_of_token, totals = np.repeat(np.arange(len(counts)), counts), counts
        change = np.ones(len(sequence), dtype=bool)
        change[1:] = (np.diff(sequence) != 0) | (np.diff(row_of_token) != 0)
        self.first = np.flatnonzero(change)
        self.position = position
        self.size = np.diff(np.append(self.first, len(sequence)))
        self.row = row_of_token[self.first]
        self.sequence = sequence[self.first]
        self.total = totals[self.row]
        self.is_split = self.size < self.total
        self.by_sequence = np.argsort(self.sequence, kind="stable")
        self.strategy = strategy

    def in_sequences(self, sequences):
        """Parts of the given inputs, and for each part which of them it stands in."""
        ordered = self.sequence[self.by_sequence]
        low = np.searchsorted(ordered, sequences, side="left")
        high = np.searchsorted(ordered, sequences, side="right")
        places, _ = ranges(low, high - low)
        return self.by_sequence[places], np.repeat(np.arange(len(sequences)), high - low)


class _Pooler:
    def __init__(self, parts, source, out):
        self.parts, self.out = parts, out
        self.edges = np.concatenate([[0], np.cumsum(widths_of(source))]).tolist()
        split_rows = np.unique(parts.row[parts.is_split])
        out[torch.from_numpy(split_rows)] = -torch.inf if parts.strategy == "max" else 0.0

    def begin(self, batch, base):
        parts = self.parts
        chosen, slot = parts.in_sequences(batch)
        # Whole parts first: they are copied, split ones are merged with what is there.
        order = np.argsort(parts.is_split[chosen], kind="stable")
        chosen, slot = chosen[order], slot[order]
        size = parts.size[chosen]
        tokens, ptr = ranges(parts.first[chosen], size)
        places = parts.position[tokens] + np.repeat(base[slot], size)
        self.n_whole = int((~parts.is_split[chosen]).sum())
        self.places = torch.from_numpy(places)
        self.ptr = torch.from_numpy(ptr[:-1].copy())
        self.size = torch.from_numpy(size)
        self.rows = torch.from_numpy(parts.row[chosen])
        self.share = torch.from_numpy(size / parts.total[chosen]).float()[:, None]

    def visit(self, block, states):
        columns = self.out[:, self.edges[block] : self.edges[block + 1]]
        pooled = self._reduce(states).cpu()
        n = self.n_whole
        if n == len(pooled):
            columns.index_copy_(0, self.rows, pooled)
            return
        columns.index_copy_(0, self.rows[:n], pooled[:n])
        rows, rest = self.rows[n:], pooled[n:]
        if self.parts.strategy == "max":
            columns.scatter_reduce_(0, rows[:, None].expand_as(rest), rest, "amax")
        else:
            columns.index_add_(0, rows, rest * self.share[n:])

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
