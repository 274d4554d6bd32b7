# SPDX-License-Identifier: BSD-3-Clause
"""Pool arrays without torch, reading only the needed pages of a memory map."""

import numpy as np

from sklearn_neurox.extraction._run._row_parts import merge_split, split_values
from sklearn_neurox.utils._half_precision import widened


class NumpyPooler:
    """Pools arrays of subword activations into a matrix, with the same bits as `TorchPooler`.

    Parameters
    ----------
    parts : Parts
        The tokens of each row; rows without tokens are left as they are.

    out : ndarray of shape (n_rows, n_neurons), dtype=float32; HalfMatrix or SparseRows
        Filled in place.
    """

    def __init__(self, parts, out):
        self.strategy, self.rows, self.out = parts.strategy, parts.split_rows, out
        self.split = split_values(parts, out.shape[1])

    def add(self, batch, blocks):
        """Pool one batch; ``blocks`` are pairs of columns and (n_places, n_units) activations."""
        if not len(batch.size):
            return
        # The longest parts first, so that the parts with a further token form a slice.
        order = np.argsort(-batch.size, kind="stable")
        size, first = batch.size[order], batch.ptr[order]
        steps = [
            batch.places[first[: np.count_nonzero(size > step)] + step] for step in range(size[0])
        ]
        n = batch.n_whole
        rows = batch.rows[order] if n == len(order) else None
        for columns, states in blocks:
            pooled = self._reduce(states, steps, size)
            if rows is not None:
                self.out[rows, columns] = pooled
                continue
            pooled[order] = pooled.copy()
            self.out[batch.rows, columns] = pooled[:n]
            merge_split(self.split[:, columns], batch, pooled[n:], self.strategy)

    def finish(self):
        """Fill the rows whose tokens are in several inputs."""
        self.out[self.rows] = self.split

    def _reduce(self, states, steps, size):
        """Reduce the tokens of each part, step by step, in float32."""
        if self.strategy == "max":
            return _merged(states, steps, np.maximum)
        result = _merged(states, steps, np.add)
        if self.strategy == "mean":
            result += np.float32(0)  # torch sums from 0, which turns -0 into 0
            n = np.count_nonzero(size > 1)
            result[:n] /= size[:n, None].astype(np.float32)
            if not np.isfinite(result).all():  # sums overflow before means do
                unit = np.float32(2.0 ** np.frexp(size[0])[1])  # more than the longest part
                result = _merged(widened(states) / unit, steps, np.add)
                result /= size[:, None].astype(np.float32) / unit
        return result


def _merged(states, steps, merge):
    # Faster than indexing.
    result = widened(states.take(steps[0], axis=0))
    with np.errstate(over="ignore", invalid="ignore"):
        for places in steps[1:]:
            longer = result[: len(places)]
            merge(longer, widened(states.take(places, axis=0)), out=longer)
    return result
