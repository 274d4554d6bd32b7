# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._cache._facts import stored_layout
from sklearn_neurox.extraction._cache._shard import DamagedShardError, entry_keys
from sklearn_neurox.extraction._cache._stored_source import StoredSource
from sklearn_neurox.utils._warn_user import warn_user


@dataclass(frozen=True)
class CachedSource(StoredSource):
    """Model inputs whose activations are read from a cache, which is filled first if needed."""

    texts: CachedTexts
    blocks: tuple  # of Block: the columns of the matrix
    text: np.ndarray  # the number of each model input's text
    window: np.ndarray  # which window of that text it is
    limit: np.ndarray  # the most tokens per window; 0 for a text that is in one piece

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

    @cached_property
    def _keys(self):
        return entry_keys(self.texts.keys[self.text], self.window, self.limit)

    def _compute(self):
        from sklearn_neurox.extraction._cache._filling import fill

        return fill(self.texts, np.unique(self.text), [block.name for block in self.blocks])

    def _measure(self):
        from sklearn_neurox.extraction._cache._filling import measure

        return measure(self.texts, np.unique(self.text), [block.name for block in self.blocks])

    def _of_block(self, block):
        return replace(self, blocks=(block,))

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
