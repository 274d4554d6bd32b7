# SPDX-License-Identifier: BSD-3-Clause
"""Where the rows of a frame of words stand in their texts, as a reader of these texts sees it."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._word_columns import word_forms


class Spans(NamedTuple):
    """The distinct spans of words, text by text and from its beginning on.

    Rows that name the same span of the same text, as repeated sentences have, share one.
    """

    texts: list
    first: np.ndarray  # (n_texts + 1,) the first span of every text, and the number of spans
    text: np.ndarray  # (n_spans,) the text of every span
    start: np.ndarray  # (n_spans,) in characters
    end: np.ndarray
    row: np.ndarray  # (n_spans,) the first row that names the span

    def windows(self, spans, width):
        """Give the runs of at most ``width`` spans of a text in the middle of which spans lie.

        Parameters
        ----------
        spans : ndarray of int

        width : int

        Returns
        -------
        begin, stop : ndarray of int, of the shape of ``spans``
        """
        first, last = self.first[self.text[spans]], self.first[self.text[spans] + 1]
        begin = np.clip(spans - width // 2, first, np.maximum(first, last - width))
        return begin, np.minimum(begin + width, last)

    def only(self, texts):
        """Restrict to some texts, ascending, and tell the new numbers of spans.

        Parameters
        ----------
        texts : ndarray of int

        Returns
        -------
        spans : Spans

        renumbered : ndarray of shape (n_spans,)
            The number of each span among those kept, -1 for the others.
        """
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
    """Find the spans of a frame of words.

    Parameters
    ----------
    words : DataFrame
        With the column ``text``, and ``start`` and ``end`` unless a row is a whole text.

    Returns
    -------
    spans : Spans
    """
    codes, texts = pd.factorize(words["text"])
    texts = [str(text) for text in texts]
    if {"start", "end"} <= set(words.columns):
        start, end = words["start"].to_numpy(dtype=np.intp), words["end"].to_numpy(dtype=np.intp)
    else:
        start, end = np.zeros(len(codes), np.intp), np.array([len(t) for t in texts])[codes]
    _check_spans(texts, codes, start, end)
    # Stable sorting, so that the first of the rows with one span stands for it.
    order = np.lexsort((end, start, codes))
    keys = np.stack([codes[order], start[order], end[order]])
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    text, start, end = keys[:, is_new]
    first = np.searchsorted(text, np.arange(len(texts) + 1))
    return Spans(texts, first, text, start, end, order[is_new])


def word_types(words):
    """Give every distinct word a number, upper and lower case apart.

    Parameters
    ----------
    words : DataFrame

    Returns
    -------
    codes : ndarray of shape (n_rows,)

    types : list of str
    """
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
            f"Row {row} of the words has the span {start[row]} to {end[row]}, which does not lie "
            f"in its text of {lengths[row]} characters ({wrong.sum()} such rows)."
        )
