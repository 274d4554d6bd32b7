# SPDX-License-Identifier: BSD-3-Clause
"""Find the tokens of each row in the model inputs."""

import copy
from dataclasses import dataclass

import numpy as np

from sklearn_neurox.utils._ragged import ranges


class Parts:
    """Parts of rows: runs of tokens that belong to one row and are in one model input.

    Most rows have one part; only a word cut by the windows of a long text has several.

    Parameters
    ----------
    sequence, position : ndarray of shape (n_tokens,)
        For each token of each row: the input it is in, and its position there.

    ptr : ndarray of shape (n_rows + 1,)
        Row i has the tokens ``ptr[i]:ptr[i + 1]``; rows without tokens have no part.

    strategy : {"first", "last", "mean", "max"}

    noun : str, default="rows"
        What rows are called in messages.
    """

    def __init__(self, sequence, position, ptr, strategy, noun="rows"):
        self.noun = noun
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
        self.split_rows = np.unique(self.row[self.is_split])
        self.by_sequence = np.argsort(self.sequence, kind="stable")
        self.strategy = strategy

    def take(self, inputs):
        """Return the parts in some inputs, given in order; a row must be in them wholly or not."""
        other = self._where(np.isin(self.sequence, inputs))
        other.sequence = np.searchsorted(inputs, other.sequence)
        return other

    def of_rows(self, rows, *, renumber=False):
        """Return the parts of some rows, given in order; ``renumber`` counts these rows from 0."""
        other = self._where(np.isin(self.row, rows))
        if renumber:
            other.row = np.searchsorted(rows, other.row)
            other.split_rows = np.searchsorted(rows, other.split_rows)
        return other

    def _where(self, kept):
        other = copy.copy(self)
        for name in ("first", "size", "row", "sequence", "total", "is_split"):
            setattr(other, name, getattr(self, name)[kept])
        other.split_rows = np.unique(other.row[other.is_split])
        other.by_sequence = np.argsort(other.sequence, kind="stable")
        return other

    def of_batch(self, batch, base):
        """Gather the parts in the inputs of a batch, those of unsplit rows first.

        ``base`` is where the tokens of each input begin in the flattened batch.
        """
        ordered = self.sequence[self.by_sequence]
        low = np.searchsorted(ordered, batch, side="left")
        counts = np.searchsorted(ordered, batch, side="right") - low
        places, _ = ranges(low, counts)
        chosen, slot = self.by_sequence[places], np.repeat(np.arange(len(batch)), counts)
        order = np.argsort(self.is_split[chosen], kind="stable")
        chosen, slot = chosen[order], slot[order]
        size, row = self.size[chosen], self.row[chosen]
        tokens, ptr = ranges(self.first[chosen], size)
        n_whole = int((~self.is_split[chosen]).sum())
        share = (size / self.total[chosen]).astype(np.float32)
        return BatchParts(
            size=size,
            places=self.position[tokens] + np.repeat(base[slot], size),
            ptr=ptr[:-1].copy(),
            n_whole=n_whole,
            rows=row[:n_whole],
            split=np.searchsorted(self.split_rows, row[n_whole:]),
            share=share[n_whole:, None],
        )


@dataclass(frozen=True)
class BatchParts:
    """The parts in one batch: whole rows first, then parts of split rows, to be merged."""

    size: np.ndarray  # tokens of each part
    places: np.ndarray  # the places of all their tokens in the flattened batch
    ptr: np.ndarray  # where the places of each part begin
    n_whole: int
    rows: np.ndarray  # the row of each whole part
    split: np.ndarray  # the place of each split part's row in ``split_rows``
    share: np.ndarray  # the share of its row's tokens that each split part holds


def split_values(parts, n_neurons):
    """Allocate the float32 matrix in which the parts of ``parts.split_rows`` are merged."""
    start = -np.inf if parts.strategy == "max" else 0.0
    return np.full((len(parts.split_rows), n_neurons), start, dtype=np.float32)


def merge_split(split, batch, pooled, strategy):
    """Merge the split parts of a batch, each pooled on its own, into the matrix of their rows."""
    if strategy == "max":
        np.maximum.at(split, batch.split, pooled)
    else:
        np.add.at(split, batch.split, pooled * batch.share)
