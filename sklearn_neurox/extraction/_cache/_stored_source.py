# SPDX-License-Identifier: BSD-3-Clause
import contextlib
from functools import cached_property

import numpy as np

from sklearn_neurox.extraction._cache._obstacles import ModelChangedError
from sklearn_neurox.extraction._cache._shard import DamagedShardError
from sklearn_neurox.extraction._cache._shard_store import ReadOnlyCacheError
from sklearn_neurox.extraction._model._block_widths import join_neuron_names
from sklearn_neurox.extraction._model._obstacle import find_obstacle
from sklearn_neurox.extraction._run._numpy_pooling import NumpyPooler
from sklearn_neurox.extraction._text._sink_rows import report_sinks
from sklearn_neurox.utils._warn_user import warn_user

# Once is enough, unless a shard turns out to be damaged or is removed meanwhile.
_MAX_FILLINGS = 4


class StoredSource:
    """A source whose activations are read from a cache, which is filled first if needed.

    A subclass has ``texts`` (CachedTexts), ``blocks`` (the columns of the matrix) and ``_keys``
    (those of the entries to find), and the methods that are missing here: `_compute` (store what
    is missing), `_measure` (count it), `_of_block`, `_pool_computed` (run the model without the
    cache) and `_pool_supplemented` (the same, for what a read-only cache lacks).
    """

    @property
    def block_widths(self):
        """The number of neurons per block."""
        return tuple(block.n_units for block in self.blocks)

    @cached_property
    def feature_names(self):
        """The names of the neurons."""
        return join_neuron_names(self.blocks, self.block_widths)

    @property
    def spec(self):
        """The model that fills the cache."""
        return self.texts.request.spec

    def fill(self):
        """Compute what the cache lacks; return the number of texts that the model read."""
        obstacle = find_obstacle(self.texts.request.spec)
        if obstacle is not None:
            raise ValueError(f"{obstacle}. Remove forward hooks before filling a cache.")
        if not len(self._keys) or self._find():
            return 0
        try:
            return self._compute()
        except ModelChangedError as error:
            raise ModelChangedError(
                f"{error} while the cache folder {self._folder} was being filled. What was stored "
                "before is right; what the model read since is not stored. Fill the cache again "
                "once the model stays as it is."
            ) from error

    def by_block(self):
        """Return a source for each block, after filling the cache with all of them at once."""
        if find_obstacle(self.spec) is None:
            with contextlib.suppress(ReadOnlyCacheError):  # then pooling computes what is missing
                self.fill()
        return [self._of_block(block) for block in self.blocks]

    def measure(self):
        """Return how many texts and tokens `fill` would read, and how many bytes it would store."""
        return self._measure() if len(self._keys) and not self._find() else (0, 0, 0)

    def pool(self, parts, out):
        """Pool the activations into the rows of a matrix, filling the cache first if needed."""
        while True:
            obstacle = find_obstacle(self.texts.request.spec)
            if obstacle is not None:
                warn_user(
                    f"{obstacle}. While this is so, the cache folder {self._folder} is neither "
                    "read nor written.",
                )
                self._pool_computed(parts, out)
                return
            try:
                index, groups = self._filled()
                self._pool_stored(groups, parts, out)
                report_sinks(parts, out.shape[0], index.facts.sinks(self.blocks))
                return
            except _ObstacleBegan:
                continue
            except ReadOnlyCacheError as error:
                self._pool_supplemented(error, parts, out)
                return
            except DamagedShardError as error:
                index.discard(error)

    @property
    def _folder(self):
        return repr(str(self.texts.request.store.folder))

    def _filled(self):
        """Compute what is missing; return the index and the places of all entries."""
        for _ in range(_MAX_FILLINGS):
            # The folder is found each time, as training the model meanwhile changes its name.
            found = self._find()
            if found:
                return found
            try:
                self._compute()
            except ModelChangedError as error:
                if find_obstacle(self.texts.request.spec):
                    raise _ObstacleBegan from error
        raise RuntimeError(
            f"The cache folder {self._folder} does not hold the activations just written to it: "
            "something removes its files, or trains the model, while the cache is being filled."
        )

    def _find(self):
        """Return the index and the places of all entries; None if any is missing."""
        index = self.texts.index()
        groups = None if index is None else index.find(self._keys, self.blocks)
        return None if groups is None else (index, groups)

    def _pool_stored(self, groups, parts, out):
        pooler = NumpyPooler(parts, out)
        for places, columns in groups:
            for shard, inputs, slots in places.by_shard():
                # Skip inputs in which no row has a token.
                used = np.isin(inputs, parts.sequence)
                inputs, slots = inputs[used], slots[used]
                batch = parts.of_batch(inputs, shard.ptr[slots])
                states = shard.states(list(columns), slots)
                pooler.add(batch, zip(columns.values(), states, strict=True))
        pooler.finish()


class _ObstacleBegan(Exception):  # noqa: N818 - not an error
    """An ablation, for instance, began while the cache was being filled."""
