# SPDX-License-Identifier: BSD-3-Clause
"""Align tokens with rows: a row owns the tokens whose characters overlap its span."""

from dataclasses import dataclass

import numpy as np

from sklearn_neurox.extraction._text._roles import PAIR, PREFIX, SPECIAL, TEXT, UNALIGNED
from sklearn_neurox.utils._ragged import pointers, ranges

_OTHER_TOKENIZER = "Tokens and activations must come from the same tokenizer, read in the same way."


@dataclass(frozen=True)
class Alignment:
    """The tokens of each row, as indices into the flat arrays; row i has ``ptr[i]:ptr[i + 1]``."""

    tokens: np.ndarray
    ptr: np.ndarray

    @property
    def counts(self):
        """The number of tokens per row."""
        return np.diff(self.ptr)


def align(rows, encodings, *, special_tokens):
    """Find the tokens of each row.

    A word owns each token that covers at least one of its characters, so a token that spans two
    words belongs to both. A row that names its token owns that token alone. A whole text owns all
    tokens of the text and its pair.

    Parameters
    ----------
    rows : Rows
        The spans.

    encodings : Encodings
        The tokens of ``rows.texts``.

    special_tokens : bool
        Whether a whole text also owns the special tokens added around it, but never a prefix.

    Returns
    -------
    alignment : Alignment

    Raises
    ------
    ValueError
        If a row names a token that its text does not have, or that has other characters.
    """
    if rows.whole:
        own = encodings.role != PREFIX
        own &= special_tokens | (encodings.role != SPECIAL)
        return _rows_of_texts(rows, encodings, np.flatnonzero(own))
    # Special tokens that the text itself spells have characters, added ones have none.
    own = np.flatnonzero(
        (encodings.role != PAIR) & ((encodings.end > encodings.start) | encodings.has_space)
    )
    text = np.searchsorted(encodings.ptr, own, side="right") - 1
    lengths = np.array([len(text) for text in rows.texts], dtype=np.int64)
    # Offset the characters of all texts into one line, with a gap between texts.
    base = pointers(lengths + 1)[:-1]
    start = encodings.start[own] + base[text]
    end = encodings.end[own] + base[text]
    row_start = rows.start + base[rows.text_of_row]
    row_end = rows.end + base[rows.text_of_row]
    found = _align_spans(own, start, end, row_start, row_end)
    has_space = encodings.has_space[own]
    if has_space.any() and (blank := rows.are_blank()).any():
        before = np.maximum(base[text], np.append(0, end[:-1]))
        start = np.where(has_space, before, start)
        with_spaces = _align_spans(own, start, end, row_start, row_end)
        found = _choose(blank, with_spaces, found)
    if rows.token_index is not None:
        found = _choose(rows.token_index >= 0, _align_named(rows, encodings), found)
    return found


def own_tokens(encodings):
    """Find the tokens that a text itself spells, among them those without a character."""
    has_characters = encodings.end > encodings.start
    is_own = (encodings.role == TEXT) | ((encodings.role == SPECIAL) & has_characters)
    return np.flatnonzero(is_own)


def shown_spans(encodings, tokens, lengths):
    """Return the characters that stand for tokens of texts of the given lengths.

    A token without characters of its own is shown by the character after it, or the last one.
    """
    start, end = encodings.start[tokens], encodings.end[tokens]
    start = np.where(end > start, start, np.minimum(start, lengths - 1))
    return start, np.maximum(end, start + 1)


