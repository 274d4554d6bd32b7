# SPDX-License-Identifier: BSD-3-Clause
"""Assign tokens the characters that they are made of, where tokenizers report others."""

import numpy as np

from sklearn_neurox.extraction._text._roles import TEXT
from sklearn_neurox.utils._ragged import pointers

# The space before a word, as written by SentencePiece and byte-level BPE.
_SENTENCEPIECE_SPACE, _BYTE_SPACE = "\u2581", "\u0120"


def pieces_of(tokenizer, ids):
    """Return the pieces of the vocabulary with the given ids, as strings."""
    pieces = tokenizer.convert_ids_to_tokens([int(i) for i in ids])
    return ["" if piece is None else str(piece) for piece in pieces]


def correct_markers(tokenizer, texts, flat, ptr):
    """Correct the spans of word-start markers, in place, and find spaces that spans leave out.

    A marker that the tokenizer puts in front of a word, where the text has no space, covers no
    character, although tokenizers assign it the first character of the word. In contrast, a marker
    that stands for a space of the text does cover it, although RoBERTa's tokenizer leaves spaces
    out of its spans.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase

    texts : list of str

    flat : dict of ndarray
        The tokens of all texts, one after the other.

    ptr : ndarray of shape (n_texts + 1,)
        Text i has the tokens ``ptr[i]:ptr[i + 1]``.

    Returns
    -------
    has_space : ndarray of bool of shape (n_tokens,)
        The tokens that stand for spaces before their span.
    """
    distinct, inverse = np.unique(flat["ids"], return_inverse=True)
    pieces = pieces_of(tokenizer, distinct)
    is_text = flat["role"] == TEXT
    markers = _SENTENCEPIECE_SPACE + _BYTE_SPACE
    lone = np.array([bool(piece) and not piece.strip(markers) for piece in pieces], dtype=bool)
    _empty_glued_markers(flat, ptr, is_text & lone[inverse])
    spaces = np.array([len(piece) - len(piece.lstrip(_BYTE_SPACE)) for piece in pieces], np.int64)
    return _find_spaces(texts, flat, ptr, np.where(is_text, spaces[inverse], 0))


def _empty_glued_markers(flat, ptr, is_lone):
    """Empty the span of each lone marker that has no character but the first of the next token.

    Several tokens may be made of one character that is written as several words; a marker among
    them stands for the space between.
    """
    start, end, role = flat["start"], flat["end"], flat["role"]
    follows = np.ones(len(start), dtype=bool)  # another token of the same text
    follows[ptr[:-1][ptr[:-1] < len(start)]] = False
    follows &= (role == TEXT) & np.append(False, role[:-1] == TEXT)
    shares_next = np.append(follows[1:] & (start[1:] < end[:-1]), False)
    shares_last = follows & (np.append(0, end[:-1]) > start)
    glued = is_lone & shares_next & ~shares_last
    end[glued] = start[glued]


def _find_spaces(texts, flat, ptr, n_spaces):
    """Find the tokens that spell spaces in front of their span, which no other token covers."""
    start, end = flat["start"], flat["end"]
    has_space = np.zeros(len(start), dtype=bool)
    tokens = np.flatnonzero(n_spaces)
    if len(tokens) == 0:
        return has_space
    n_spaces = n_spaces[tokens]
    # A line break before each text, so that no comparison reaches into another text.
    line = "\n".join(["", *texts, ""]).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(line, dtype=np.uint32)
    text = np.searchsorted(ptr, tokens, side="right") - 1
    first = start[tokens] + pointers([len(text) + 1 for text in texts])[text] + 1
    # A token that covers its space, or spells the marker itself, lacks nothing.
    covers = np.isin(codes[first], (ord(" "), ord(_BYTE_SPACE))) & (start[tokens] < end[tokens])
    before = np.where((tokens > ptr[text]) & (flat["role"][tokens - 1] == TEXT), end[tokens - 1], 0)
    lacks = ~covers & (start[tokens] - before >= n_spaces)
    for step in range(1, int(n_spaces.max()) + 1):
        lacks &= (step > n_spaces) | (codes[np.maximum(first - step, 0)] == ord(" "))
    has_space[tokens[lacks]] = True
    return has_space
