# SPDX-License-Identifier: BSD-3-Clause
"""Which tokens of which model input make up which row."""

import numpy as np

from sklearn_neurox.utils._ragged import ranges


class Parts:
    """Runs of tokens that belong to one row and stand in one input.

    A row is one part, but for the rare word cut by the windows of a long text.

    Parameters
    ----------
    sequence, position : ndarray of shape (n_tokens,)
        Where each token of each row stands.

    ptr : ndarray of shape (n_rows + 1,)
        Row i has the tokens ``ptr[i]:ptr[i + 1]``; rows without tokens have no part.

    strategy : {"first", "last", "mean", "max"}
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
        self.split_rows = np.unique(self.row[self.is_split])
        self.by_sequence = np.argsort(self.sequence, kind="stable")
        self.strategy = strategy

    def of_batch(self, batch, base):
        """Gather what the inputs of a batch hold, whole parts before split ones.

        Parameters
        ----------
        batch : ndarray of int
            The inputs.

        base : ndarray of int
            Where the tokens of each begin among those of the batch.

        Returns
        -------
        batch_parts : BatchParts
        """
        ordered = self.sequence[self.by_sequence]
        low = np.searchsorted(ordered, batch, side="left")
        high = np.searchsorted(ordered, batch, side="right")
        places, _ = ranges(low, high - low)
        chosen, slot = self.by_sequence[places], np.repeat(np.arange(len(batch)), high - low)
        order = np.argsort(self.is_split[chosen], kind="stable")
        chosen, slot = chosen[order], slot[order]
        return BatchParts(self, chosen, base[slot])


class BatchParts:
    """The parts that stand in one batch, whole ones first; split ones are merged by row."""

    def __init__(self, parts, chosen, base):
        self.size = parts.size[chosen]
        tokens, ptr = ranges(parts.first[chosen], self.size)
        self.places = parts.position[tokens] + np.repeat(base, self.size)
        self.ptr = ptr[:-1].copy()
        self.n_whole = int((~parts.is_split[chosen]).sum())
        rows = parts.row[chosen]
        self.rows = rows[: self.n_whole]
        self.split = np.searchsorted(parts.split_rows, rows[self.n_whole :])
        share = (self.size / parts.total[chosen]).astype(np.float32)
        self.share = share[self.n_whole :, None]


def split_values(parts, n_neurons):
    """Make the float32 matrix in which the rows that stand in several inputs are merged.

    Parameters
    ----------
    parts : Parts

    n_neurons : int

    Returns
    -------
    values : ndarray of shape (n_split_rows, n_neurons), dtype=float32
        One row each of ``parts.split_rows``.
    """
    start = -np.inf if parts.strategy == "max" else 0.0
    return np.full((len(parts.split_rows), n_neurons), start, dtype=np.float32)
