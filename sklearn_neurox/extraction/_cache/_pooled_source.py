# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._cache._facts import stored_layout
from sklearn_neurox.extraction._cache._pooled_rows import PooledRows
from sklearn_neurox.extraction._cache._shard import entry_keys
from sklearn_neurox.extraction._run._model_source import ModelSource
from sklearn_neurox.extraction._text._tokenized_texts import TokenizedTexts


@dataclass(frozen=True)
class PooledSource:
    """Model inputs of which a cache keeps the rows, pooled; see `PooledRows`."""

    texts: CachedTexts  # none: only the request
    source: ModelSource  # reads what the cache lacks
    blocks: tuple  # of Block: the columns of the matrix
    inputs: np.ndarray  # (n_inputs, 24): the digest of each input's text, its window and its limit
    tokenized: TokenizedTexts  # without the tokens

    @property
    def spec(self):
        """The model that fills the cache."""
        return self.texts.request.spec

    @property
    def strategies(self):
        """The strategies whose rows the cache keeps."""
        return self.texts.request.store.pooled

    @property
    def block_widths(self):
        """The number of neurons per block."""
        return tuple(block.n_units for block in self.blocks)

    @property
    def feature_names(self):
        """The names of the neurons."""
        return self.of_rows({}).feature_names

    def take(self, which):
        """Return a source with only the given inputs."""
        return replace(self, source=self.source.take(which), inputs=self.inputs[which])

    def check_kept(self, asked):
        """Raise an error if rows of a strategy are asked for that the cache does not keep."""
        kept = self.strategies
        if asked is not None and asked not in kept:
            known = repr(kept[0] if len(kept) == 1 else list(kept))
            raise ValueError(
                f"SubwordAggregator({asked!r}) cannot be used here: the cache keeps rows pooled "
                f"with {known}. Set ActivationCache(..., pooled={[*kept, asked]!r}), with which "
                "the model reads the texts once more, or take a cache without pooled=."
            )

    def of_rows(self, parts, asked=None):
        """Return the source of some rows.

        Parameters
        ----------
        parts : dict of str to Parts
            The tokens of the rows, for each of the ``strategies``.

        asked : str or None, default=None
            The strategy to read; None looks for all of them.
        """
        return PooledRows(self, parts, asked)


def pooled_source(texts, tokenized, source, first_sequence):
    """Make the source of texts that are laid out as the inputs of a `ModelSource`."""
    n_windows = np.diff(np.append(first_sequence, len(source.sequences)))
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    keys = entry_keys(
        texts.keys[text],
        np.arange(len(text)) - first_sequence[text],
        np.where(n_windows > 1, tokenized.limit, 0)[text],
    )
    return PooledSource(
        texts.take([]),
        source,
        stored_layout(source),
        inputs=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), -1),
        tokenized=replace(tokenized, encodings=None),
    )
