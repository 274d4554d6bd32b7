# SPDX-License-Identifier: BSD-3-Clause
"""Predict words in their texts with a language model, as it is and changed in several ways."""

from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._editing._language_model import (
    divergence,
    kind_of,
    read_logits,
    score_logits,
)
from sklearn_neurox.extraction._editing._word_positions import unmasked
from sklearn_neurox.extraction._model._first_look import traits_of
from sklearn_neurox.extraction._model._forward import evaluating, input_device
from sklearn_neurox.extraction._model._loading import load_config, load_tokenizer
from sklearn_neurox.extraction._run._batching import run_in_halves
from sklearn_neurox.extraction._run._model_source import model_source
from sklearn_neurox.extraction._text._alignment import align
from sklearn_neurox.extraction._text._checks import check_lengths, report_special
from sklearn_neurox.extraction._text._targets import read_rows_and_targets
from sklearn_neurox.extraction._text._tokenized_texts import tokenize_texts
from sklearn_neurox.extraction._text._vocabulary import report_unknown
from sklearn_neurox.extraction._text._windows import Sequences, make_sequences
from sklearn_neurox.utils._autocast import warn_about_autocast
from sklearn_neurox.utils._ragged import ranges
from sklearn_neurox.utils._torch import to_numpy, to_tensor

_DROPPED = "the tokenizer drops all their characters"


@dataclass(frozen=True)
class Predictions:
    """The predictions of a language model, by distinct word; each number is a sum over subwords."""

    loss: np.ndarray  # in nats
    kl: np.ndarray  # from the predictions of the model as it is, in nats
    is_right: np.ndarray  # whether each subword is the most likely token
    is_changed: np.ndarray  # whether a subword has another most likely token than in the model
    metric: np.ndarray | None  # by row, what the user's function returned


class _Record:
    """What one variant of the model predicts, by subword; the metric by row."""

    def __init__(self, n_subwords, n_rows):
        self.loss, self.kl = np.zeros(n_subwords), np.zeros(n_subwords)
        self.top1 = np.full(n_subwords, -1)
        self.metric = np.full(n_rows, np.nan)


