# SPDX-License-Identifier: BSD-3-Clause
"""Sentences of a frame of words, and how activations by sentence are matched with them."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user


def sentence_lengths(words):
    """Count the words of every sentence of a frame of words.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns)
        With the column ``sentence_id``.

    Returns
    -------
    ids : list of length n_sentences

    lengths : ndarray of shape (n_sentences,)

    Raises
    ------
    TypeError
        If the words are no frame.

    ValueError
        If the columns are missing, or the rows of a sentence do not stand together.
    """
    if not isinstance(words, pd.DataFrame):
        raise TypeError(
            f"The words must be a frame of words, got a {type(words).__name__}. Lay sentences that "
            "are lists of words out with words_frame(sentences)."
        )
    lacking = [name for name in ("sentence_id", "word") if name not in words.columns]
    if lacking:
        raise ValueError(
            f"The frame of words has no column {lacking[0]!r}; make it with words_frame, "
            "read_conllu or read_parallel."
        )
    if words.empty:
        raise ValueError("The frame of words has no rows.")
    values = words["sentence_id"].to_numpy()
    first = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    ids = words["sentence_id"].iloc[first]
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(
            f"Sentence {ids.tolist()[again]!r} comes again at row {first[again]}, after another "
            "one: NeuroX's files hold whole sentences. Put the rows in order, for example with "
            "sort_values(['sentence_id', 'position'], kind='stable')."
        )
    return ids.tolist(), np.diff(np.append(first, len(words)))


def match_sentences(words, stored, source, *, mismatched):
    """Find the stored sentences that have as many words as the frame says.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns)
        The frame of words.

    stored : ndarray of shape (n_sentences,)
        How many words each stored sentence has.

    source : str
        The file, for messages.

    mismatched : {"error", "drop"}
        What becomes of sentences with another number of words.

    Returns
    -------
    keep : ndarray of shape (n_kept,)
        The sentences that match.

    words : DataFrame
        Their rows.

    Raises
    ------
    ValueError
        For another number of sentences, and for mismatches unless they are dropped.
    """
    ids, lengths = sentence_lengths(words)
    if len(ids) != len(stored):
        raise ValueError(
            f"{source} holds {len(stored)} sentences, but the frame of words has {len(ids)}. Give "
            "the words of the very sentences that were extracted, in that order."
        )
    wrong = np.flatnonzero(lengths != stored)
    if len(wrong) == 0:
        return np.arange(len(ids)), words
    i = int(wrong[0])
    what = (
        f"{source}: {len(wrong)} of {len(ids)} sentences have another number of words than the "
        f"frame; the first is sentence {i} (sentence_id {ids[i]!r}) with {stored[i]} stored words "
        f"and {lengths[i]} rows"
    )
    if mismatched == "error":
        raise ValueError(
            f"{what}. NeuroX stores less where a sentence was longer than the model takes. Extract "
            "them again, or leave them out with mismatched='drop'."
        )
    if len(wrong) == len(ids):
        raise ValueError(f"{what}. No sentence is left: these are not the words of this file.")
    warn_user(f"{what}. They are left out.")
    matches = lengths == stored
    return np.flatnonzero(matches), words[np.repeat(matches, lengths)]
