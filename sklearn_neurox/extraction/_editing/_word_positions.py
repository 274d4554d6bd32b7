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
    """Some tokens, numbered by the label of the word that they belong to, from 1.

    Parameters
    ----------
    base : Positions or None
        Which tokens are chosen; None for all.

    request : ExtractionRequest
        Determines how texts are read.

    words : DataFrame
        One row per word. A token that two words share has the label of the first.

    codes : ndarray of int, of shape (n_words,)
        The label of each word. Tokens of no word get the number 0.

    stack : {"encoder", "decoder"} or None

    caller : str
        The public function, for messages.
    """

    def __init__(self, base, request, words, codes, *, stack, caller):
        tokens = TokensOfRows(request, words, stack=stack, caller=caller)
        numbers = np.repeat(codes + 1, np.diff(tokens.ptr))
        self.base = base
        unclear = (
            "the words have other labels",
            f"Leave one of them out, or call {caller} without 'gold' in 'which'.",
        )
        rows = RowPositions([tokens], numbers=numbers, caller=caller, unclear=unclear)
        self.rows = PositionsOfRows(rows)

    def slots(self, reading):
        """Return the number of the label of each chosen token."""
        slots = self.rows.slots(reading).clamp(min=0)
        return slots if self.base is None else slots.masked_fill(self.base.slots(reading) < 0, -1)
