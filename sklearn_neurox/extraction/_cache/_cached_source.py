# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._cache._obstacles import find_obstacle
from sklearn_neurox.extraction._cache._shard import DamagedShardError, entry_keys
from sklearn_neurox.extraction._cache._stored_blocks import layout_of
from sklearn_neurox.extraction._model._block_widths import join_neuron_names
from sklearn_neurox.extraction._run._numpy_pooling import NumpyPooler
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
        return replace(self, text=self.text[which], window=self.window[which])

    def __getstate__(self):
        # A slice carries only the texts that it needs.
        used, text = np.unique(self.text, return_inverse=True)
        return {**self.__dict__, "texts": self.texts.take(used), "text": text}

    @property
    def spec(self):
        """The model that fills the cache."""
        return self.texts.request.spec

    def fill(self):
        """Compute what the cache lacks; return the number of texts that the model read."""
        obstacle = find_obstacle(self.texts.request.spec)
        if obstacle is not None:
            raise ValueError(
                f"{obstacle}. Leave autocast and remove forward hooks before filling a cache."
            )
        if not len(self.text):
            return 0
        fingerprint = self.texts.fingerprint()
        return 0 if self._find(fingerprint) else self._compute(fingerprint)

    def pool(self, parts, out):
        """Pool the activations into the rows of a matrix, filling the cache first if needed."""
        obstacle = find_obstacle(self.texts.request.spec)
        if obstacle is not None:
            self._pool_uncached(obstacle, parts, out)
            return
        while True:
            index, groups = self._filled()
            try:
                self._pool_stored(groups, parts, out)
                return
            except DamagedShardError as error:
                index.discard(error)

    def _filled(self):
        """Compute what is missing; return the index and the places of all inputs."""
        for _ in range(_MAX_FILLINGS):
            # Computed each time, as training the model meanwhile changes its fingerprint.
            fingerprint = self.texts.fingerprint()
            found = self._find(fingerprint)
            if found:
                return found
            self._compute(fingerprint)
        raise RuntimeError(
            f"The cache folder {str(self.texts.request.store.folder)!r} does not hold the "
            "activations just written to it: something removes its files, or trains the model, "
            "while the cache is being filled."
        )

    def _find(self, fingerprint):
        """Return the index and the places of all inputs; None if any is missing."""
        if fingerprint is None:
            return None
        index = self.texts.request.store.index(fingerprint)
        keys = entry_keys(self.texts.keys[self.text], self.window)
        groups = index.find(keys, self.blocks)
        return None if groups is None else (index, groups)

    def _compute(self, fingerprint):
        from sklearn_neurox.extraction._cache._filling import fill

        names = [block.name for block in self.blocks]
        return fill(self.texts, np.unique(self.text), names, fingerprint)

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

    def _pool_uncached(self, obstacle, parts, out):
        warn_user(
            f"{obstacle}. While this is so, the cache folder "
            f"{str(self.texts.request.store.folder)!r} is neither read nor written.",
        )
        _, source, entries = self.texts.lay_out()
        place = dict(zip(entry_keys(entries.key, entries.window), range(len(entries)), strict=True))
        own = entry_keys(self.texts.keys[self.text], self.window)
        source.take(np.array([place[key] for key in own], dtype=np.int64)).pool(parts, out)


def cached_source(texts, tokenized, source, first_sequence, n_sequences):
    """Make a cached source of texts that are laid out as ``n_sequences`` model inputs.

    ``source`` is None if the cache recalled the texts, else the `ModelSource` that fills the cache.
    """
    blocks = tokenized.blocks
    if source is not None:
        blocks = layout_of(source)
        texts.keep_layout(tokenized, source, first_sequence)
    n_windows = np.diff(np.append(first_sequence, n_sequences))
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    return CachedSource(texts, blocks, text, np.arange(len(text)) - first_sequence[text])
