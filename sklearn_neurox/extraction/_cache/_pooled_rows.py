# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sklearn_neurox.extraction._cache._row_digests import digest_rows, row_keys
from sklearn_neurox.extraction._cache._shard import DamagedShardError
from sklearn_neurox.extraction._cache._stored_source import StoredSource
from sklearn_neurox.extraction._run._row_parts import Parts
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._warn_user import warn_user


@dataclass(frozen=True)
class PooledRows(StoredSource):
    """Rows that are kept pooled in a cache, which is filled first if needed.

    Each row is an entry of its own, found by what decides its value besides the model: the tokens
    that are pooled, in which inputs, and how. So neither another span nor another strategy can be
    taken for it, and equal rows are stored once.
    """

    source: object  # PooledSource
    parts: dict  # strategy -> Parts
    asked: str | None  # the strategy to read; None looks for all of them

    @property
    def texts(self):
        """The request, without texts."""
        return self.source.texts

    @property
    def blocks(self):
        """The columns of the matrix."""
        return self.source.blocks

    @cached_property
    def digests(self):
        """The digests of the rows with tokens, in order, for each strategy."""
        return {name: digest_rows(own, self.source.inputs) for name, own in self.parts.items()}

    @cached_property
    def _keys(self):
        chosen = self.parts if self.asked is None else [self.asked]
        return [key for name in chosen for key in row_keys(self.digests[name])]

    def _compute(self):
        from sklearn_neurox.extraction._cache._pooled_filling import fill

        return fill(self)

    def _measure(self):
        from sklearn_neurox.extraction._cache._pooled_filling import measure

        return measure(self)

    def _of_block(self, block):
        """Return a `PooledSource`, of any rows: pooling must find them anew."""
        place = self.blocks.index(block)
        alone = replace(self.source.source, blocks=self.source.source.blocks[place : place + 1])
        return replace(self.source, source=alone, blocks=(block,))

    def _pool_stored(self, groups, parts, out):
        rows = np.unique(parts.row)
        self._pool_rows(groups, rows, out)

    def _pool_rows(self, groups, rows, out):
        """Write entries, each of which is one row, to the given rows of a matrix."""
        counts = np.zeros(len(out), dtype=np.int64)
        counts[rows] = 1
        places = np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64)
        super()._pool_stored(groups, Parts(*places, pointers(counts), "first"), out)

    def _pool_supplemented(self, error, parts, out):
        """Pool what a read-only cache holds, and compute the other rows without storing them."""
        names, rows = [block.name for block in self.blocks], np.unique(parts.row)
        while True:
            index, lacks = self.texts.index(), np.ones(len(rows), dtype=bool)
            if index is not None:
                lacks = index.missing(self._keys, names).any(axis=0)
            try:
                if not lacks.all():
                    keys = [
                        key for key, lacking in zip(self._keys, lacks, strict=True) if not lacking
                    ]
                    self._pool_rows(index.find(keys, self.blocks), rows[~lacks], out)
                break
            except DamagedShardError as damage:
                index.discard(damage)
        warn_user(
            f"The cache folder {self._folder} is read-only and lacks {int(lacks.sum())} of "
            f"{len(rows)} rows. The model reads their texts now, and again at the next call, as "
            "they cannot be stored. Fill the cache where you can write to it, or choose another "
            f"folder with cache=. ({error.__cause__ or error})",
        )
        self._pool_computed(parts.of_rows(rows[lacks]), out)

    def _pool_computed(self, parts, out):
        """Run the model, without the cache."""
        inputs = np.unique(parts.sequence)
        self.source.source.take(inputs).pool(parts.take(inputs), out)
