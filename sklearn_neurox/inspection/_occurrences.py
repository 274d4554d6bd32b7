# SPDX-License-Identifier: BSD-3-Clause
"""The words and the spans of rows, which may be words, whole texts or pairs of words."""

import json
import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._word_columns import word_forms

# Letters and digits, also around an apostrophe or a hyphen.
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_ARROW = "→"


class Occurrences(NamedTuple):
    """Which row contains which word; a row that is a whole text contains all of its words."""

    rows: np.ndarray  # (n_occurrences,)
    codes: np.ndarray  # (n_occurrences,), positions in `types`
    types: np.ndarray  # of str


def are_pairs(words):
    """Return whether rows are pairs of spans."""
    return isinstance(words, pd.DataFrame) and {"start", "other_start"} <= set(words.columns)


def word_occurrences(words, *, caller, case_sensitive=True):
    """Return the `Occurrences` of words in a list of words or in a frame of words or texts.

    A row with neither word nor span is a whole text. A text contains each of its words once. The
    word of a row that is a pair is both of its words, joined by an arrow.
    """
    words = to_pandas(words)
    if are_pairs(words):
        return _pair_occurrences(words, caller, case_sensitive)
    is_frame = isinstance(words, pd.DataFrame)
    if not is_frame or _names_all_words(words):
        forms = word_forms(words, caller=caller)
        codes, types = _numbered(forms, caller, case_sensitive)
        return Occurrences(np.arange(len(forms)), codes, np.asarray(types, dtype=object))
    rows, forms = _split(words, caller)
    codes, types = _numbered(forms, caller, case_sensitive)
    pairs = pd.DataFrame({"row": rows, "code": codes}).drop_duplicates()
    return Occurrences(*pairs.to_numpy().T, np.asarray(types, dtype=object))


def _pair_occurrences(words, caller, case_sensitive):
    sides = [
        _numbered(_forms_of_side(words, prefix, caller), caller, case_sensitive)
        for prefix in ("", "other_")
    ]
    (first, first_types), (other, other_types) = sides
    codes, keys = pd.factorize(first * len(other_types) + other)
    first, other = np.divmod(keys, len(other_types))
    types = [_joined(a, b) for a, b in zip(first_types[first], other_types[other], strict=True)]
    return Occurrences(np.arange(len(codes)), codes, np.array(types, dtype=object))


def _joined(first, other):
    """Join the words of a pair, in quotes if one has an arrow, so that no two pairs look alike."""
    words = str(first), str(other)
    if any(_ARROW in word for word in words):
        words = tuple(json.dumps(word, ensure_ascii=False) for word in words)
    return f" {_ARROW} ".join(words)


def _numbered(forms, caller, case_sensitive):
    """Return the number of the type of each word, and the types."""
    are_str = forms.map(lambda form: isinstance(form, str)).to_numpy(dtype=bool)
    if are_str.any() and not are_str.all():
        row = int(np.flatnonzero(~are_str)[0])
        raise TypeError(
            f"Some words given to {caller} are strings and some are not. The first that is not is "
            f"{forms.iloc[row]!r:.60}, of type {type(forms.iloc[row]).__name__}, at row {row}. "
            "Convert all of them to strings."
        )
    lower = not case_sensitive and are_str.any()
    return pd.factorize(forms.str.lower() if lower else forms)


def other_words(pairs, *, caller):
    """Return the other words of pairs, as an array of str."""
    return _forms_of_side(pairs, "other_", caller).to_numpy()


