# SPDX-License-Identifier: BSD-3-Clause
"""Find the shard that holds a text: an index built from the shards, once per process."""

import contextlib
import os
import stat
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import reduce

import numpy as np

from sklearn_neurox.extraction._cache._cache_folder import SUFFIX, is_folder, is_shard_name
from sklearn_neurox.extraction._cache._facts import Facts
from sklearn_neurox.extraction._cache._shard import DamagedShardError, Shard, advice_about
from sklearn_neurox.utils._warn_user import warn_user

_MAX_FOLDERS = 16

_indices: OrderedDict = OrderedDict()
_lock = threading.RLock()


@dataclass(frozen=True)
class Places:
    """The shard and the slot of some model inputs, for one block; -1 if missing."""

    shards: list
    shard: np.ndarray
    slot: np.ndarray

    @property
    def is_missing(self):
        """Whether each input is missing."""
        return self.shard < 0

    def by_shard(self):
        """List each shard, the inputs it holds and their slots in it."""
        order = np.argsort(self.shard, kind="stable")
        order = order[self.shard[order] >= 0]
        cuts = np.flatnonzero(np.diff(self.shard[order])) + 1
        return [
            (self.shards[self.shard[inputs[0]]], inputs, self.slot[inputs])
            for inputs in np.split(order, cuts)
            if len(inputs)
        ]


class ShardIndex:
    """The shards of one folder."""

    def __init__(self, folder):
        self.folder = folder
        self._shards = {}  # name -> stamp and shard, or None if it is damaged
        self._places = {}  # entry key -> pairs of the number of a shard and a slot in it
        self._numbered = []
        self._facts = None  # of all shards

    def refresh(self):
        """Open the new shards of the folder, and forget those that are gone."""
        with _lock:
            found = _list_shards(self.folder)
            gone = [n for n, (stamp, _) in self._shards.items() if found.get(n) != stamp]
            for name in gone:
                del self._shards[name]
            if gone:
                self._places, self._numbered, self._facts = {}, [], None
                for _, shard in self._shards.values():
                    self._add(shard)
            for name in sorted(found.keys() - self._shards.keys()):
                shard = _open(self.folder / name)
                self._shards[name] = found[name], shard
                self._add(shard)
        return self

    def discard(self, error):
        """Warn about a damaged shard, and ignore it from now on."""
        with _lock:
            if not os.path.lexists(error.path):  # compacted or removed meanwhile
                return
            warn_user(advice_about(error))
            stamp, _ = self._shards.get(error.path.name, (None, None))
            self._shards[error.path.name] = stamp, None
            self._places, self._numbered, self._facts = {}, [], None
            for _, shard in self._shards.values():
                self._add(shard)

    def _add(self, shard):
        if shard is None:
            return
        number = len(self._numbered)
        self._numbered.append(shard)
        self._facts = None
        for slot, key in enumerate(shard.keys):
            self._places.setdefault(key, []).append((number, slot))

    @property
    def shards(self):
        """The shards that are not known to be damaged."""
        with _lock:
            return list(self._numbered)

    @property
    def facts(self):
        """The facts about the model and the tokenizer in all shards; None if there is no shard."""
        with _lock:
            if self._facts is None and self._numbered:
                self._facts = reduce(Facts.join, [shard.facts for shard in self._numbered])
            return self._facts

    def locate(self, keys, block=None, *, outside=None):
        """Return the places of model inputs, given by their `entry_keys`.

        Considers only shards with the given block, and ignores entries computed in the plan
        ``outside``.
        """
        with _lock:
            shards = list(self._numbered)
            suits = [block is None or block in shard.blocks for shard in shards]
            found = np.full((len(keys), 2), -1, dtype=np.int64)
            for i, key in enumerate(keys):
                for number, slot in self._places.get(key, ()):
                    if suits[number] and (
                        outside is None
                        or shards[number].tables["request"][slot].tobytes() != outside
                    ):
                        found[i] = number, slot
                        break
        return Places(shards, found[:, 0], found[:, 1])

    def missing(self, keys, names, *, outside=None):
        """Return whether each model input is missing in each block: (n_blocks, n_inputs).

        Ignores entries computed in the plan ``outside``.
        """
        shards, found, known = self.shards, [], {}
        for name in names:
            holders = frozenset(i for i, shard in enumerate(shards) if name in shard.blocks)
            if holders not in known:  # most blocks are in the same shards
                known[holders] = self.locate(keys, name, outside=outside).is_missing
            found.append(known[holders])
        return np.array(found).reshape(len(found), len(keys))

    def find(self, keys, blocks):
        """Return the places of model inputs in several blocks; None if any is missing.

        Most blocks share their places. For each group of such blocks, a pair is returned: the
        places, and a dict from the name of each block to its columns in the matrix.
        """
        groups, start, shared = [], 0, set()
        for name, width in [(block.name, block.n_units) for block in blocks]:
            if name not in shared:
                places = self.locate(keys, name)
                if places.is_missing.any():
                    return None
                held = [places.shards[i].blocks for i in np.unique(places.shard)]
                shared = set(held[0]).intersection(*held[1:]) if held else {b.name for b in blocks}
                groups.append((places, {}))
            groups[-1][1][name] = slice(start, start + width)
            start += width
        return groups


def index_of(folder):
    """Return the up-to-date index of a folder."""
    path = os.path.abspath(folder)
    with _lock:
        if path not in _indices:
            _indices[path] = ShardIndex(folder)
        _indices.move_to_end(path)
        while len(_indices) > _MAX_FOLDERS:
            _indices.popitem(last=False)
        return _indices[path].refresh()


def forget_indices():
    """Forget all shards that this process has opened."""
    with _lock:
        _indices.clear()


def _list_shards(folder):
    """Return a stamp of every entry of a folder that might be taken for a shard, by its name."""
    found = {}
    # Removed meanwhile, or another user's: then there is nothing to read.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if not is_folder(folder):
            return found
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        found[entry.name] = _stamp(entry.stat(follow_symlinks=False))
    return found


def _stamp(found):
    is_file = stat.S_ISREG(found.st_mode)
    content = (found.st_size, found.st_mtime_ns, found.st_ctime_ns) if is_file else ()
    return (stat.S_IFMT(found.st_mode), found.st_ino, *content)


def _open(path):
    try:
        if not is_shard_name(path.name):
            raise DamagedShardError(path, "its name is not that of a shard")
        return Shard(path)
    except DamagedShardError as error:
        if os.path.lexists(path):
            warn_user(advice_about(error))
        return None
