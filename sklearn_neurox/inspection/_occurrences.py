# SPDX-License-Identifier: BSD-3-Clause
"""The words and the spans of rows, which may be words, whole texts or pairs of words."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._word_columns import word_forms

# Letters and digits, also around an apostrophe or a hyphen.
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


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
        codes, types = pd.factorize(forms if case_sensitive else forms.str.lower())
        return Occurrences(np.arange(len(forms)), codes, np.asarray(types, dtype=object))
    rows, forms = _split(words, caller)
    codes, types = pd.factorize(forms if case_sensitive else forms.str.lower())
    pairs = pd.DataFrame({"row": rows, "code": codes}).drop_duplicates()
    return Occurrences(*pairs.to_numpy().T, np.asarray(types, dtype=object))


def _pair_occurrences(words, caller, case_sensitive):
    sides = [
        pd.factorize(forms if case_sensitive else forms.str.lower())
        for forms in (_forms_of_side(words, prefix, caller) for prefix in ("", "other_"))
    ]
    (first, first_types), (other, other_types) = sides
    codes, keys = pd.factorize(first * len(other_types) + other)
    first, other = np.divmod(keys, len(other_types))
    types = [f"{a} → {b}" for a, b in zip(first_types[first], other_types[other], strict=True)]
    return Occurrences(np.arange(len(codes)), codes, np.array(types, dtype=object))


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
    spans = zip(pairs["text"], pairs[start].astype(int), pairs[end].astype(int), strict=True)
    return pd.Series([str(text)[low:high] for text, low, high in spans], dtype=object)


def read_spans(words, *, caller):
    """Return the starts and ends of the rows of a frame; those of a whole text are 0 and length."""
    whole = whole_texts(words, caller=caller)
    lengths = np.array([len(str(text)) for text in words["text"]], dtype=np.intp)
    if whole.all():
        return np.zeros_like(lengths), lengths
    words = read_frame(words, ["start", "end"], caller=caller)
    return tuple(
        words[name].where(~whole, other).to_numpy(dtype=np.intp)
        for name, other in (("start", 0), ("end", lengths))
    )


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
    missing = np.flatnonzero(words["text"].isna())
    if len(missing):
        raise ValueError(f"The text of row {missing[0]} of the words given to {caller} is missing.")
    whole = whole_texts(words, caller=caller)
    starts, ends = read_spans(words, caller=caller)
    texts = [str(text) for text in words["text"]]
    spans = [text[a:b] for text, a, b in zip(texts, starts, ends, strict=True)]
    own = words["word"].to_numpy(dtype=object) if "word" in words else spans
    own = pd.Series(own, dtype=object)
    word_forms(own[~whole], caller=caller)  # raises an error if a word is missing
    found = [_WORD.findall(text) if whole[row] else [own[row]] for row, text in enumerate(texts)]
    rows = np.repeat(np.arange(len(found)), [len(words) for words in found])
    return rows, pd.Series([word for words in found for word in words], dtype=object)
