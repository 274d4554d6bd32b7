# SPDX-License-Identifier: BSD-3-Clause
"""The tokens of rows in inputs some of whose tokens are masked."""

import contextlib
from contextvars import ContextVar
from dataclasses import replace

import numpy as np

from sklearn_neurox.extraction._editing._positions import Positions
from sklearn_neurox.extraction._editing._row_positions import RowPositions, TokensOfRows

_unmasked: ContextVar = ContextVar("sklearn_neurox_unmasked_ids", default=None)


@contextlib.contextmanager
def unmasked(ids):
    """State what a model would read without masks, as a tensor of token ids, or None."""
    token = _unmasked.set(ids)
    try:
        yield
    finally:
        _unmasked.reset(token)


class PositionsOfRows(Positions):
    """The tokens of rows in each of many passes, recognized by what the masks hide.

    Parameters
    ----------
    rows : RowPositions
    """

    def __init__(self, rows):
        self.rows = rows

    def slots(self, reading):
        """Return the numbers of the tokens that are rows'."""
        ids = _unmasked.get()
        if ids is not None:
            reading = replace(reading, ids=ids.to(reading.device))
        return self.rows.slots(reading)

    def report_unread(self):
        """Warn or raise an error about texts of the rows that were in none of the passes."""
        self.rows.finish(has_run=True)


class LabeledPositions(Positions):
    """Some tokens, numbered by the labels of the words that they belong to, from 1.

    Parameters
    ----------
    base : Positions or None
        Which tokens are chosen; None for all.

    request : ExtractionRequest
        Determines how texts are read.

    words : DataFrame
        One row per word.

    codes : ndarray of int, of shape (n_words,)
        The label of each word. Tokens of no word get the number 0.

    n_labels : int

    stack : {"encoder", "decoder"} or None

    caller : str
        The public function, for messages.

    Attributes
    ----------
    shares : ndarray of shape (n_numbers, n_labels)
        How much each label counts at the tokens of each number. If different words share a token,
        each of them counts equally.

    Raises
    ------
    ValueError
        If a word has several labels, or texts with other labels have the same tokens.
    """

    def __init__(self, base, request, words, codes, *, n_labels, stack, caller):
        tokens = TokensOfRows(request, words, stack=stack, caller=caller)
        remedy = f"Leave one of them out, or call {caller} without 'gold' in 'which'."
        first = _first_of_each_word(tokens.rows, codes, remedy)
        row = np.repeat(np.arange(len(codes)), np.diff(tokens.ptr))
        token, counts = tokens.distinct(), np.isin(row, first)
        shares = np.zeros((token.max(initial=-1) + 1, n_labels))
        np.add.at(shares, (token[counts], codes[row[counts]]), 1)
        shares /= shares.sum(axis=1, keepdims=True)
        shares, number = np.unique(shares, axis=0, return_inverse=True)
        self.shares = np.vstack([np.zeros(n_labels), shares])
        self.base = base
        unclear = ("the words have other labels", remedy)
        numbers = number.reshape(-1)[token] + 1
        rows = RowPositions([tokens], numbers=numbers, caller=caller, unclear=unclear)
        self.rows = PositionsOfRows(rows)

    def slots(self, reading):
        """Return the number of the label of each chosen token."""
        slots = self.rows.slots(reading).clamp(min=0)
        return slots if self.base is None else slots.masked_fill(self.base.slots(reading) < 0, -1)


def _first_of_each_word(rows, codes, remedy):
    """Return the first row of each word, or raise a ValueError if a word has several labels."""
    spans = np.column_stack([rows.text_of_row, rows.start, rows.end])
    _, first, word = np.unique(spans, axis=0, return_index=True, return_inverse=True)
    word = word.reshape(-1)
    other = np.flatnonzero(codes != codes[first][word])
    if len(other):
        row = int(other[0])
        raise ValueError(
            f"'gold' gives each word its label back, but {rows.name(int(first[word[row]]))} and "
            f"{rows.name(row)} are the same word ({rows.spelled_by(row)!r}) of the same text, with "
            f"different labels. {remedy}"
        )
    return first
