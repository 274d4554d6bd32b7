# SPDX-License-Identifier: BSD-3-Clause
"""Sentences in a frame of words, and how stored sentences are matched with them."""

import re
from itertools import chain

import numpy as np
import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._layout import first_rows, sentence_runs

# What tokenizers write between and around the pieces of a word.
_MARKS = re.compile("##|@@|</w>|[\u2581\u0120]")


def sentence_lengths(words):
    """Return the ids of the sentences in a frame of words and their numbers of words.

    Raise a ValueError if there are no rows, or the rows of a sentence are not contiguous.
    """
    if words.empty:
        raise ValueError("The frame of words has no rows.")
    ids, first, lengths = sentence_runs(words["sentence_id"])
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(
            f"Sentence {ids.tolist()[again]!r} continues at row {first[again]}, after another "
            "sentence, but NeuroX files hold whole sentences. To read one, pass the words in the "
            "order in which they were extracted. To write one, sort the words and the rows of H "
            "alike: order = words.reset_index(drop=True).sort_values(['sentence_id', 'position'])"
            ".index, then words.iloc[order] and H[order] (H.iloc[order] for a DataFrame)."
        )
    return ids.tolist(), lengths


def match_sentences(words, stored, source, *, mismatched):
    """Match the sentences of a frame with stored ones by their numbers of words.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns)

    stored : ndarray of shape (n_sentences,)
        The number of words in each stored sentence.

    source : str
        The file, for messages.

    mismatched : {"error", "drop"}
        What to do with sentences whose numbers of words differ.

    Returns
    -------
    keep : ndarray of shape (n_kept,)
        The sentences that match.

    words : DataFrame
        The rows of these sentences.
    """
    ids, lengths = sentence_lengths(words)
    if len(ids) != len(stored):
        raise ValueError(
            f"{source} holds {len(stored)} sentences, but the frame of words has {len(ids)}. Pass "
            "the words of exactly the sentences that were extracted, in the same order."
        )
    wrong = np.flatnonzero(lengths != stored)
    if len(wrong) == 0:
        return np.arange(len(ids)), words
    i = int(wrong[0])
    what = (
        f"{source}: {len(wrong)} of {len(ids)} sentences have a different number of words than in "
        f"the frame; the first is sentence {i} (sentence_id {ids[i]!r}) with {stored[i]} stored "
        f"words and {lengths[i]} rows"
    )
    if mismatched == "error":
        raise ValueError(
            f"{what}. NeuroX truncates sentences that are too long for the model. Extract them "
            "again, or drop them with mismatched='drop'."
        )
    if len(wrong) == len(ids):
        raise ValueError(f"{what}. No sentence is left: these are not the words of this file.")
    warn_user(f"{what}. They are dropped.")
    matches = lengths == stored
    return np.flatnonzero(matches), words[np.repeat(matches, lengths)]


def check_spelling(words, stored_words, source):
    """Warn if words are spelled differently in the file, as those of another order are.

    Only words of ASCII letters and digits are compared, without case: tokenizers change others.
    """
    differs = [
        (row, stored)
        for row, (word, stored) in enumerate(
            zip(words["word"].tolist(), chain.from_iterable(stored_words), strict=True)
        )
        if _plain(word) != _plain(stored) and _plain(word) and _plain(stored)
    ]
    if differs:
        row, stored = differs[0]
        warn_user(
            f"{source}: {len(differs)} of {len(words)} words are spelled differently in the file; "
            f"the first is row {row}, {words['word'].iloc[row]!r}, for which the file has "
            f"{stored!r}. Rows and activations are paired by position, so the words must be those "
            "that were extracted, in the same order. If you changed their spelling, ignore this."
        )


def check_positions(words, source):
    """Raise an error if the rows of a sentence are not in the order of their positions."""
    if "position" not in words.columns:
        return
    _, lengths = sentence_lengths(words)
    position = pd.to_numeric(words["position"], errors="coerce").to_numpy(np.float64, na_value=0)
    wrong = np.diff(position, prepend=0) != 1
    wrong[first_rows(lengths)] = False
    if wrong.any():
        row = int(wrong.argmax())
        i = int(np.searchsorted(first_rows(lengths), row, "right")) - 1
        raise ValueError(
            f"{source} stores no words, and the rows of sentence {i} in the frame are not in the "
            f"order of their positions: row {row} has position {position[row]:g}, the row before "
            f"it {position[row - 1]:g}. Rows and activations are paired in order, so pass the "
            "words as they were extracted. If 'position' is something else, rename or drop it."
        )


def _plain(word):
    """Return a word of ASCII letters and digits in lower case, and nothing for any other."""
    word = _MARKS.sub("", word) if isinstance(word, str) else ""
    return word.lower() if word.isascii() and word.isalnum() else ""