class WordPredictor:
    """Predicts words with a language model: from masked inputs, or from the tokens before them.

    Parameters
    ----------
    request : ExtractionRequest
        Determines how texts are read; its model has a head.

    words : DataFrame
        With the columns ``text``, ``start``, ``end``, and perhaps ``target``.

    caller : str
        The public function, for messages.

    Attributes
    ----------
    word_of_row : ndarray of shape (n_rows,)
        The distinct word of each row; rows with the same text and span are predicted once.

    n_subwords : ndarray of shape (n_words,)
        The number of predicted subwords of each distinct word.

    unscored : dict of str to ndarray
        The rows that cannot be scored, by reason.

    rows : Rows
    """

    def __init__(self, request, words, *, caller):
        self.kind = kind_of(load_config(request.spec))
        request = replace(request, stack="decoder" if self.kind == "seq2seq" else None)
        rows, contexts = read_rows_and_targets(words, stack=request.stack, caller=caller)
        if rows.whole:
            raise ValueError(
                f"{caller} takes a frame of words with the columns 'text', 'start' and 'end' (or "
                "'target', 'target_start' and 'target_end'), but got whole texts."
            )
        self.rows, self._unmasked = rows, None
        named = np.full(len(rows), -1) if rows.token_index is None else rows.token_index
        distinct, word_of_row = np.unique(
            np.column_stack([rows.text_of_row, rows.start, rows.end, named]),
            axis=0,
            return_inverse=True,
        )
        self.word_of_row, self.n_words = word_of_row.reshape(-1), len(distinct)
        text, start, end, named = distinct.T
        asked = replace(rows, text_of_row=text, start=start, end=end, index=None, token_index=named)
        tokenized = tokenize_texts(request, rows.texts, rows.pairs, contexts)
        of_rows = align(rows, tokenized.encodings, special_tokens=False)
        report_special(rows, tokenized.encodings, of_rows, split=request.split_special_tokens)
        report_unknown(rows, tokenized.encodings, of_rows, tokenized.unknown_id)
        own = align(asked, tokenized.encodings, special_tokens=False)
        check_lengths(rows, tokenized.encodings, tokenized.limit, overflow=request.overflow)
        sequences, placement, first = make_sequences(
            tokenized.encodings, own, tokenized.limit, causal=tokenized.causal
        )
        self.word = np.repeat(np.arange(self.n_words), own.counts)
        self.sequence, self.position = placement.sequence, placement.position
        self.target = sequences.ids[sequences.ptr[self.sequence] + self.position]
        self.source = model_source(request, tokenized, contexts, sequences, first)
        self.unscored = {_DROPPED: self._rows(own.counts == 0)}
        getattr(self, f"_ask_{self.kind}")(request, caller)
        self.n_subwords = np.bincount(self.word, minlength=self.n_words)
        self._is_first = np.diff(self.word, prepend=-1) != 0
        self._by_sequence = np.argsort(self.sequence, kind="stable")
        self._ordered = self.sequence[self._by_sequence]

    def have_tokens(self):
        """Return which rows have a token, as a mask."""
        has = np.ones(len(self.rows), dtype=bool)
        has[self.unscored[_DROPPED]] = False
        return has

    def _rows(self, is_word):
        return np.flatnonzero(is_word[self.word_of_row])

    def _ask_seq2seq(self, request, caller):
        """Leave everything as it is: the decoder's input begins one place before its target."""

    def _ask_causal(self, request, caller):
        first = self.position == 0
        lost = np.bincount(self.word[first], minlength=self.n_words) > 0
        self.unscored["nothing comes before them to predict them from"] = self._rows(lost)
        kept = ~lost[self.word]
        for name in ("word", "sequence", "position", "target"):
            setattr(self, name, getattr(self, name)[kept])
        self.position = self.position - 1

    def _ask_masked(self, request, caller):
        """Assign each word its own input, in which its subwords are masked."""
        mask = load_tokenizer(request.spec).mask_token_id
        if mask is None:
            raise ValueError(
                f"{caller} masks the words that {request.spec.name} should predict, but its "
                "tokenizer has no mask token. Set tokenizer.mask_token, and pass the tokenizer."
            )
        sequences = self.source.sequences
        part = self.word * len(sequences) + self.sequence
        parts, self.sequence = np.unique(part, return_inverse=True)
        masked = sequences.take(parts % max(len(sequences), 1))
        self._unmasked = masked
        masked = Sequences(masked.ids.copy(), masked.types, masked.ptr)
        masked.ids[masked.ptr[self.sequence] + self.position] = mask
        self.source = replace(self.source, sequences=masked)

    def batches(self, model):
        """Return the batches of inputs that contain subwords to predict."""
        traits_by_stack = [traits_of(model, stack) for stack in self.source.stacks]
        lengths = self.source.sequences.lengths.copy()
        lengths[~np.isin(np.arange(len(lengths)), self.sequence)] = 0
        return self.source.plan(lengths, traits_by_stack)

    def n_tokens(self, model):
        """Return how many tokens the model reads in one run."""
        lengths = self.source.sequences.lengths
        return sum(int(lengths[batch].sum()) for batch in self.batches(model))

    def predict(self, model, variants, bar, metric=None):
        """Predict all words with a model as it is, and with changed variants of it.

        Each batch is predicted by all of them before the next one, so that their logits can be
        compared without storing them.

        Parameters
        ----------
        model : PreTrainedModel

        variants : list of callable
            Each returns a context manager that changes the model.

        bar : progress bar
            Advances by tokens read.

        metric : callable or None, default=None
            Called with the logits at the first subword of some rows, as an ndarray of shape (n_own,
            n_tokens), and the places of these rows; returns one number for each.

        Returns
        -------
        predictions : list of Predictions
            Of the model as it is, then of each variant.
        """
        warn_about_autocast(self.source.spec.name)
        records = [_Record(len(self.word), len(self.rows)) for _ in range(1 + len(variants))]
        multiple = max(traits_of(model, stack).multiple for stack in self.source.stacks)
        types = self.source.reads_types(model)

        def run(batch, done):
            n_read = int(self.source.sequences.lengths[batch].sum())
            asked, inputs, places = self._inputs(model, multiple, types, batch)
            original = self._original_ids(model, multiple, types, batch)
            before = None
            for number, change in enumerate([nullcontext, *variants]):
                if number and number in done:
                    continue
                with unmasked(original), change():
                    logits = read_logits(model, inputs, places)
                if number == 0:
                    before = logits
                self._note(records[number], before, logits, asked, metric)
                if number not in done:
                    bar.update(n_read)
                    done.add(number)

        with evaluating(model):
            for batch in self.batches(model):
                run_in_halves(run, batch)
        return [self._summed(record, records[0], metric) for record in records]

    def _inputs(self, model, multiple, types, batch):
        """Return the subwords that a batch predicts, the model's inputs, and the places there."""
        has_decoder = self.kind == "seq2seq"
        device = input_device(model)
        inputs, width = self.source.make_inputs(batch, multiple, device, has_decoder, types)
        low = np.searchsorted(self._ordered, batch, side="left")
        counts = np.searchsorted(self._ordered, batch, side="right") - low
        asked = self._by_sequence[ranges(low, counts)[0]]
        slot = np.repeat(np.arange(len(batch)), counts)
        places = slot * (width + has_decoder) + self.position[asked]
        return asked, inputs, places

    def _original_ids(self, model, multiple, types, batch):
        """Return what a batch would be without masks, None if it has none."""
        if self._unmasked is None:
            return None
        source = replace(self.source, sequences=self._unmasked)
        inputs, _ = source.make_inputs(batch, multiple, input_device(model), False, types)
        return inputs["input_ids"]

    def _note(self, record, before, logits, asked, metric):
        """Record what a variant predicts for some subwords, whose logits were ``before``."""
        record.loss[asked], record.top1[asked] = score_logits(logits, self.target[asked])
        if logits is not before:
            record.kl[asked] = divergence(before, logits)
        if metric is None:
            return
        place_of_word = np.full(self.n_words, -1)
        first = np.flatnonzero(self._is_first[asked])
        place_of_word[self.word[asked[first]]] = first
        place = place_of_word[self.word_of_row]
        own = np.flatnonzero(place >= 0)
        if len(own):
            record.metric[own] = metric(to_numpy(logits[to_tensor(place[own])]), own)

    def _summed(self, record, before, metric):
        def of_words(values):
            return np.bincount(self.word, values, minlength=self.n_words)

        return Predictions(
            loss=of_words(record.loss),
            kl=of_words(record.kl),
            is_right=of_words(record.top1 != self.target) == 0,
            is_changed=of_words(record.top1 != before.top1) > 0,
            metric=None if metric is None else record.metric,
        )