def _align_named(rows, encodings):
    """Align the rows that name a token by its number in the text with that token."""
    own = own_tokens(encodings)
    ptr = np.searchsorted(own, encodings.ptr)
    naming = np.flatnonzero(rows.token_index >= 0)
    number, text = rows.token_index[naming], rows.text_of_row[naming]
    n_tokens = (ptr[1:] - ptr[:-1])[text]
    wrong = np.flatnonzero(number >= n_tokens)
    if len(wrong):
        first = wrong[0]
        raise ValueError(
            f"The 'token_index' of {rows.name(int(naming[first]))} is {number[first]}, but its "
            f"text has {n_tokens[first]} tokens ({len(wrong)} such rows). {_OTHER_TOKENIZER}"
        )
    tokens = own[ptr[:-1][text] + number]
    lengths = np.array([len(text) for text in rows.texts], dtype=np.int64)
    start, end = shown_spans(encodings, tokens, lengths[text])
    differs = (start != rows.start[naming]) | (end != rows.end[naming])
    wrong = np.flatnonzero(differs & (encodings.start[tokens] != UNALIGNED))
    if len(wrong):
        first = wrong[0]
        row = int(naming[first])
        raise ValueError(
            f"The 'token_index' of {rows.name(row)} is {number[first]}, a token of the characters "
            f"{start[first]} to {end[first]} of its text, but the row has the characters "
            f"{rows.start[row]} to {rows.end[row]} ({len(wrong)} such rows). {_OTHER_TOKENIZER}"
        )
    return Alignment(tokens, pointers(rows.token_index >= 0))


def _choose(mask, first, second):
    """Take the rows of one alignment where the mask is true, those of another elsewhere."""
    tokens = np.concatenate([first.tokens, second.tokens])
    begin = np.where(mask, first.ptr[:-1], second.ptr[:-1] + len(first.tokens))
    places, ptr = ranges(begin, np.where(mask, first.counts, second.counts))
    return Alignment(tokens[places], ptr)


def _align_spans(own, start, end, row_start, row_end):
    filled = end > start
    own, start, end = own[filled], start[filled], end[filled]
    if (np.diff(start) < 0).any() or (np.diff(end) < 0).any():
        return _align_unordered(own, start, end, row_start, row_end)
    first = np.searchsorted(end, row_start, side="right")
    last = np.searchsorted(start, row_end, side="left")
    places, ptr = ranges(first, np.maximum(last - first, 0))
    return Alignment(own[places], ptr)


def _rows_of_texts(rows, encodings, own):
    first = np.searchsorted(own, encodings.ptr[:-1])[rows.text_of_row]
    last = np.searchsorted(own, encodings.ptr[1:])[rows.text_of_row]
    places, ptr = ranges(first, last - first)
    return Alignment(own[places], ptr)


def _align_unordered(own, start, end, row_start, row_end):
    """Align tokens that are not in the order of their characters, row by row.

    Only normalizers that reorder need this, so it need not be fast.
    """
    order = np.argsort(start, kind="stable")
    reach = np.maximum.accumulate(end[order])
    found = []
    for low, high in zip(row_start, row_end, strict=True):
        window = order[
            np.searchsorted(reach, low, side="right") : np.searchsorted(start[order], high)
        ]
        found.append(np.sort(window[end[window] > low]))
    ptr = pointers([len(f) for f in found])
    return Alignment(own[np.concatenate(found)] if found else own[:0], ptr)


def find_first_tokens(rows, tokenized, first_sequence):
    """Find the token that represents the whole text of each row, such as ``[CLS]``.

    Parameters
    ----------
    rows : Rows

    tokenized : TokenizedTexts
        The tokens of ``rows.texts``.

    first_sequence : ndarray of shape (n_texts,)
        The first model input of each text.

    Returns
    -------
    first_tokens : ndarray of shape (n_rows, 2) or str
        Model input and position in it; or the reason why there is none.
    """
    if rows.are_pairs:
        return "the rows are pairs, not whole texts"
    texts = rows.texts
    length = np.array([len(text) for text in texts], dtype=np.int64)[rows.text_of_row]
    parts = np.flatnonzero((rows.start > 0) | (rows.end < length))
    if len(parts):
        return f"row {parts[0]} is a word, not a whole text"
    encodings = tokenized.encodings
    if not tokenized.has_cls:
        return f"{tokenized.tokenizer} has no token that stands for the whole text"
    places = np.flatnonzero(encodings.is_cls)
    at = np.searchsorted(places, encodings.ptr[:-1])
    found = np.append(places, len(encodings.is_cls))[at]
    if (found >= encodings.ptr[1:]).any():
        return f"{tokenized.tokenizer} adds no token that stands for the whole text"
    per_text = np.stack([first_sequence, found - encodings.ptr[:-1]], axis=1)
    return per_text[rows.text_of_row]
