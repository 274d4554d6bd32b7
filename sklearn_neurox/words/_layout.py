# SPDX-License-Identifier: BSD-3-Clause
"""The spans of words in their texts, and the frame that holds them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from sklearn_neurox.utils._labels import check_one_type
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._unique_in_order import unique_in_order

OWN_COLUMNS = ("text", "start", "end", "word", "position", "sentence_id")


def string_dtype():
    """Return the dtype of strings in the installed pandas: ``str`` since 3.0, ``object`` before.

    pandas' readers of CSV and Parquet return it too, whether or not pyarrow is installed.
    """
    return pd.Series([""]).dtype


def check_column_names(names: Iterable) -> None:
    """Raise an error for annotation names that are not strings, are repeated, or are reserved."""
    seen = set()
    for name in names:
        if not isinstance(name, str):
            raise ValueError(
                f"The annotation name {name!r} is not a string. Parquet and scikit-learn require "
                "column names to be strings. Rename it."
            )
        if name in OWN_COLUMNS:
            raise ValueError(
                f"An annotation is called {name!r}, which is one of the columns that every frame "
                f"of words has ({', '.join(OWN_COLUMNS)}). Rename or drop it."
            )
        if name in seen:
            raise ValueError(f"There are two annotations called {name!r}. Rename or drop one.")
        seen.add(name)


def sentence_runs(column: pd.Series) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Return the id, first row and length of each run of rows with the same sentence id."""
    values = column.to_numpy()
    first = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return column.iloc[first].reset_index(drop=True), first, np.diff(np.append(first, len(values)))


def first_rows(lengths: np.ndarray) -> np.ndarray:
    """Return the row at which each sentence begins."""
    return pointers(lengths)[:-1]


def join_words(
    words: Sequence[str], gaps: Sequence[str], lengths: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Join the words of each sentence and return their spans.

    Parameters
    ----------
    words : sequence of str
        The words of all sentences, one after the other.

    gaps : sequence of str
        The separator after each word; ignored after the last word of a sentence.

    lengths : ndarray of shape (n_sentences,)
        The number of words in each sentence, at least one.

    Returns
    -------
    texts : list of str, of length n_sentences

    start, end : ndarray of shape (n_words,), dtype=int64
    """
    n_words = len(words)
    sizes = np.fromiter(map(len, words), dtype=np.int64, count=n_words)
    after = np.fromiter(map(len, gaps), dtype=np.int64, count=n_words)
    stop = np.cumsum(sizes + after) - after
    begin = stop - sizes
    # Adding each gap to its word would make as many new strings.
    pieces = [""] * (2 * n_words)
    pieces[::2], pieces[1::2] = words, gaps
    everything = "".join(pieces)
    first = first_rows(lengths)
    bounds = zip(begin[first].tolist(), stop[first + lengths - 1].tolist(), strict=True)
    texts = [everything[left:right] for left, right in bounds]
    shift = np.repeat(begin[first], lengths)
    return texts, begin - shift, stop - shift


def assemble_frame(
    texts: Sequence[str],
    start: np.ndarray,
    end: np.ndarray,
    *,
    lengths: np.ndarray,
    words: Sequence[str],
    sentence_ids: pd.Series,
    annotations: Mapping[str, pd.Series],
) -> pd.DataFrame:
    """Build the frame from a text and id per sentence, and a span, word and annotations per row."""
    check_column_names(annotations)
    for name, column in annotations.items():
        check_one_type(column, f"The annotation {name!r}", "str()")
    distinct, text_codes = unique_in_order(texts)
    categories = pd.Index(distinct, dtype=string_dtype())
    of_row = np.repeat(np.arange(len(texts)), lengths)
    return pd.DataFrame(
        {
            "text": pd.Categorical.from_codes(text_codes[of_row], categories=categories),
            "start": start.astype(np.int64),
            "end": end.astype(np.int64),
            "word": pd.Series(words, dtype=string_dtype()),
            "position": np.arange(len(words), dtype=np.int64) - first_rows(lengths)[of_row],
            "sentence_id": sentence_ids.take(of_row).array,
            **{name: column.array for name, column in annotations.items()},
        }
    )
