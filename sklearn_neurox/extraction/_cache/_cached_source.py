# SPDX-License-Identifier: BSD-3-Clause
"""A model's activations through a cache: what is there is read, what is missing computed first."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._cache._shard import DamagedShardError
from sklearn_neurox.extraction._cache._shard_index import entry_keys
from sklearn_neurox.extraction._cache._stored_blocks import layout_of
from sklearn_neurox.extraction._cache._stored_pooling import pool_stored
from sklearn_neurox.utils._warn_user import warn_user

# Once is enough, but for a shard that is found damaged or removed meanwhile.
_MAX_FILLINGS = 4


@dataclass(frozen=True)
class CachedSource:
    """Model inputs whose activations are kept in a folder."""

    texts: CachedTexts
    blocks: tuple  # of Block: the columns of the matrix
    text: np.ndarray  # the text of each model input
    window: np.ndarray  # and which of its windows it is

    @property
    def block_widths(self):
        """The number of neurons of each block."""
        return tuple(block.n_units for block in self.blocks)

    def feature_names(self):
        """Name the neurons."""
        return np.concatenate([block.neuron_names(block.n_units) for block in self.blocks])

    def take(self, which):
        """Keep some inputs."""
        return replace(self, text=self.text[which], window=self.window[which])

    def __getstate__(self):
        # A slice takes along the texts it needs, and no others.
        used, text = np.unique(self.text, return_inverse=True)
        return {**self.__dict__, "texts": self.texts.take(used), "text": text}

    def fill(self):
        """Compute what the cache lacks; return how many texts that were."""
        if not self.texts.is_open:
            raise ValueError(f"{self.texts.obstacle}; end that before filling a cache.")
        if not len(self.text):
            return 0
        index = self.texts.index()
        if index is not None and self._is_complete(index):
            return 0
        return self._compute()

    def pool(self, parts, out):
        """Fill a matrix; see `_pooling.pool`."""
        if not self.texts.is_open:
            self._pool_uncached(parts, out)
            return
        while True:
            index = self._filled()
            try:
                pool_stored(parts, self._places(index), out, self._name)
                return
            except DamagedShardError as error:
                index.discard(error)

    def _filled(self):
        """Compute what is missing; give the index in which all is found."""
        for _ in range(_MAX_FILLINGS):
            index = self.texts.index()
            if index is not None and self._is_complete(index):
                return index
            self._compute()
        raise RuntimeError(
            f"{self.texts.cache} does not hold what was just written to it: something removes its "
            "files, or trains the model, while it is being filled."
        )

    def _compute(self):
        from sklearn_neurox.extraction._cache._filling import fill

        return fill(self.texts, np.unique(self.text), [block.name for block in self.blocks])

    def _is_complete(self, index):
        return not any(places.is_missing.any() for _, _, places in self._places(index))

    def _places(self, index):
        keys = entry_keys(self.texts.keys[self.text], self.window)
        start, places = 0, None
        for block in self.blocks:
            # Mostly all blocks of a text lie together.
            held = places is not None and all(
                block.name in places.shards[i].blocks for i in np.unique(places.shard) if i >= 0
            )
            places = places if held else index.locate(keys, block.name)
            yield block.name, slice(start, start + block.n_units), places
            start += block.n_units

    def _pool_uncached(self, parts, out):
        from sklearn_neurox.extraction._cache._filling import freshly_read
        from sklearn_neurox.extraction._run._pooling import pool

        warn_user(
            f"{self.texts.obstacle}, so the cache {self.texts.cache} is neither read nor written "
            "until that ends.",
        )
        source, entries = freshly_read(self.texts)
        place = dict(zip(entry_keys(entries.key, entries.window), range(len(entries)), strict=True))
        own = entry_keys(self.texts.keys[self.text], self.window)
        pool(source.take(np.array([place[key] for key in own], dtype=np.int64)), parts, out)

    def _name(self, neuron):
        return f"The neuron {self.feature_names()[neuron]}"


def cached_source(texts, reading, blocks, source, first_sequence, n_sequences):
    """Make the source of a plan.

    Parameters
    ----------
    texts : CachedTexts

    reading : Reading
        Of all texts.

    blocks : tuple of Block or None
        The columns, where the cache knew them.

    source : ModelSource or None
        The model inputs, where the texts were tokenized.

    first_sequence : ndarray of shape (n_texts,)
        The first model input of each text.

    n_sequences : int
        How many inputs there are.

    Returns
    -------
    source : CachedSource
    """
    if source is not None:
        from sklearn_neurox.extraction._cache._filling import write_missing

        blocks = layout_of(source)
        write_missing(texts, reading)
    n_windows = np.diff(np.append(first_sequence, n_sequences))
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    return CachedSource(texts, blocks, text, np.arange(len(text)) - first_sequence[text])
