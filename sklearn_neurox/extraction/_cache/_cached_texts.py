# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.extraction._cache._entries import Entries, text_keys
from sklearn_neurox.extraction._cache._identity import identify, identify_tokenizer
from sklearn_neurox.extraction._cache._shard import entry_keys
from sklearn_neurox.extraction._model._obstacle import find_obstacle
from sklearn_neurox.extraction._run._model_source import model_source
from sklearn_neurox.extraction._text._alignment import Alignment
from sklearn_neurox.extraction._text._tokenized_texts import TokenizedTexts, tokenize_texts
from sklearn_neurox.extraction._text._windows import make_sequences


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

    tokenizer : object, default=None
        What `identify_tokenizer` returned before the texts were tokenized; None calls it now.

    Raises
    ------
    ValueError
        For a `TorchModel` without a fingerprint.
    """

    def __init__(self, request, texts, pairs=None, contexts=None, tokenizer=None):
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
        self.tokenizer = tokenizer
        if tokenizer is None and texts:
            self.tokenizer = identify_tokenizer(request)
        self.laid_out = None  # see `lay_out`

    def __getstate__(self):
        return {**self.__dict__, "laid_out": None}

    def take(self, which):
        """Return the given texts only, with their pairs and contexts."""
        lists = self.texts, self.pairs, self.contexts
        taken = (None if own is None else [own[i] for i in which] for own in lists)
        return CachedTexts(self.request, *taken, tokenizer=self.tokenizer)

    def check_tokenizer(self):
        """Return a digest of the tokenizer; raise a ValueError if it is not that of the texts.

        The places of the rows refer to tokens of the tokenizer as it was then, but the cache finds
        a text by the tokenizer as it is now.
        """
        if self.tokenizer is None:
            return None
        found = identify_tokenizer(self.request)
        if found != self.tokenizer:
            raise ValueError(
                f"The tokenizer of {self.request.spec.name} has changed since the rows were "
                "transformed, so they may consist of other tokens now. Transform the rows again."
            )
        return found

    def index(self):
        """Return the index of the shards of these activations; None if the folder is unknown."""
        return self._index(self.check_tokenizer())

    def _index(self, tokenizer):
        name = identify(self.request, tokenizer=tokenizer)
        return None if name is None else self.request.store.index(name)

    def known_blocks(self):
        """Return the requested blocks; None if the cache does not know the model."""
        index = self.index()
        found = None if index is None or index.facts is None else index.facts.choose(self.request)
        return None if found is None else found[0]

    def recall(self):
        """Return the tokenized texts; None unless all texts are cached, in all requested blocks."""
        # No check: the tokenizer was identified a moment ago.
        index = None if find_obstacle(self.request.spec) else self._index(self.tokenizer)
        facts = None if index is None else index.facts
        found = None if facts is None else facts.choose(self.request)
        if found is None:
            return None
        blocks, limit = found
        entries = self._first_entries(index, limit)
        if entries is None:
            return None
        text = np.repeat(np.arange(len(entries)), entries.n_windows)
        window = np.arange(len(text)) - (np.cumsum(entries.n_windows) - entries.n_windows)[text]
        keys = entry_keys(self.keys[text], window, entries.limit[text])
        if index.find(keys, blocks) is None:
            return None
        return TokenizedTexts(
            encodings=entries.to_encodings(),
            limit=limit,
            causal=facts.causal,
            tokenizer=facts.tokenizer,
            has_cls=facts.cls,
            blocks=blocks,
        )

    def _first_entries(self, index, limit):
        """Return the first entry of each text, as cut by the limit; None if any is missing."""
        first = np.zeros(len(self.keys), dtype=np.int64)
        whole = index.locate(entry_keys(self.keys, first, first))
        order, found = _read_entries(whole)
        # A text in one piece may be longer than the limit if another stack reads more tokens.
        fits = np.zeros(len(self.keys), dtype=bool)
        fits[order] = found.n_tokens <= limit
        kept = fits[order]
        order, found, cut = order[kept], found.take(np.flatnonzero(kept)), np.flatnonzero(~fits)
        if len(cut):
            if limit > np.iinfo(np.int32).max:
                return None
            windows = index.locate(entry_keys(self.keys[cut], first[cut], first[cut] + limit))
            if windows.is_missing.any():
                return None
            rest, more = _read_entries(windows)
            order, found = np.concatenate([order, cut[rest]]), Entries.join([found, more])
        return found.take(np.argsort(order))

    def keep_layout(self, tokenized, source, first_sequence):
        """Keep the model inputs of all texts, so that filling the cache can use them."""
        entries = Entries.of_encodings(
            tokenized.encodings,
            self.keys,
            first_sequence,
            source.sequences.lengths,
            tokenized.limit,
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


def _read_entries(places):
    """Return which inputs are there, and their entries."""
    order, found = [np.empty(0, dtype=np.int64)], [Entries.empty()]
    for shard, inputs, slots in places.by_shard():
        order.append(inputs)
        found.append(Entries.of_shard(shard).take(slots))
    return np.concatenate(order), Entries.join(found)
