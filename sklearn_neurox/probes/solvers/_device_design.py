# SPDX-License-Identifier: BSD-3-Clause
import copy

import numpy as np
import torch

from sklearn_neurox.probes.solvers._column_moments import moments_of_parts, scale_of
from sklearn_neurox.probes.solvers._design import StandardizedDesign
from sklearn_neurox.probes.solvers._host_feed import HostFeed
from sklearn_neurox.utils._torch import is_out_of_memory, release_memory, to_tensor

# Numbers in one block of a pass: large enough to fill a GPU, small next to its memory.
_BLOCK_NUMBERS = 2**25
# Bytes of one block on its way to the device.
_SENT_BYTES = 2**26


class DeviceDesign(StandardizedDesign):
    """A design on a GPU, which holds X in its own precision or reads it again at every pass.

    Every pass, moments and certificates included, takes blocks of raw values on the device and
    centers them there. So a float16 matrix takes no more memory than on the host, certificates see
    X itself, and no pass over a matrix on the device waits for the host.

    Parameters
    ----------
    X, weight, moments, center, rows, device, dtype
        As in `StandardizedDesign`.

    is_kept : bool, default=True
        Whether to hold X on the device if it has room; otherwise, blocks are sent to it during
        every pass.
    """

    def __init__(self, X, *, rows, device, is_kept=True, **options):
        kept = _kept_rows(X, rows, device) if is_kept else None
        self.is_kept = kept is not None
        self.raw = _SentRows(X, rows, device) if kept is None else kept
        self.order = to_tensor(rows, device=device)
        super().__init__(X, rows=rows, device=device, **options)
        self._prepare()

    def _prepare(self):
        self.inverse = self.working_scale.reciprocal()
        self.shift = -self.working_mean * self.inverse

    def moments(self, weight):
        """Compute the mean and scale of every column in float64."""
        if weight is not None:
            weight = weight.to(self.device, torch.float64)[self.order]
        mean, var = moments_of_parts(self._blocks(), weight, torch.float64, self.device)
        return mean, scale_of(mean, var, len(self.X))

    def scores(self, coef):
        """Compute ``Z @ coef.T`` in float64, in the order of X."""
        coef = coef / self.scale
        out = coef.new_empty((len(self.X), len(coef)))
        for block, rows in self._blocks():
            out.index_copy_(0, self.order[block], (rows - self.mean) @ coef.T)
        return out

    def correlate(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in float64 for a residual in the order of X."""
        out = residual.new_zeros((residual.shape[1], self.X.shape[1]))
        for block, rows in self._blocks():
            out.addmm_(residual[self.order[block]].T, rows - self.mean)
        return out.div_(self.scale * len(self.X))

    def product(self, coef):
        """Compute ``Z @ coef.T`` in the working precision and order."""
        coef = coef / self.working_scale
        out = coef.new_empty((len(self.X), len(coef)))
        for block, rows in self._blocks():
            out[block] = (rows - self.working_mean) @ coef.T
        return out

    def gradient(self, residual):
        """Compute ``residual.T @ Z / n_samples`` in the working precision and order."""
        out = residual.new_zeros((residual.shape[1], self.X.shape[1]))
        for block, rows in self._blocks():
            out.addmm_(residual[block].T, rows - self.working_mean)
        return out.div_(self.working_scale * len(self.X))

    def head(self, n_rows):
        """Return the first rows, as a list of blocks."""
        return [self._standardized(part) for part in self.raw.visit([slice(0, n_rows)])]

    def batches(self, n_batches):
        """Split the working order into batches, which can be visited in any order."""
        return _DeviceBatches(self, n_batches)

    def in_double(self):
        """Return the same design with float64 as the working precision."""
        fine = copy.copy(self)
        fine.dtype = torch.float64
        fine.working_mean, fine.working_scale = fine.mean, fine.scale
        fine._prepare()
        return fine

    def _blocks(self):
        """Yield places in the working order that cover it, each with its raw rows."""
        return self.raw.cover()

    def _standardized(self, rows):
        if rows.itemsize == 2:
            # One operation instead of two; its rounding is far below that of half precision.
            return torch.addcmul(self.shift, rows, self.inverse)
        return (rows - self.working_mean).mul_(self.inverse)


def _kept_rows(X, rows, device):
    """Put X on the device; return None if its memory is full, as when other threads took it."""
    try:
        return _KeptRows(X, rows, device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    # Outside the except block, whose traceback would keep the memory.
    release_memory()
    return None


class _KeptRows:
    """The rows of X on the device, in the working order."""

    def __init__(self, X, rows, device):
        feed = HostFeed(X, device)
        n_samples, n_features = X.shape
        self.rows_per_block = max(1, _BLOCK_NUMBERS // max(1, n_features))
        self.values = torch.empty((n_samples, n_features), dtype=feed.dtype, device=device)
        place = _inverse(rows, device)
        # The host is read in order and the rows are shuffled on the device, which is faster.
        n_sent = max(1, _SENT_BYTES // max(1, n_features * X.dtype.itemsize))
        parts = _slices(n_samples, n_sent)
        for part, own in zip(parts, feed.visit(parts), strict=True):
            self.values.index_copy_(0, place[part], own)

    def cover(self):
        """Yield slices of the working order, each with its raw rows."""
        parts = _slices(len(self.values), self.rows_per_block)
        return zip(parts, self.visit(parts), strict=True)

    def visit(self, parts):
        """Yield the raw rows of slices of the working order."""
        return (self.values[part] for part in parts)


class _SentRows:
    """The rows of X on the host, sent to the device whenever they are visited."""

    def __init__(self, X, rows, device):
        self.rows = rows
        self.feed = HostFeed(X, device)
        self.rows_per_block = max(1, _SENT_BYTES // max(1, X.shape[1] * X.dtype.itemsize))
        self.place = _inverse(rows, device)

    def cover(self):
        """Yield places in the working order, each with its raw rows, in the order of X.

        Reading the host in order is faster than gathering rows there.
        """
        parts = _slices(len(self.rows), self.rows_per_block)
        places = (self.place[part] for part in parts)
        return zip(places, self.feed.visit(parts), strict=True)

    def visit(self, parts):
        """Yield the raw rows of slices of the working order, sent many at a time."""
        sizes = np.array([part.stop - part.start for part in parts])
        number = (np.cumsum(sizes) - sizes) // self.rows_per_block
        starts = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
        groups = [parts[a:b] for a, b in zip(starts, [*starts[1:], len(parts)], strict=True)]
        sent = self.feed.visit([np.concatenate([self.rows[own] for own in g]) for g in groups])
        for group, rows in zip(groups, sent, strict=True):
            start = 0
            for part in group:
                stop = start + part.stop - part.start
                yield rows[start:stop]
                start = stop


def _slices(n_rows, n_at_once):
    return [slice(a, min(a + n_at_once, n_rows)) for a in range(0, n_rows, n_at_once)]


def _inverse(rows, device):
    """Return the place of each row of X in the working order."""
    place = np.empty_like(rows)
    place[rows] = np.arange(len(rows))
    return to_tensor(place, device=device)


class _DeviceBatches:
    """Batches of standardized rows."""

    def __init__(self, design, n_batches):
        self.design = design
        ends = np.cumsum([len(part) for part in np.array_split(design.rows, n_batches)]).tolist()
        self.slices = [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def __len__(self):
        return len(self.slices)

    def visit(self, order):
        """Yield the number and the rows of each batch, in the given order."""
        order = [int(batch) for batch in order]
        raw = self.design.raw.visit([self.slices[batch] for batch in order])
        for batch, rows in zip(order, raw, strict=True):
            yield batch, self.design._standardized(rows)
