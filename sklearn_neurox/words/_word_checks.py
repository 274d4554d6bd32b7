# SPDX-License-Identifier: BSD-3-Clause
"""Checks of words and their labels, whose errors name the sentence and the row."""

from itertools import chain

import numpy as np
import pandas as pd

from sklearn_neurox.utils._exact_integers import exact_series
from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._half_characters import HALF_CHARACTER
from sklearn_neurox.words._layout import first_rows, string_dtype

# Other white space may be a word, such as the ideographic space.
_SPACE = " \t\n\r"


def check_words(flat, lengths, ids):
    """Raise an error that names the first invalid word and its sentence."""
    row = next((i for i, word in enumerate(flat) if not isinstance(word, str) or not word), None)
    if row is None:
        _check_encodable(flat, lengths, ids)
        return
    word = flat[row]
    if isinstance(word, str):
        what = "is empty, so it has no span in the text"
    elif pd.api.types.is_scalar(word) and pd.isna(word):
        raise ValueError(
            f"The word at {_place(row, lengths, ids)} is missing ({word!r}). pandas reads words "
            'such as "NA", "null" and "None" in a CSV file as missing; to prevent this, use '
            "pd.read_csv(file, keep_default_na=False, na_values=['']). If there is no word, remove "
            "the row and its label."
        )
    else:
        what = f"is {word!r} of type {type(word).__name__}, not a string"
    raise ValueError(
        f"The word at {_place(row, lengths, ids)} {what}. Every word must be a string of at least "
        "one character. Replace it, or remove it from the words and from their labels."
    )


def warn_about_space(words, gaps, lengths, ids):
    """Warn about words whose own space adds to the one that separates them from another word."""
    odd = [i for i, word in enumerate(words) if word != word.strip(_SPACE)]
    if not odd:
        return
    first = set(first_rows(lengths).tolist()) | {len(words)}
    doubled = [
        i
        for i in odd
        if (i not in first and _is_space(gaps[i - 1]) and _is_space(words[i][0]))
        or (i + 1 not in first and _is_space(gaps[i]) and _is_space(words[i][-1]))
    ]
    if not doubled:
        return
    row = doubled[0]
    warn_user(
        f"{len(doubled)} of {len(words)} words begin or end with a space, such as {words[row]!r} "
        f"at {_place(row, lengths, ids)}, so the text that the model reads has two spaces there. "
        "If the spaces are not part of the words, strip them first, for example with "
        "frame['word'].str.strip()."
    )


def flat_labels(name, values, lengths, ids):
    """Return the labels of all words, one after the other, as a Series."""
    values = list(values)
    if len(values) != len(lengths):
        raise ValueError(
            f"There are labels {name!r} for {len(values)} sentences, but words for {len(lengths)}."
        )
    for i, (sentence, n_words) in enumerate(zip(values, lengths.tolist(), strict=True)):
        if not is_list(sentence):
            raise TypeError(
                f"The labels {name!r} of {name_sentence(i, ids)} are {sentence!r}, not a list with "
                "one label per word."
            )
        if len(sentence) != n_words:
            raise ValueError(
                f"There are {n_words} words in {name_sentence(i, ids)}, but {len(sentence)} labels "
                f"{name!r}."
            )
    labels = list(chain.from_iterable(values))
    flat = exact_series(labels)
    # A column that is all None would change its dtype when written to a file and read back.
    return flat.astype(string_dtype()) if flat.dtype == object and flat.isna().all() else flat


def is_list(sentence):
    """Return whether a value is a list of words or labels: sized, ordered and not a string."""
    unordered = str | bytes | set | frozenset
    # Iterating over a table or a mapping yields the names of its columns.
    by_name = hasattr(sentence, "keys") or hasattr(type(sentence), "columns")
    return hasattr(sentence, "__len__") and not isinstance(sentence, unordered) and not by_name


def name_sentence(i, ids):
    """Return the number of a sentence, and its id if that differs, for messages."""
    name = ids.iloc[[i]].tolist()[0]
    return f"sentence {i}" if name == i else f"sentence {i} (sentence_id {name!r})"


def no_words(i, ids):
    """Return the message about a sentence without words."""
    return f"There are no words in {name_sentence(i, ids)}, so it would have no row. Remove it."


def _is_space(characters):
    return bool(characters) and not characters.strip(_SPACE)


def _check_encodable(flat, lengths, ids):
    try:
        "".join(flat).encode()
    except UnicodeEncodeError as error:
        row = int(np.searchsorted(np.cumsum([len(word) for word in flat]), error.start, "right"))
        raise ValueError(
            f"The word at {_place(row, lengths, ids)} is {flat[row]!r}, which contains "
            f"{HALF_CHARACTER}"
        ) from None


def _place(row, lengths, ids):
    first = first_rows(lengths)
    i = int(np.searchsorted(first, row, "right")) - 1
    return f"position {row - first[i]} of {name_sentence(i, ids)} (row {row})"