def _forms_of_side(pairs, prefix, caller):
    """Return the first or the other words of pairs: those named, or the characters of the spans."""
    word, start, end = (f"{prefix}{name}" for name in ("word", "start", "end"))
    if word in pairs and pairs[[word]].notna().all(axis=None):
        return word_forms(pairs[word], caller=caller)
    pairs = read_frame(pairs, ["text", start, end], caller=caller)
    lacks = pairs[["text", start, end]].isna().any(axis=1).to_numpy()
    if lacks.any():
        raise ValueError(
            f"Row {int(lacks.argmax())} of the pairs given to {caller} lacks its text, {start!r} "
            f"or {end!r} ({lacks.sum()} such rows). A pair needs both spans."
        )
    texts = read_texts(pairs, caller=caller)
    return pd.Series(spelled(texts, *_places(pairs[[start, end]], texts, caller)), dtype=object)


def read_texts(words, *, caller):
    """Return the text of each row, as a list of str; raise an error if one is missing."""
    missing = words["text"].isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"The text of row {int(missing.argmax())} of the words given to {caller} is missing "
            f"({missing.sum()} such rows)."
        )
    return [str(text) for text in words["text"]]


def spelled(texts, start, end):
    """Return the characters of each span, as a list of str."""
    return [text[low:high] for text, low, high in zip(texts, start, end, strict=True)]


def read_spans(words, *, caller):
    """Return the starts and ends of the rows of a frame; those of a whole text are 0 and length."""
    whole = whole_texts(words, caller=caller)
    texts = read_texts(words, caller=caller)
    if whole.all():
        lengths = np.array([len(text) for text in texts], dtype=np.intp)
        return np.zeros_like(lengths), lengths
    words = read_frame(words, ["start", "end"], caller=caller)
    return _places(words[["start", "end"]], texts, caller, whole)


def _places(spans, texts, caller, whole=False):
    """Return starts and ends as arrays of int; raise an error if a span does not fit its text."""
    lengths = np.array([len(text) for text in texts], dtype=np.intp)
    numbers = spans.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    start, end = np.where(whole, 0, numbers[:, 0]), np.where(whole, lengths, numbers[:, 1])
    # Comparisons with NaN are false.
    fits = (start >= 0) & (start <= end) & (end <= lengths)
    fits &= (start == np.floor(start)) & (end == np.floor(end))
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        low, high = (f"{name}={spans[name].iloc[row]}" for name in spans)
        raise ValueError(
            f"The span of row {row} of the words given to {caller} ({low}, {high}) does not fit "
            f"its text, which has {lengths[row]} characters ({np.count_nonzero(~fits)} such rows). "
            "Text and spans must come from the same frame."
        )
    return start.astype(np.intp), end.astype(np.intp)


def whole_texts(words, *, caller):
    """Return a mask of the rows of a frame that are whole texts: without word, start and end."""
    names = [name for name in ("word", "start", "end") if name in words]
    lacks = words[names].isna().to_numpy()
    whole = lacks.all(axis=1)
    if {"start", "end"} <= set(names):
        half = np.flatnonzero(lacks[:, -2:].any(axis=1) & ~whole)
        if len(half):
            raise ValueError(
                f"Row {half[0]} of the words given to {caller} lacks 'start' or 'end' "
                f"({len(half)} such rows). Words need both, and whole texts have neither these "
                "nor a 'word'."
            )
    return whole


def _names_all_words(words):
    if "word" not in words or not {"text", "start", "end"} <= set(words.columns):
        return "word" in words or "text" not in words
    return bool(words[["word"]].notna().all(axis=None))


def _split(words, caller):
    words = read_frame(words, ["text"], caller=caller)
    whole = whole_texts(words, caller=caller)
    starts, ends = read_spans(words, caller=caller)
    texts = read_texts(words, caller=caller)
    spans = spelled(texts, starts, ends)
    own = words["word"].to_numpy(dtype=object) if "word" in words else spans
    own = pd.Series(own, dtype=object)
    word_forms(own[~whole], caller=caller)  # raises an error if a word is missing
    found = [_WORD.findall(text) if whole[row] else [own[row]] for row, text in enumerate(texts)]
    rows = np.repeat(np.arange(len(found)), [len(words) for words in found])
    return rows, pd.Series([word for words in found for word in words], dtype=object)
