# SPDX-License-Identifier: BSD-3-Clause
"""Reduce the attention weights of one layer at a time to the rows of a matrix."""

import numpy as np
import torch

from sklearn_neurox.extraction._model._blocks import CROSS, WEIGHT_PARTS
from sklearn_neurox.utils._ragged import pointers, ranges
from sklearn_neurox.utils._torch import send_behind, to_numpy

# Weights gathered at a time, whatever the number of rows: 64 megabytes in float64.
_MOST_WEIGHTS = 1 << 23


class AttentionPooler:
    """Reduces the weights of a running model to the rows of a matrix; see `ModelSource.run`.

    Parameters
    ----------
    spans : PlacedSpans

    blocks : tuple of Block

    out : ndarray of shape (n_rows, n_columns), dtype=float32, or HalfMatrix
        Filled in place.
    """

    def __init__(self, spans, blocks, out):
        self.spans, self.blocks, self.out = spans, blocks, out
        self.edges = pointers([block.n_units for block in blocks]).tolist()
        self.by_sequence = np.argsort(spans.sequence, kind="stable")
        self.ordered = spans.sequence[self.by_sequence]

    def begin(self, batch, base):
        """Find the rows in the inputs of a batch."""
        low = np.searchsorted(self.ordered, batch, side="left")
        counts = np.searchsorted(self.ordered, batch, side="right") - low
        places, _ = ranges(low, counts)
        self.rows = self.by_sequence[places]
        self.slot = np.repeat(np.arange(len(batch)), counts)

    def visit(self, n, weights):
        """Reduce the weights of one block, of shape (n_inputs, n_heads, n_queries, n_keys)."""
        if not len(self.rows):
            return
        block = self.blocks[n]
        query = 1 if block.stack == "decoder" else 0  # a decoder reads its start token first
        key = 0 if block.component == CROSS else query
        first = self._of_rows(self.spans.first)
        if self.spans.other is None:
            entropy, start = self._of_queries(weights, first, query)
            parts = [entropy, start, self._between(weights, first, first, query, key)]
        else:
            other = self._of_rows(self.spans.other)
            parts = [self._between(weights, first, other, query, key)]
            if "from" in WEIGHT_PARTS[block.component]:
                parts.append(self._between(weights, other, first, query, key))
        values = np.stack(parts, axis=2).reshape(len(self.rows), -1)
        if not np.isfinite(values).all():
            raise ValueError(
                f"Some weights of {block.name!r} are NaN or infinite in a batch of texts. Load the "
                "model with dtype='float32', or read other layers with layers=."
            )
        self.out[self.rows, self.edges[n] : self.edges[n + 1]] = values

    def _of_rows(self, span):
        """Return the positions of the rows of the batch, and pointers to those of each."""
        position, ptr = span
        places, own = ranges(ptr[self.rows], np.diff(ptr)[self.rows])
        return position[places], own

    def _between(self, weights, queries, keys, query, key):
        """Sum the weights over the keys of each row, and average them over its queries."""
        (asking, ask_ptr), (asked, key_ptr) = queries, keys
        n_asking, n_asked = np.diff(ask_ptr), np.diff(key_ptr)
        sizes = n_asking * n_asked
        result = np.empty((len(sizes), weights.shape[1]), dtype=np.float32)
        for rows in _portions(sizes, _MOST_WEIGHTS // weights.shape[1]):
            one = np.repeat(np.arange(rows.start, rows.stop), sizes[rows])
            place = ranges(np.zeros(rows.stop - rows.start, dtype=np.int64), sizes[rows])[0]
            a = asking[ask_ptr[one] + place // n_asked[one]] + query
            b = asked[key_ptr[one] + place % n_asked[one]] + key
            s, a, b = (send_behind(each, weights.device) for each in (self.slot[one], a, b))
            gathered = weights[s, :, a, b].float()
            sums = _sum_runs(gathered, sizes[rows])
            result[rows] = to_numpy(sums.cpu()) / n_asking[rows, None]
        return result

    def _of_queries(self, weights, queries, query):
        """Average over the tokens of each row the entropy of their weights, and the first one."""
        position, ptr = queries
        sizes = np.diff(ptr)
        entropy, start = np.empty((2, len(sizes), weights.shape[1]), dtype=np.float32)
        per_token = weights.shape[1] * weights.shape[3]
        for rows in _portions(sizes, _MOST_WEIGHTS // per_token):
            one = np.repeat(np.arange(rows.start, rows.stop), sizes[rows])
            a = position[ptr[rows.start] : ptr[rows.stop]] + query
            s, a = (send_behind(each, weights.device) for each in (self.slot[one], a))
            own = weights[s, :, a].float()
            for result, values in (
                (entropy, -torch.xlogy(own, own).sum(dim=2)),
                (start, own[:, :, 0]),
            ):
                sums = to_numpy(_sum_runs(values, sizes[rows]).cpu())
                result[rows] = sums / sizes[rows, None]
        return entropy, start


def _portions(sizes, most):
    """Yield slices of rows whose sizes add up to no more than ``most``, or that are one row."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + max(1, most), side="right")))
        yield slice(start, stop)
        start = stop


def _sum_runs(values, sizes):
    """Sum adjacent rows in runs of the given sizes, in the same order on every device."""
    # The thousands of weights between two long spans would add up to an error of 1e-5 in float32.
    if values.device.type != "mps":  # has no float64
        values = values.double()
    lengths = send_behind(np.asarray(sizes, dtype=np.int64), values.device)
    return torch.segment_reduce(values.contiguous(), "sum", lengths=lengths, axis=0)
