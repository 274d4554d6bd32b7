# SPDX-License-Identifier: BSD-3-Clause
"""The positions of words in their texts, in reading order."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._word_columns import word_forms


class Spans(NamedTuple):
    """The distinct spans of words, in text order.

    Rows with the same span of the same text, for example in repeated sentences, share one span.
    """

    texts: list
    first: np.ndarray  # (n_texts + 1,) the first span of each text, and the number of spans
    text: np.ndarray  # (n_spans,) the text of each span
    start: np.ndarray  # (n_spans,) in characters
    end: np.ndarray
    row: np.ndarray  # (n_spans,) the first row with the span

    def windows(self, spans, width):
        """Return begin and stop of the windows of at most `width` spans centered on some spans."""
        first, last = self.first[self.text[spans]], self.first[self.text[spans] + 1]
        begin = np.clip(spans - width // 2, first, np.maximum(first, last - width))
        return begin, np.minimum(begin + width, last)

    def only(self, texts):
        """Keep some texts, ascending, and return each span's new number, or -1, as well."""
        kept = np.isin(self.text, texts)
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
        counts = np.diff(self.first)[texts]
        spans = Spans(
            [self.texts[text] for text in texts.tolist()],
            pointers(counts),
            np.repeat(np.arange(len(texts)), counts),
            self.start[kept],
            self.end[kept],
            self.row[kept],
        )
        return spans, renumbered


def lay_out_spans(words):
    """Return the `Spans` of a frame of words; without `start` and `end`, a row is a whole text."""
    codes, texts = pd.factorize(words["text"])
    texts = [str(text) for text in texts]
    if {"start", "end"} <= set(words.columns):
        start, end = words["start"].to_numpy(dtype=np.intp), words["end"].to_numpy(dtype=np.intp)
    else:
        start, end = np.zeros(len(codes), np.intp), np.array([len(t) for t in texts])[codes]
    _check_spans(texts, codes, start, end)
    # The sort is stable, so the first of the rows with the same span represents it.
    order = np.lexsort((end, start, codes))
    keys = np.stack([codes[order], start[order], end[order]])
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    text, start, end = keys[:, is_new]
    first = np.searchsorted(text, np.arange(len(texts) + 1))
    return Spans(texts, first, text, start, end, order[is_new])


def word_types(words):
    """Return the code of each row's word, and the distinct words; case matters."""
    if "word" in words:
        column = word_forms(words, caller="NeuronReport")
    elif {"start", "end"} <= set(words.columns):
        rows = zip(words["text"], words["start"], words["end"], strict=True)
        column = pd.Series([text[start:end] for text, start, end in rows])
    else:
        column = words["text"]
    codes, types = pd.factorize(column)
    return codes, [str(word) for word in types]


def _check_spans(texts, codes, start, end):
    lengths = np.array([len(text) for text in texts])[codes]
    wrong = (start < 0) | (end < start) | (end > lengths)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"Row {row} of the words has the span {start[row]} to {end[row]}, which lies outside "
            f"its text of {lengths[row]} characters ({wrong.sum()} such rows)."
        )
