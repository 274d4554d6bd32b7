# SPDX-License-Identifier: BSD-3-Clause
"""Checks of two spans per text."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._unique_in_order import unique_in_order

SPANS = {"": ("start", "end"), "other_": ("other_start", "other_end")}


def spelled(texts, start, end):
    """Return the characters of each span, as an array of str."""
    spans = zip(texts, start.tolist(), end.tolist(), strict=True)
    return np.array([text[low:high] for text, low, high in spans], dtype=object)


def check_spans(frame):
    """Return the texts of a frame, and both of its spans; raise an error that names a wrong row.

    Returns
    -------
    texts : list of str

    spans : dict of str to (ndarray, ndarray)
        Start and end by prefix, ``""`` or ``"other_"``.
    """
    texts = frame["text"].astype(object).tolist()
    wrong = next((row for row, text in enumerate(texts) if not isinstance(text, str)), None)
    if wrong is not None:
        raise ValueError(f"The 'text' of row {wrong} is {texts[wrong]!r}, not a string.")
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    spans = {}
    for prefix, names in SPANS.items():
        start, end = (_places(frame[name], name) for name in names)
        outside = (start < 0) | (end > lengths) | (start >= end)
        if outside.any():
            row = int(outside.argmax())
            raise ValueError(
                f"The span of row {row} ({names[0]}={start[row]}, {names[1]}={end[row]}) is empty "
                f"or out of range: its text has {lengths[row]} characters ({outside.sum()} such "
                "rows)."
            )
        if f"{prefix}word" in frame.columns:
            _check_words(frame[f"{prefix}word"], spelled(texts, start, end), names)
        spans[prefix] = start, end
    return texts, spans


def check_pairs(text, first_span, other_span, sentence_id=None):
    """Raise an error if a pair joins a span with itself, or occurs twice.

    ``text`` has the number of each pair's text, and each span is a list of arrays: its starts, its
    ends, and perhaps the numbers of its token.
    """
    same = np.all([a == b for a, b in zip(first_span, other_span, strict=True)], axis=0)
    if same.any():
        raise ValueError(
            f"Pair {int(same.argmax())} joins a span with itself ({same.sum()} such pairs). Leave "
            "such pairs out."
        )
    table = pd.DataFrame(dict(enumerate([text, *first_span, *other_span])))
    if sentence_id is not None:
        table["sentence_id"] = unique_in_order(list(sentence_id))[1]
    again = table.duplicated().to_numpy()
    if again.any():
        row = int(again.argmax())
        before = int((table == table.iloc[row]).all(axis=1).to_numpy().argmax())
        raise ValueError(
            f"Pair {row} has both spans of pair {before} ({again.sum()} such pairs). Keep one of "
            "them, or tell equal texts apart by a column 'sentence_id'."
        )


def _places(column, name):
    number = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(number) | (number != np.floor(number))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"The {name!r} of row {row} is {column.iloc[[row]].tolist()[0]!r}, not a whole number "
            f"({wrong.sum()} such rows)."
        )
    return number.astype(np.int64)


def _check_words(words, found, names):
    wrong = words.to_numpy(dtype=object) != found
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"The {words.name!r} of row {row} is {words.iloc[row]!r}, but the characters from "
            f"{names[0]} to {names[1]} are {found[row]!r} ({wrong.sum()} such rows)."
        )
