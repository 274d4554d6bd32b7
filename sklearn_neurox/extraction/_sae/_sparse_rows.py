# SPDX-License-Identifier: BSD-3-Clause
"""Pool the sparse codes of tokens into the rows of a CSR matrix, block by block."""

import threading

import numpy as np
from scipy.sparse import csr_matrix

from sklearn_neurox.utils._ragged import pointers, ranges


class SparseRows:
    """Stands in for the matrix of tokens that a source fills, but keeps pooled codes only.

    A source writes the activations of tokens in any order. Each block of them is encoded and
    reduced to the rows that own them at once, so that memory stays near the size of the result.

    Parameters
    ----------
    encoder : TokenEncoder

    d_in : int

    owners : ndarray of shape (n_entries,)
        The row of each entry, an entry being a token of a row, sorted by token.

    owner_ptr : ndarray of shape (n_tokens + 1,)
        Token i belongs to the rows ``owners[owner_ptr[i]:owner_ptr[i + 1]]``.

    sizes : ndarray of shape (n_rows,)
        The number of tokens per row.

    strategy : {"first", "last", "mean", "max"}
    """

    dtype = np.dtype(np.float32)

    def __init__(self, encoder, d_in, owners, owner_ptr, sizes, strategy):
        self.encoder, self.strategy = encoder, strategy
        self.shape = len(owner_ptr) - 1, d_in
        self.owners, self.owner_ptr, self.sizes = owners, owner_ptr, sizes
        self.is_done = np.zeros(self.shape[0], dtype=bool)
        self.pieces = []
        self.lock = threading.Lock()

    def __setitem__(self, key, values):
        """Encode and pool the activations of some tokens; those written before are skipped.

        A source writes tokens again if a damaged shard made it start over.
        """
        tokens = key[0] if isinstance(key, tuple) else key
        with self.lock:
            n = self.encoder.rows_per_block
            for start in range(0, len(tokens), n):
                self._add(tokens[start : start + n], values[start : start + n])

    def _add(self, tokens, values):
        is_new = ~self.is_done[tokens]
        if not is_new.all():
            tokens, values = tokens[is_new], values[is_new]
        if not len(tokens):
            return
        place, unit, value = self.encoder.nonzero(values)
        # Give each code to all rows that own its token.
        begin = self.owner_ptr[tokens[place]]
        entries, ptr = ranges(begin, self.owner_ptr[tokens[place] + 1] - begin)
        counts = np.diff(ptr)
        unit, value = np.repeat(unit, counts), np.repeat(value, counts)
        self.pieces.append(self._reduced(self.owners[entries], unit, value))
        self.is_done[tokens] = True

    def _reduced(self, row, unit, value, count=None):
        """Merge the codes of a row and feature into one; sort by row, then by feature."""
        row, unit = row.astype(np.int32), unit.astype(np.int32)
        count = np.ones(len(row), dtype=np.int32) if count is None else count
        order = np.lexsort((unit, row))
        row, unit, value, count = row[order], unit[order], value[order], count[order]
        if self.strategy in ("first", "last") or not len(row):
            return row, unit, value, count
        starts = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(unit, prepend=-1) != 0))
        if len(starts) == len(row):
            return row, unit, value, count
        merge = np.maximum if self.strategy == "max" else np.add
        with np.errstate(over="ignore"):
            merged = merge.reduceat(value, starts)
        return row[starts], unit[starts], merged, np.add.reduceat(count, starts)

    def matrix(self):
        """Return the pooled rows, after all tokens have been written."""
        n_rows, pieces = len(self.sizes), self._with_whole_rows()
        lengths = np.zeros(n_rows, dtype=np.int64)
        for row, *_ in pieces:
            lengths += np.bincount(row, minlength=n_rows)
        ptr = pointers(lengths)
        index_dtype = np.int32 if ptr[-1] < np.iinfo(np.int32).max else np.int64
        columns = np.empty(ptr[-1], dtype=index_dtype)
        data = np.empty(ptr[-1], dtype=np.float32)
        while pieces:
            row, unit, value, _ = pieces.pop()
            starts = np.flatnonzero(np.diff(row, prepend=-1))
            places, _ = ranges(ptr[row[starts]], np.diff(np.append(starts, len(row))))
            columns[places], data[places] = unit, value
        shape = n_rows, self.encoder.d_sae
        matrix = csr_matrix((data, columns, ptr.astype(index_dtype)), shape=shape)
        matrix.has_sorted_indices = matrix.has_canonical_format = True
        return matrix

    def _with_whole_rows(self):
        """Merge the rows whose tokens came in several blocks, and finish all rows."""
        pieces, self.pieces = self.pieces, []
        n_pieces = np.zeros(len(self.sizes), dtype=np.int32)
        for row, *_ in pieces:
            n_pieces[np.unique(row)] += 1
        is_split = n_pieces > 1
        whole, split = [], []
        while pieces:
            piece = pieces.pop()
            apart = is_split[piece[0]]
            if not apart.any():
                whole.append(self._finished(*piece))
                continue
            whole.append(self._finished(*[part[~apart] for part in piece]))
            split.append([part[apart] for part in piece])
        if split:
            # In the order in which they came, so that sums round in the same way each time.
            merged = [np.concatenate(parts) for parts in zip(*split[::-1], strict=True)]
            whole.append(self._finished(*self._reduced(*merged)))
        return whole

    def _finished(self, row, unit, value, count):
        if self.strategy == "mean":
            if not np.isfinite(value).all():
                bad = int(np.argmin(np.isfinite(value)))
                raise OverflowError(
                    f"The codes of feature {unit[bad]} in row {row[bad]} are so large that float32 "
                    "cannot hold their sum. Use strategy='max', or check the weights of the SAE."
                )
            value = value / self.sizes[row].astype(np.float32)
        elif self.strategy == "max":
            # A negative code loses against the zero of another token.
            is_beaten = (value < 0) & (count < self.sizes[row])
            if is_beaten.any():
                row, unit, value = (part[~is_beaten] for part in (row, unit, value))
        return row, unit, value, None
