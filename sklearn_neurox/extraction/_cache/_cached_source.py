# SPDX-License-Identifier: BSD-3-Clause
import contextlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._cache._facts import stored_layout
from sklearn_neurox.extraction._cache._obstacles import ModelChangedError
from sklearn_neurox.extraction._cache._shard import DamagedShardError, entry_keys
from sklearn_neurox.extraction._cache._shard_store import ReadOnlyCacheError
from sklearn_neurox.extraction._model._block_widths import join_neuron_names
from sklearn_neurox.extraction._model._obstacle import find_obstacle
from sklearn_neurox.extraction._run._numpy_pooling import NumpyPooler
from sklearn_neurox.extraction._text._sink_rows import report_sinks
from sklearn_neurox.utils._warn_user import warn_user

# Once is enough, unless a shard turns out to be damaged or is removed meanwhile.
_MAX_FILLINGS = 4


@dataclass(frozen=True)
class CachedSource:
    """Model inputs whose activations are read from a cache, which is filled first if needed."""

    texts: CachedTexts
    blocks: tuple  # of Block: the columns of the matrix
    text: np.ndarray  # the number of each model input's text
    window: np.ndarray  # which window of that text it is
    limit: np.ndarray  # the most tokens per window; 0 for a text that is in one piece

    @property
    def block_widths(self):
        """The number of neurons per block."""
        return tuple(block.n_units for block in self.blocks)

    @cached_property
    def feature_names(self):
        """The names of the neurons."""
        return join_neuron_names(self.blocks, self.block_widths)

    def take(self, which):
        """Return a source with only the given inputs."""
        taken = {name: getattr(self, name)[which] for name in ("text", "window", "limit")}
        return replace(self, **taken)

    def __getstate__(self):
        # A slice carries only the texts that it needs.
        used, text = np.unique(self.text, return_inverse=True)
        state = {**self.__dict__, "texts": self.texts.take(used), "text": text}
        state.pop("_keys", None)
        return state

    @property
    def spec(self):
        """The model that fills the cache."""
        return self.texts.request.spec

    def fill(self):
        """Compute what the cache lacks; return the number of texts that the model read."""
        obstacle = find_obstacle(self.texts.request.spec)
        if obstacle is not None:
            raise ValueError(f"{obstacle}. Remove forward hooks before filling a cache.")
        if not len(self.text) or self._find():
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
        return [replace(self, blocks=(block,)) for block in self.blocks]

    def measure(self):
        """Return how many texts and tokens `fill` would read, and how many bytes it would store."""
        from sklearn_neurox.extraction._cache._filling import measure

        if not len(self.text) or self._find():
            return 0, 0, 0
        return measure(self.texts, np.unique(self.text), [block.name for block in self.blocks])

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
        """Compute what is missing; return the index and the places of all inputs."""
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

    @cached_property
    def _keys(self):
        return entry_keys(self.texts.keys[self.text], self.window, self.limit)

    def _find(self):
        """Return the index and the places of all inputs; None if any is missing."""
        index = self.texts.index()
        groups = None if index is None else index.find(self._keys, self.blocks)
        return None if groups is None else (index, groups)

    def _compute(self):
        from sklearn_neurox.extraction._cache._filling import fill

        return fill(self.texts, np.unique(self.text), [block.name for block in self.blocks])

    def _pool_stored(self, groups, parts, out):
        pooler = NumpyPooler(parts, out, lambda: self.feature_names)
        for places, columns in groups:
            for shard, inputs, slots in places.by_shard():
                # Skip inputs in which no row has a token.
                used = np.isin(inputs, parts.sequence)
                inputs, slots = inputs[used], slots[used]
                batch = parts.of_batch(inputs, shard.ptr[slots])
                states = shard.states(list(columns), slots)
                pooler.add(batch, zip(columns.values(), states, strict=True))
        pooler.finish()

    def _pool_supplemented(self, error, parts, out):
        """Pool what a read-only cache holds, and compute the other texts without storing them."""
        names = [block.name for block in self.blocks]
        while True:
            index, lacks = self.texts.index(), np.ones(len(self.text), dtype=bool)
            if index is not None:
                lacks = index.missing(self._keys, names).any(axis=0)
            lacks = np.isin(self.text, self.text[lacks])  # all windows of a text together
            stored, computed = np.flatnonzero(~lacks), np.flatnonzero(lacks)
            own = self.take(stored)
            try:
                if len(stored):
                    groups = index.find(own._keys, own.blocks)
                    own._pool_stored(groups, parts.take(stored), out)
                break
            except DamagedShardError as damage:
                index.discard(damage)
        n_lacking, n_texts = len(np.unique(self.text[computed])), len(np.unique(self.text))
        warn_user(
            f"The cache folder {self._folder} is read-only and lacks {n_lacking} of {n_texts} "
            "texts. The model reads these now, and again at the next call, as they cannot be "
            "stored. Fill the cache where you can write to it, or choose another folder with "
            f"cache=. ({error.__cause__ or error})",
        )
        self.take(computed)._pool_computed(parts.take(computed), out)

    def _pool_computed(self, parts, out):
        """Run the model, without the cache."""
        _, source, entries = self.texts.lay_out()
        place = dict(zip(entries.keys(), range(len(entries)), strict=True))
        source.take(np.array([place[key] for key in self._keys], dtype=np.int64)).pool(parts, out)


class _ObstacleBegan(Exception):  # noqa: N818 - not an error
    """An ablation, for instance, began while the cache was being filled."""


def cached_source(texts, tokenized, source, first_sequence, n_sequences):
    """Make a cached source of texts that are laid out as ``n_sequences`` model inputs.

    ``source`` is None if the cache recalled the texts, else the `ModelSource` that fills the cache.
    """
    blocks = tokenized.blocks
    if source is not None:
        blocks = stored_layout(source)
        texts.keep_layout(tokenized, source, first_sequence)
    n_windows = np.diff(np.append(first_sequence, n_sequences))
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    return CachedSource(
        texts,
        blocks,
        text=text,
        window=np.arange(len(text)) - first_sequence[text],
        limit=np.where(n_windows > 1, tokenized.limit, 0)[text],
    )
