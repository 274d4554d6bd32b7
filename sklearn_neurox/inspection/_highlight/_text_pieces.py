# SPDX-License-Identifier: BSD-3-Clause
"""A text and the words in it, cut into pieces that give the text back when joined."""

import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_RIGHT_TO_LEFT = {"R", "AL", "RLE", "RLO", "RLI"}
_LEFT_TO_RIGHT = {"L", "LRE", "LRO", "LRI"}


class Piece(NamedTuple):
    """A part of a text: a word, with the number of its row, or what stands between words."""

    text: str
    row: int | None


def text_pieces(text: str, starts: ArrayLike, ends: ArrayLike, *, caller: str) -> list[Piece]:
    """Cut a text into its words and what stands between them.

    Parameters
    ----------
    text : str
        The text.

    starts, ends : array-like of int of shape (n_words,)
        The span of every word, in any order. A span that comes again belongs to its first row.

    caller : str
        Who asks, for the error messages.

    Returns
    -------
    pieces : list of Piece
        In the order of the text, none empty; ``"".join(piece.text for piece in pieces)`` is the
        text. ``row`` counts the words as given, and is None between them.

    Raises
    ------
    ValueError
        For spans outside of the text, and for two that overlap in part.
    """
    starts, ends = np.asarray(starts, dtype=np.intp), np.asarray(ends, dtype=np.intp)
    outside = (starts < 0) | (ends <= starts) | (ends > len(text))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"{caller}: the span {starts[row]} to {ends[row]} of word {row} holds nothing of its "
            f"text, which has {len(text)} characters: {text[:60]!r}."
        )
    pieces, place, shown = [], 0, (0, 0)
    for row in np.lexsort((ends, starts)).tolist():
        span = int(starts[row]), int(ends[row])
        if span == shown:
            continue
        if span[0] < place:
            raise ValueError(
                f"{caller}: the words {text[slice(*shown)]!r} and {text[slice(*span)]!r} overlap "
                f"in {text[:60]!r}, so they cannot both be coloured. Choose one of these rows."
            )
        if place < span[0]:
            pieces.append(Piece(text[place : span[0]], None))
        pieces.append(Piece(text[slice(*span)], row))
        place, shown = span[1], span
    if place < len(text):
        pieces.append(Piece(text[place:], None))
    return pieces


def text_direction(text: str) -> str:
    """Tell the direction of a text by its first strong character, as ``dir="auto"`` does.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    direction : {"ltr", "rtl"}
        "ltr" for a text without any, such as ``"1984?"``.
    """
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in _RIGHT_TO_LEFT:
            return "rtl"
        if kind in _LEFT_TO_RIGHT:
            return "ltr"
    return "ltr"
