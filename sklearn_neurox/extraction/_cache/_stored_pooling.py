# SPDX-License-Identifier: BSD-3-Clause
"""Stored subwords to rows, in NumPy: it reads the pages it needs, and no torch is imported."""

import numpy as np

from sklearn_neurox.extraction._run._row_parts import split_values
from sklearn_neurox.utils._half_precision import narrowed


def pool_stored(parts, blocks, out, name):
    """Pool states that lie in shards into the rows of a matrix, as `_pooling.pool` does.

    Parameters
    ----------
    parts : Parts
        The tokens of each row.

    blocks : iterable of (str, slice, Places)
        Each block, its columns, and where the model inputs are.

    out : ndarray of shape (n_rows, n_neurons), dtype=float32 or float16
        Filled in place; rows without tokens are left as they are.

    name : callable
        Called with the place of a neuron, for messages.

    Raises
    ------
    DamagedShardError
        If a shard does not hold what was written. The matrix is then half filled.
    """
    split = split_values(parts, out.shape[1])
    batches = {}  # blocks that lie in the same places share them
    for block, columns, places in blocks:
        if id(places) not in batches:
            batches = {id(places): (places, _batches(parts, places))}
        for shard, slots, batch in batches[id(places)][1]:
            states = shard.states(block, slots)
            pooled = _reduce(states, batch, parts.strategy)
            n = batch.n_whole
            out[batch.rows, columns] = narrowed(
                pooled[:n], out.dtype, lambda unit, first=columns.start: name(first + unit)
            )
            if parts.strategy == "max":
                np.maximum.at(split[:, columns], batch.split, pooled[n:])
            else:
                np.add.at(split[:, columns], batch.split, pooled[n:] * batch.share)
    out[parts.split_rows] = narrowed(split, out.dtype, name)


def _batches(parts, places):
    found = []
    for shard, inputs, slots in places.by_shard():
        # `of_batch` wants the inputs that hold something; the others are not read.
        used = np.isin(inputs, parts.sequence)
        inputs, slots = inputs[used], slots[used]
        found.append((shard, slots, parts.of_batch(inputs, shard.ptr[slots])))
    return found


def _reduce(states, batch, strategy):
    """Reduce the tokens of each part, step by step, in float32: the bits are those of torch's."""
    if strategy in ("first", "last"):
        return states[batch.places].astype(np.float32, copy=False)
    merge = np.maximum if strategy == "max" else np.add
    result = states[batch.places[batch.ptr]].astype(np.float32, copy=False)
    for step in range(1, int(batch.size.max(initial=0))):
        longer = np.flatnonzero(batch.size > step)
        result[longer] = merge(result[longer], states[batch.places[batch.ptr[longer] + step]])
    if strategy == "mean":
        result /= batch.size[:, None].astype(np.float32)
    return result
