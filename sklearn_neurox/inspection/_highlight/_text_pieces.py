# SPDX-License-Identifier: BSD-3-Clause
"""A text split into its words and the text between them."""

import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_RIGHT_TO_LEFT = {"R", "AL", "RLE", "RLO", "RLI"}
_LEFT_TO_RIGHT = {"L", "LRE", "LRO", "LRI"}


class Piece(NamedTuple):
    """A part of a text: a word with the number of its row, or the text between words."""

    text: str
    row: int | None


def text_pieces(text: str, starts: ArrayLike, ends: ArrayLike, *, caller: str) -> list[Piece]:
    """Split a text into its words and the text between them.

    Parameters
    ----------
    text : str

    starts, ends : array-like of int of shape (n_words,)
        The span of each word, in any order. A repeated span belongs to its first row.

    caller : str
        The public function, for error messages.

    Returns
    -------
    pieces : list of Piece
        Non-empty pieces in text order, which joined give the text. ``row`` is the position of a
        word in `starts`, and None between words.

    Raises
    ------
    ValueError
        If a span lies outside the text, or two spans overlap partially.
    """
    starts, ends = np.asarray(starts, dtype=np.intp), np.asarray(ends, dtype=np.intp)
    outside = (starts < 0) | (ends <= starts) | (ends > len(text))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"{caller}: the span {starts[row]} to {ends[row]} of word {row} is empty or lies "
            f"outside its text, which has {len(text)} characters: {text[:60]!r}."
        )
    pieces, place, shown = [], 0, (0, 0)
    for row in np.lexsort((ends, starts)).tolist():
        span = int(starts[row]), int(ends[row])
        if span == shown:
            continue
        if span[0] < place:
            raise ValueError(
                f"{caller}: the words {text[slice(*shown)]!r} and {text[slice(*span)]!r} overlap "
                f"in {text[:60]!r}, so they cannot both be colored. Keep one of these rows."
            )
        if place < span[0]:
            pieces.append(Piece(text[place : span[0]], None))
        pieces.append(Piece(text[slice(*span)], row))
        place, shown = span[1], span
    if place < len(text):
        pieces.append(Piece(text[place:], None))
    return pieces


def text_direction(text: str) -> str:
    """Return the direction of a text by its first strong character, as ``dir="auto"`` does.

    A text without strong characters, such as ``"1984?"``, is "ltr".
    """
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in _RIGHT_TO_LEFT:
            return "rtl"
        if kind in _LEFT_TO_RIGHT:
            return "ltr"
    return "ltr"
