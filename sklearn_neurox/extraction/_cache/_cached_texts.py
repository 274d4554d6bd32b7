# SPDX-License-Identifier: BSD-3-Clause
"""The texts of a request, and where their activations are kept: under which name, which of them."""

import sys
from dataclasses import replace

import numpy as np

from sklearn_neurox.extraction._cache._activation_cache import ActivationCache
from sklearn_neurox.extraction._cache._entries import Entries, text_keys
from sklearn_neurox.extraction._cache._shard_index import entry_keys
from sklearn_neurox.extraction._cache._stored_blocks import read_layout
from sklearn_neurox.extraction._model._blocks import check_components, choose_blocks
from sklearn_neurox.extraction._model._fingerprint import fingerprint
from sklearn_neurox.extraction._model._loading import load_model, loaded_model
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._run._reading import TokenizedTexts

# Hooks that only watch, and only for the call that set them.
_OURS = ("sklearn_neurox.extraction._model._hooks", "transformers.utils.output_capturing")


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

    contexts : list of str or None
        What the encoder reads beside each, where these are the decoder's.
    """

    def __init__(self, extractor, cache, texts, pairs, contexts):
        self.extractor, self.cache, self.texts = extractor, cache, texts
        self.pairs, self.contexts = pairs, contexts
        self.keys = text_keys(texts, pairs, contexts)
        self.fresh = None  # model inputs and entries of all texts, where they were tokenized

    def __getstate__(self):
        return {**self.__dict__, "fresh": None}

    def take(self, which):
        """Keep some texts."""
        lists = self.texts, self.pairs, self.contexts
        taken = (None if own is None else [own[i] for i in which] for own in lists)
        return CachedTexts(self.extractor, self.cache, *taken)

    @property
    def is_open(self):
        """Whether the cache may be used: not while someone changes what the model computes."""
        return self.obstacle is None

    @property
    def obstacle(self):
        """What keeps the cache from being used, None if nothing does."""
        if _is_autocast():
            return "Autocast is on, which changes the activations"
        model = loaded_model(self.extractor._spec())
        if model is None or not _has_foreign_hooks(model):
            return None
        return "The model has hooks that change or watch its activations"

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
        spec, options = self.extractor._spec(), _storage_options(self.extractor)
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
        blocks = None if index is None else self._choose(index, layers)
        reading = None if blocks is None else self._recall(index, blocks)
        return (None, None) if reading is None else (reading, blocks)

    def known_blocks(self, layers):
        """Choose blocks by what the cache knows of the model.

        Parameters
        ----------
        layers : int, list of int or None

        Returns
        -------
        blocks : tuple of Block or None
            None where only the model's config can tell.
        """
        index = self.index()
        return None if index is None else self._choose(index, layers)

    def _choose(self, index, layers):
        if index.metadata is None:
            return None
        layout = read_layout(index.metadata["layout"])
        # The encoder of a model that has no other stack is none to ask for.
        if self.extractor.stack is not None and any(block.stack is None for block in layout):
            return None
        return choose_blocks(layout, layers, model=self.extractor._spec().name)

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
        metadata = index.metadata
        return TokenizedTexts(
            encodings=entries.to_encodings(),
            limit=np.iinfo(np.int64).max if metadata["limit"] is None else metadata["limit"],
            causal=metadata["causal"],
            tokenizer=metadata["tokenizer"],
            has_cls=metadata["cls"],
        )


def cached_texts(extractor, texts, pairs=None, contexts=None):
    """Find where an extractor keeps the activations of texts.

    Parameters
    ----------
    extractor : ActivationExtractor

    texts, pairs, contexts : list of str or None
        As `CachedTexts` takes them.

    Returns
    -------
    texts : CachedTexts or None
        None without a cache.

    Raises
    ------
    ValueError
        For a model that a cache could not tell from others.
    """
    if extractor.cache is None:
        return None
    spec, cache = extractor._spec(), extractor.cache
    if spec.is_torch_model and spec.model.fingerprint is None:
        raise ValueError(
            f"The 'cache' of ActivationExtractor cannot keep the activations of {spec.name}: its "
            "parameters can be digested, but not what its 'encode' and 'forward' do. Name that "
            "with TorchModel(..., fingerprint='my reader 1'), and anew whenever it changes; or "
            "leave cache=None."
        )
    cache = cache if isinstance(cache, ActivationCache) else ActivationCache(cache)
    return CachedTexts(extractor._shallow_copy(), cache, texts, pairs, contexts)


def _storage_options(extractor):
    """Tell what, besides model and tokenizer, changes what a cache keeps."""
    return {
        "component": list(check_components(extractor.component)),
        "stack": extractor.stack or "encoder",  # which is what None reads, where there are two
        "split_special_tokens": bool(extractor.split_special_tokens),
        "max_length": None if extractor.max_length is None else int(extractor.max_length),
    }


def _is_autocast():
    # Not stored anywhere but in the thread, so that no fingerprint could tell.
    torch = sys.modules.get("torch")
    return torch is not None and any(map(torch.is_autocast_enabled, ("cpu", "cuda", "mps")))


def _has_foreign_hooks(model):
    if "torch" not in sys.modules:
        return False
    from torch.nn.modules import module as every_module

    modules = (model.module if isinstance(model, TorchModel) else model).modules()
    hooks = [
        *every_module._global_forward_hooks.values(),
        *every_module._global_forward_pre_hooks.values(),
    ]
    for module in modules:
        hooks += (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return not all(getattr(hook, "__module__", "").startswith(_OURS) for hook in hooks)
