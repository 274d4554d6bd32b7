# SPDX-License-Identifier: BSD-3-Clause
"""Predict words in their texts with a language model, repeatedly."""

from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._editing._language_model import kind_of, predict_tokens
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


@dataclass(frozen=True)
class Predictions:
    """The predictions of one run of a language model, by distinct word."""

    loss: np.ndarray  # per word, in nats
    is_right: np.ndarray  # whether each subword of the word is the most likely token
    top1: np.ndarray  # the most likely token at each predicted place


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
        self.rows = rows
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
        self.unscored = {"the tokenizer drops all their characters": self._rows(own.counts == 0)}
        getattr(self, f"_ask_{self.kind}")(request, caller)
        self._by_sequence = np.argsort(self.sequence, kind="stable")
        self._ordered = self.sequence[self._by_sequence]

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
        masked = Sequences(masked.ids.copy(), masked.types, masked.ptr)
        masked.ids[masked.ptr[self.sequence] + self.position] = mask
        self.source = replace(self.source, sequences=masked)

    def batches(self, model):
        """Return the batches of inputs that contain subwords to predict."""
        traits_by_stack = [traits_of(model, stack) for stack in self.source.stacks]
        lengths = self.source.sequences.lengths.copy()
        lengths[~np.isin(np.arange(len(lengths)), self.sequence)] = 0
        return self.source.plan(lengths, traits_by_stack)

    def predict(self, model, batches, bar):
        """Predict all words in the batches; the bar advances by tokens read."""
        warn_about_autocast(self.source.spec.name)
        multiple = max(traits_of(model, stack).multiple for stack in self.source.stacks)
        loss, top1 = np.zeros(len(self.word)), np.full(len(self.word), -1)

        types = self.source.reads_types(model)

        def run(batch, done):
            asked, prediction = self._predict_batch(model, multiple, types, batch)
            loss[asked], top1[asked] = prediction

        with evaluating(model):
            for batch in batches:
                run_in_halves(run, batch)
                bar.update(int(self.source.sequences.lengths[batch].sum()))
        wrong = self.word[top1 != self.target]
        return Predictions(
            loss=np.bincount(self.word, loss, minlength=self.n_words),
            is_right=np.bincount(wrong, minlength=self.n_words) == 0,
            top1=top1,
        )

    def _predict_batch(self, model, multiple, types, batch):
        """Return the subwords that a batch predicts, with their losses and most likely tokens."""
        has_decoder = self.kind == "seq2seq"
        device = input_device(model)
        inputs, width = self.source.make_inputs(batch, multiple, device, has_decoder, types)
        low = np.searchsorted(self._ordered, batch, side="left")
        counts = np.searchsorted(self._ordered, batch, side="right") - low
        asked = self._by_sequence[ranges(low, counts)[0]]
        slot = np.repeat(np.arange(len(batch)), counts)
        places = slot * (width + has_decoder) + self.position[asked]
        return asked, predict_tokens(model, inputs, places, self.target[asked])

    def changed(self, before, after):
        """Return which distinct words have a subword whose most likely token changed."""
        changed = self.word[before.top1 != after.top1]
        return np.bincount(changed, minlength=self.n_words) > 0
