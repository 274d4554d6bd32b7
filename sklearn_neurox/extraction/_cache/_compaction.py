# SPDX-License-Identifier: BSD-3-Clause
"""Merge small shards into larger ones, while other processes read and write."""

from functools import reduce

import numpy as np

from sklearn_neurox.extraction._cache._cache_folder import own_files, remove
from sklearn_neurox.extraction._cache._entries import Entries
from sklearn_neurox.extraction._cache._facts import Facts
from sklearn_neurox.extraction._cache._shard import DamagedShardError, write_shard


def compact_folder(folder, index, max_bytes):
    """Merge the shards of a folder that are smaller than half of ``max_bytes``.

    Returns the decrease in the number of files.
    """
    own = own_files(folder)
    useless = superseded(index.shards)
    if useless:
        # A copy is useless only if the other one can be read.
        _discard_damaged(index)
        useless = superseded(index.shards)
    # Only ours: the index holds shards of this folder alone, and `remove` checks each again.
    remove(useless, own)
    removed = len(useless)
    index.refresh()
    own = own_files(folder)
    for group in _groups(index.shards, max_bytes):
        try:
            merged = _merge(folder, group)
        except DamagedShardError as error:
            index.discard(error)  # warns; the group stays unmerged
            continue
        old = {shard.path for shard in group} - {merged}
        remove(old, own)
        removed += len(old) - 1
    index.refresh()
    return removed


def _discard_damaged(index):
    for shard in index.shards:
        try:
            shard.states(shard.blocks)
        except DamagedShardError as error:
            index.discard(error)


def superseded(shards):
    """Return the paths of the shards whose states are all in other shards, too.

    Of all copies, the one in the last shard by size and name is kept. As every process orders the
    shards alike, two that clean up at once, even with different shards in view, never remove each
    other's last copy.
    """
    keys, kept = {}, {}
    for shard in sorted(shards, key=lambda shard: (len(shard) * len(shard.blocks), shard.path)):
        keys[shard] = [(name, block) for name in shard.keys for block in shard.blocks]
        kept.update(dict.fromkeys(keys[shard], shard))
    return {shard.path for shard, own in keys.items() if all(kept[key] is not shard for key in own)}


def _groups(shards, max_bytes):
    """Group small shards with the same blocks, so that each group fits into one shard."""
    kinds = {}
    for shard in shards:
        if shard.n_bytes < max_bytes // 2:
            kinds.setdefault(tuple(shard.blocks), []).append(shard)
    for alike in kinds.values():
        group, size = [], 0
        for shard in alike:
            if group and size + shard.n_bytes > max_bytes:
                yield from [group] * (len(group) > 1)
                group, size = [], 0
            group.append(shard)
            size += shard.n_bytes
        yield from [group] * (len(group) > 1)


def _merge(folder, shards):
    kept, seen = [], set()
    for shard in shards:
        names = shard.keys
        kept.append(np.array([i for i, name in enumerate(names) if name not in seen], dtype=int))
        seen.update(names)
    parts = list(zip(shards, kept, strict=True))
    entries = Entries.join([Entries.of_shard(shard).take(own) for shard, own in parts])
    states = {
        block: np.concatenate([_rows(shard, block, own) for shard, own in parts])
        for block in shards[0].blocks
    }
    notes = "; ".join(dict.fromkeys(shard.note for shard in shards if shard.note))
    facts = reduce(Facts.join, [shard.facts for shard in shards])
    return write_shard(folder, entries, states, facts=facts, note=notes)


def _rows(shard, block, entries):
    states = shard.states([block], entries)[0]
    rows = [states[shard.ptr[i] : shard.ptr[i + 1]] for i in entries.tolist()]
    return np.concatenate(rows) if rows else states[:0]
