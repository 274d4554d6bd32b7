# SPDX-License-Identifier: BSD-3-Clause
"""A model's activations through a cache: what is there is read, what is missing computed first."""

import sys
import warnings
from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._entries import Entries, text_keys
from sklearn_neurox.extraction._fingerprint import fingerprint
from sklearn_neurox.extraction._layout import Block, choose_blocks, layout_of
from sklearn_neurox.extraction._loading import load_model, loaded_model
from sklearn_neurox.extraction._reading import Reading
from sklearn_neurox.extraction._shard import DamagedShardError
from sklearn_neurox.extraction._shard_index import entry_keys
from sklearn_neurox.extraction._stored_pooling import pool_stored

# Once is enough, but for a shard that is found damaged or removed meanwhile.
_MAX_FILLINGS = 4


class CachedTexts:
    """Distinct texts, read by one extractor, and where their activations are kept.

    Parameters
    ----------
    extractor : ActivationExtractor
        Its own copy, which nobody changes.

    cache : ActivationCache

    texts : list of str
        In their own order.

    pairs : list of str or None
        The second text of each.
    """

    def __init__(self, extractor, cache, texts, pairs):
        self.extractor, self.cache, self.texts, self.pairs = extractor, cache, texts, pairs
        self.keys = text_keys(texts, pairs)
        self.fresh = None  # model inputs and entries of all texts, where they were tokenized

    def __getstate__(self):
        return {**self.__dict__, "fresh": None}

    def take(self, which):
        """Keep some texts."""
        pairs = None if self.pairs is None else [self.pairs[i] for i in which]
        return CachedTexts(self.extractor, self.cache, [self.texts[i] for i in which], pairs)

    @property
    def is_open(self):
        """Whether the cache may be used: not while someone changes what the model computes."""
        model = loaded_model(self.extractor._spec())
        return model is None or not _has_foreign_hooks(model)

    def fingerprint(self, *, load=False):
        """Tell the folder of these activations.

        Parameters
        ----------
        load : bool, default=False
            Whether the model may be loaded to find out.

        Returns
        -------
        name : str or None
            None where that cannot be told before the model is on this machine.
        """
        spec, options = self.extractor._spec(), self.extractor._storage_options()
        options["dtype"] = self.cache.dtype
        name = fingerprint(spec, options, self.cache.folder)
        if name is None and load:
            model = load_model(spec)
            name = fingerprint(spec, options) or fingerprint(replace(spec, model=model), options)
        return name

    def index(self):
        """Find the shards of these activations; None where their folder cannot be told yet."""
        name = self.fingerprint()
        return None if name is None else self.cache._index(name)

    def recall(self, layers):
        """Take the tokens of all texts from the cache.

        Parameters
        ----------
        layers : int, list of int or None
            The layers whose states must be there too.

        Returns
        -------
        reading : Reading or None
            None unless everything is there.

        blocks : tuple of Block or None
            The layers.
        """
        index = self.index() if self.is_open else None
        blocks = None if index is None else _known_blocks(index, layers)
        reading = None if blocks is None else self._recall(index, blocks)
        return (None, None) if reading is None else (reading, blocks)

    def _recall(self, index, blocks):
        first = np.zeros(len(self.keys), dtype=np.int64)
        places = index.locate(entry_keys(self.keys, first))
        if places.is_missing.any():
            return None
        order, found = [], []
        for shard, inputs, slots in places.by_shard():
            order.append(inputs)
            found.append(Entries.of_shard(shard).take(slots))
        entries = Entries.join(found).take(np.argsort(np.concatenate(order)))
        text = np.repeat(np.arange(len(entries)), entries.n_windows)
        window = np.arange(len(text)) - (np.cumsum(entries.n_windows) - entries.n_windows)[text]
        keys = entry_keys(self.keys[text], window)
        if any(index.locate(keys, block.name).is_missing.any() for block in blocks):
            return None
        facts = index.facts
        return Reading(
            encodings=entries.to_encodings(),
            limit=np.iinfo(np.int64).max if facts["limit"] is None else facts["limit"],
            causal=facts["causal"],
            tokenizer=facts["tokenizer"],
            has_cls=facts["cls"],
        )


@dataclass(frozen=True)
class CachedSource:
    """Model inputs whose activations are kept in a folder."""

    texts: CachedTexts
    blocks: tuple  # of Block: the columns of the matrix
    text: np.ndarray  # the text of each model input
    window: np.ndarray  # and which of its windows it is

    @property
    def n_blocks(self):
        """How many column blocks there are."""
        return len(self.blocks)

    @property
    def block_widths(self):
        """The number of neurons of each block."""
        return tuple(block.width for block in self.blocks)

    def feature_names(self):
        """Name the neurons."""
        return np.array([n for block in self.blocks for n in block.feature_names()], dtype=object)

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
            raise ValueError(
                "The model has hooks that change or watch its activations; remove them before "
                "filling a cache."
            )
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
        from sklearn_neurox.extraction._filling import fill

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
            yield block.name, slice(start, start + block.width), places
            start += block.width

    def _pool_uncached(self, parts, out):
        from sklearn_neurox.extraction._filling import freshly_read
        from sklearn_neurox.extraction._pooling import pool

        warnings.warn(
            "The model has hooks that change or watch its activations, so the cache "
            f"{self.texts.cache} is neither read nor written until they are removed.",
            UserWarning,
            stacklevel=4,
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

    Raises
    ------
    ValueError
        Where neurons have names that a cache cannot rebuild.
    """
    if source is not None:
        from sklearn_neurox.extraction._filling import keep_fresh

        blocks = layout_of(source)
        if blocks is None:
            raise ValueError(
                f"A cache cannot keep the neurons of {source.spec.name}: their names are not those "
                "of a layer or a head with a number. Pass cache=None."
            )
        keep_fresh(texts, reading)
    n_windows = np.diff(np.append(first_sequence, n_sequences))
    text = np.repeat(np.arange(len(n_windows)), n_windows)
    return CachedSource(texts, blocks, text, np.arange(len(text)) - first_sequence[text])


def cached_blocks(texts, layers):
    """Choose blocks by what the cache knows of the model.

    Parameters
    ----------
    texts : CachedTexts

    layers : int, list of int or None

    Returns
    -------
    blocks : tuple of Block or None
        None where only the model's config can tell, or what is wrong.
    """
    index = texts.index()
    return None if index is None else _known_blocks(index, layers)


def _known_blocks(index, layers):
    facts = index.facts
    if facts is None or facts["layout"] is None:
        return None
    return choose_blocks(tuple(Block(*block) for block in facts["layout"]), layers)


def _has_foreign_hooks(model):
    if "torch" not in sys.modules:
        return False
    # These only watch; what edits a model is foreign to a cache, of this package or not.
    ours = ("sklearn_neurox.extraction._taps", "transformers.utils.output_capturing")
    return any(
        not getattr(hook, "__module__", "").startswith(ours)
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    )
