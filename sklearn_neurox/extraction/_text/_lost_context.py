# SPDX-License-Identifier: BSD-3-Clause
"""A warning about words that were passed without the texts in which they occur."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._unique_in_order import unique_in_order
from sklearn_neurox.utils._warn_user import warn_user

_MIN_ROWS = 10
_NEARLY_ALL = 0.9
# So many equal texts in a row are the words of a sentence, not texts that happen to be equal.
_MIN_RUN = 4
# First letters of blocks whose scripts are written without spaces: Thai, Lao, Tibetan, Burmese,
# Khmer, kana and Han characters.
_UNSPACED = (("\u0e00", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u9fff"))


def report_lost_context(rows, X, y):
    """Warn, in ``fit``, if rows that are read as whole texts look like the words of sentences.

    Parameters
    ----------
    rows : Rows
        Read from X.

    X : DataFrame or array-like
        The user's input, whose name is a hint.

    y : array-like of shape (n_samples,) or None
        The labels, if they are known.
    """
    if _may_be_words(rows) and not report_single_words(rows, X):
        _warn(_equal_texts(rows, y))


def report_single_words(rows, X):
    """Warn if nearly all rows are single words, and return whether that is so."""
    return _may_be_words(rows) and _warn(_single_words(rows, X))


def report_texts_for_words(rows):
    """Warn about whole texts where the rows of ``fit`` were words."""
    warn_user(
        f"ActivationExtractor was fitted on words, but reads {len(rows)} rows as whole texts, "
        "because they have no columns 'start' and 'end'. A probe that follows therefore predicts "
        "one label for each text. For the words of new sentences, pass words_frame(sentences), "
        "where each sentence is a list of words; for every token of a text, use score_tokens."
    )


def _may_be_words(rows):
    return rows.whole and rows.pairs is None and len(rows) >= _MIN_ROWS


def _warn(what):
    if what is None:
        return False
    warn_user(
        f"ActivationExtractor reads the rows as whole texts, {what}. If the rows are words of "
        "sentences, pass the frame of words with its columns 'text', 'start' and 'end', not a "
        "single column of it. If you do mean whole texts, ignore this warning."
    )
    return True


def _single_words(rows, X):
    is_word = np.array([_is_word(text) for text in rows.texts])[rows.text_of_row]
    # Words of sentences recur, unlike entries of a word list.
    recur = len(rows.texts) < len(rows) or getattr(X, "name", None) == "word"
    if is_word.mean() < _NEARLY_ALL or not recur:
        return None
    row = int(is_word.argmax())
    return (
        f"but {is_word.sum()} of {len(rows)} are single words (the first is {rows.name(row)}, "
        f"{rows.texts[rows.text_of_row[row]]!r}), which the model then reads without any context"
    )


def _is_word(text):
    text = text.strip()
    if not text or len(text.split()) > 1:
        return False
    return not any(first <= letter <= last for letter in text for first, last in _UNSPACED)


def _equal_texts(rows, y):
    if y is None or len(y := np.asarray(to_pandas(y), dtype=object)) != len(rows) or y.ndim != 1:
        n_runs = 1 + np.count_nonzero(np.diff(rows.text_of_row))
        if len(rows) < _MIN_RUN * n_runs:
            return None
        return (
            f"but {len(rows)} rows hold only {n_runs} different texts one after the other, and "
            "rows with equal texts get equal activations"
        )
    _, labels = unique_in_order(y.tolist())
    pairs = pd.DataFrame({"text": rows.text_of_row, "label": labels})
    differs = pairs.groupby("text")["label"].transform("nunique").to_numpy() > 1
    if 2 * differs.sum() <= len(rows):
        return None
    row = int(differs.argmax())
    same = rows.text_of_row == rows.text_of_row[row]
    other = int((same & (labels != labels[row])).argmax())
    return (
        f"but {differs.sum()} of {len(rows)} rows have the text of another row with a different "
        f"label (the first are {rows.name(row)} with {y[row]!r} and {rows.name(other)} with "
        f"{y[other]!r}), and rows with equal texts get equal activations"
    )
