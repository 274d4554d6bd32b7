# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import replace

import numpy as np

from sklearn_neurox.extraction._cache._entries import Entries, text_keys
from sklearn_neurox.extraction._cache._obstacles import find_obstacle
from sklearn_neurox.extraction._cache._shard import entry_keys
from sklearn_neurox.extraction._cache._stored_blocks import read_layout
from sklearn_neurox.extraction._model._blocks import choose_blocks
from sklearn_neurox.extraction._model._fingerprint import fingerprint
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._model_source import model_source
from sklearn_neurox.extraction._text._alignment import Alignment
from sklearn_neurox.extraction._text._tokenized_texts import TokenizedTexts, tokenize_texts
from sklearn_neurox.extraction._text._windows import make_sequences
from sklearn_neurox.utils._full_float32 import lowered_float32


class CachedTexts:
    """The distinct texts of a request, and where their activations are cached.

    Parameters
    ----------
    request : ExtractionRequest
        A request with a store.

    texts : list of str
        The texts, sorted.

    pairs : list of str or None, default=None
        The second text of each.

    contexts : list of str or None, default=None
        The text that the encoder reads for each, if only the decoder reads the texts.

    Raises
    ------
    ValueError
        For a `TorchModel` without a fingerprint.
    """

    def __init__(self, request, texts, pairs=None, contexts=None):
        spec = request.spec
        unnamed = spec.is_torch_model and spec.model.fingerprint is None
        if unnamed and spec.fingerprint is None:
            raise ValueError(
                f"The 'cache' of ActivationExtractor cannot keep the activations of {spec.name}: "
                "its parameters can be hashed, but not the code of its 'encode' and 'forward'. "
                "Name that code with TorchModel(..., fingerprint='my reader 1') and change the "
                "name whenever the code changes, or set cache=None."
            )
        self.request, self.texts, self.pairs, self.contexts = request, texts, pairs, contexts
        self.keys = text_keys(texts, pairs, contexts)
        self.laid_out = None  # see `lay_out`

    def __getstate__(self):
        return {**self.__dict__, "laid_out": None}

    def take(self, which):
        """Return the given texts only, with their pairs and contexts."""
        lists = self.texts, self.pairs, self.contexts
        taken = (None if own is None else [own[i] for i in which] for own in lists)
        return CachedTexts(self.request, *taken)

    def fingerprint(self, *, load=False):
        """Return the name of the folder of these activations, for the current weights.

        None if the model is not on this machine yet, unless ``load`` allows loading it.
        """
        request, store = self.request, self.request.store
        options = {  # parameters that change the activations
            "component": list(request.component),
            "stack": request.stack or "encoder",  # the meaning of None with two stacks
            "add_special_tokens": request.add_special_tokens,
            "prefix": request.prefix,
            "split_special_tokens": request.split_special_tokens,
            "max_length": request.max_length,
            "dtype": store.dtype,
        }
        if lowered := lowered_float32():
            options["float32_products"] = lowered
        name = fingerprint(request.spec, options, store.folder)
        if name is None and load:
            model = load_model(request.spec)
            name = fingerprint(request.spec, options)
            name = name or fingerprint(replace(request.spec, model=model), options)
        return name

    def index(self):
        """Return the index of the shards of these activations; None if the folder is unknown."""
        name = self.fingerprint()
        return None if name is None else self.request.store.index(name)

    def known_blocks(self):
        """Return the requested blocks; None if the cache does not know the model."""
        return self._choose(self.index())

    def _choose(self, index):
        if index is None or index.metadata is None:
            return None
        layout = read_layout(index.metadata["layout"])
        # A model with one stack has no "encoder" to ask for.
        if self.request.stack is not None and any(block.stack is None for block in layout):
            return None
        return choose_blocks(layout, self.request.layers, model=self.request.spec.name)

    def recall(self):
        """Return the tokenized texts; None unless all texts are cached, in all requested blocks."""
        index = None if find_obstacle(self.request.spec) else self.index()
        blocks = self._choose(index)
        if blocks is None:
            return None
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
        if index.find(keys, blocks) is None:
            return None
        metadata = index.metadata
        return TokenizedTexts(
            encodings=entries.to_encodings(),
            limit=np.iinfo(np.int64).max if metadata["limit"] is None else metadata["limit"],
            causal=metadata["causal"],
            tokenizer=metadata["tokenizer"],
            has_cls=metadata["cls"],
            blocks=blocks,
        )

    def keep_layout(self, tokenized, source, first_sequence):
        """Keep the model inputs of all texts, so that filling the cache can use them."""
        entries = Entries.of_encodings(
            tokenized.encodings, self.keys, first_sequence, source.sequences.lengths
        )
        self.laid_out = tokenized, source, entries

    def lay_out(self):
        """Lay all texts out as model inputs, unless this has been done already.

        Returns the `TokenizedTexts`, the `ModelSource` and the `Entries`, one per input.
        """
        if self.laid_out is None:
            tokenized = tokenize_texts(self.request, self.texts, self.pairs, self.contexts)
            nothing = Alignment(np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64))
            sequences, _, first_sequence = make_sequences(
                tokenized.encodings, nothing, tokenized.limit, causal=tokenized.causal
            )
            source = model_source(self.request, tokenized, self.contexts, sequences, first_sequence)
            self.keep_layout(tokenized, source, first_sequence)
        return self.laid_out
