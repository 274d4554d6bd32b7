# SPDX-License-Identifier: BSD-3-Clause
"""The words and the spans of rows, some or all of which may be whole texts."""

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


def word_occurrences(words, *, caller, case_sensitive=True):
    """Return the `Occurrences` of words in a list of words or in a frame of words or texts.

    A row with neither word nor span is a whole text. A text contains each of its words once.
    """
    words = to_pandas(words)
    is_frame = isinstance(words, pd.DataFrame)
    if not is_frame or _names_all_words(words):
        forms = word_forms(words, caller=caller)
        codes, types = pd.factorize(forms if case_sensitive else forms.str.lower())
        return Occurrences(np.arange(len(forms)), codes, np.asarray(types, dtype=object))
    rows, forms = _split(words, caller)
    codes, types = pd.factorize(forms if case_sensitive else forms.str.lower())
    pairs = pd.DataFrame({"row": rows, "code": codes}).drop_duplicates()
    return Occurrences(*pairs.to_numpy().T, np.asarray(types, dtype=object))


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
    texts = words["text"].astype(str).tolist()
    spans = [text[a:b] for text, a, b in zip(texts, starts, ends, strict=True)]
    own = pd.Series(spans if "word" not in words else words["word"].to_numpy(dtype=object))
    word_forms(own[~whole], caller=caller)  # raises an error if a word is missing
    found = [_WORD.findall(text) if whole[row] else [own[row]] for row, text in enumerate(texts)]
    rows = np.repeat(np.arange(len(found)), [len(words) for words in found])
    return rows, pd.Series([word for words in found for word in words], dtype=object)
