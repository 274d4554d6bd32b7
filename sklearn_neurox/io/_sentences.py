# SPDX-License-Identifier: BSD-3-Clause
"""Sentences in a frame of words, and how stored sentences are matched with them."""

import numpy as np

from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._layout import sentence_runs


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
