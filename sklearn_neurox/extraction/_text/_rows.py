# SPDX-License-Identifier: BSD-3-Clause
"""Read the extractor's input: the text of each row, and the span within it."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from sklearn_neurox.utils._containers import describe, to_pandas
from sklearn_neurox.utils._unique_in_order import unique_in_order

_READ = ["text", "start", "end", "word", "text_pair", "token_index"]


@dataclass(frozen=True)
class Rows:
    """The rows of a request, with each distinct text stored once, in sorted order.

    Sorting makes everything computed from the texts independent of the order of the rows.
    """

    texts: list  # distinct texts, sorted
    pairs: list | None  # the second text of each, if any
    text_of_row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    whole: bool  # rows are whole texts, including special tokens and blank pieces
    index: pd.Index | None
    token_index: np.ndarray | None = None  # the token that a row names, -1 for none
    are_pairs: bool = False  # the first spans of all pairs, then their other spans

    def __len__(self):
        return len(self.text_of_row)

    def name(self, row):
        """Return the name of a row for messages; of pairs, that of one span of a row."""
        if not self.are_pairs:
            return name_row(self.index, row)
        is_other, row = divmod(row, len(self) // 2)
        return f"the {'other' if is_other else 'first'} span of {name_row(self.index, row)}"

    @property
    def noun(self):
        """What the entries are called in messages."""
        return "spans of pairs" if self.are_pairs else "rows"

    def spelled_by(self, row):
        """Return the characters of a row."""
        return self.texts[self.text_of_row[row]][self.start[row] : self.end[row]]

    def spelled(self):
        """Return the characters of each row, as a list."""
        spans = zip(self.text_of_row.tolist(), self.start.tolist(), self.end.tolist(), strict=True)
        return [self.texts[text][start:end] for text, start, end in spans]

    def are_blank(self):
        """Return whether each row consists of white space."""
        return np.array([not shown.strip() for shown in self.spelled()], dtype=bool)


def name_row(index, row):
    """Return the position of a row, and its index label if that differs, as in filtered frames."""
    if index is None or index[row] == row:
        return f"row {row}"
    label = index[row]
    return f"row {row} (index label {label.item() if isinstance(label, np.generic) else label!r})"


def read_rows(X, *, caller, takes_pairs=False):
    """Validate the input of the extractor.

    Parameters
    ----------
    X : DataFrame, or array-like of str, of shape (n_samples,)
        A frame of words with the columns ``text``, ``start`` and ``end`` (and ``word``, which the
        spans are then checked against; and ``token_index`` for rows that are one token); a frame of
        pairs, with the same columns and those of the other span, such as ``other_start``; a frame
        with only ``text``, and perhaps ``text_pair``, for whole texts; or the texts themselves.

    caller : str
        The calling class, for messages.

    takes_pairs : bool, default=False
        Whether rows may be pairs.

    Returns
    -------
    rows : Rows

    Raises
    ------
    ValueError
        If the input is of another kind, texts are missing, or a span is empty, out of range or
        different from the row's word.
    """
    X = to_pandas(X)
    if not isinstance(X, pd.DataFrame):
        return _read_texts(X, caller)
    if {"other_start", "other_end"} & set(X.columns):
        if not takes_pairs:
            raise ValueError(
                f"{caller} takes words, but the frame has the columns 'other_start' and "
                "'other_end' of pairs. Pass the words that the pairs were made of, or the first "
                "word of each pair: pairs.drop(columns=['other_start', 'other_end'])."
            )
        return _read_pairs(X, caller)
    return _read_frame(X, caller)


def _read_texts(X, caller):
    if isinstance(X, str):
        raise ValueError(f"{caller} takes a list of texts or a frame of words, got one string.")
    if isinstance(X, (list, tuple)) and any(isinstance(item, (list, tuple)) for item in X):
        raise ValueError(
            f"{caller} takes a frame of words or a list of texts, got a list of lists. For "
            "sentences given as lists of words, use words_frame(sentences). For the rows of a "
            "frame, pass the frame itself."
        )
    is_stream = isinstance(X, Iterable) and not hasattr(X, "__len__")
    if isinstance(X, Mapping | Set) or hasattr(X, "collect") or is_stream:
        raise TypeError(f"{caller} takes a frame of words or a list of texts, got {describe(X)}.")
    index = X.index if isinstance(X, pd.Series) else None
    values = np.asarray(X, dtype=object)
    if values.ndim == 2:
        raise ValueError(
            f"{caller} got an ndarray of rows, of shape {values.shape}, whose text it cannot find "
            "without column names. Pass the DataFrame itself. If a meta-estimator turns frames "
            "into arrays (as bagging does), compute the activations first and pass it the matrix."
        )
    if values.ndim != 1 or not all(isinstance(text, str) for text in values):
        # scikit-learn has its own messages for sparse, 0-d, empty and numeric input.
        check_array(X, dtype=None, ensure_2d=False, ensure_all_finite=False, input_name="X")
        bad = next((i for i, text in enumerate(values) if not isinstance(text, str)), 0)
        raise ValueError(
            f"{caller} takes a frame of words or a list of texts, but item {bad} is "
            f"{type(values[bad]).__name__}, not str."
        )
    if len(values) == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape=(0,)): {caller} needs at least one.")
    texts, codes = unique_in_order(values)
    return _whole_rows(*_sort_texts(texts, None, codes), index)


def _read_frame(X, caller):
    if "text" not in X.columns:
        raise ValueError(
            f"{caller} reads the column 'text' (and 'start', 'end' for words), but X has the "
            f"columns {list(X.columns)}. Build the frame with words_frame, read_conllu or "
            "read_parallel, or pass a list of texts."
        )
    if len(X) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required by "
            f"{caller}."
        )
    repeated = X.columns[X.columns.duplicated()].intersection(_READ)
    if len(repeated):
        raise ValueError(
            f"{caller}: X has several columns named {repeated[0]!r}. Rename or drop one."
        )
    spans = [name for name in ("start", "end") if name in X.columns]
    if len(spans) == 1:
        raise ValueError(
            f"{caller}: X has the column {spans[0]!r} but not the other of 'start' and 'end'. "
            "Words need both, and whole texts need neither."
        )
    if not spans and "token_index" in X.columns:
        raise ValueError(
            f"{caller}: X has the column 'token_index', which names a token of each row, but not "
            "'start' and 'end'. Add them, or drop the column to read whole texts."
        )
    text = X["text"]
    if text.isna().any():
        row = int(np.flatnonzero(text.isna())[0])
        raise ValueError(
            f"{caller}: 'text' is missing in {text.isna().sum()} rows; the first is row {row}."
        )
    texts, codes = _distinct(text, "text", caller)
    pairs = None
    if "text_pair" in X.columns:
        codes, texts, pairs = _with_pairs(codes, texts, X["text_pair"], caller)
    texts, pairs, text_of_row = _sort_texts(texts, pairs, codes)
    if not spans:
        return _whole_rows(texts, pairs, text_of_row, X.index)
    start, end = (_positions(X[name], name, caller) for name in ("start", "end"))
    named = None
    if "token_index" in X.columns:
        named = _token_numbers(X["token_index"], caller)
    rows = Rows(texts, pairs, text_of_row, start, end, False, X.index, token_index=named)
    _check_spans(rows, X["word"] if "word" in X.columns else None, caller)
    return rows


def _read_pairs(X, caller):
    """Read both spans of each row."""
    missing = [
        name
        for name in ("text", "start", "end", "other_start", "other_end")
        if name not in X.columns
    ]
    if missing:
        raise ValueError(
            f"{caller}: X has columns of pairs, but no column {missing[0]!r}. Pairs need 'text', "
            "'start', 'end', 'other_start' and 'other_end', as pair_frame makes them."
        )
    repeated = X.columns[X.columns.duplicated()].intersection([f"other_{name}" for name in _READ])
    if len(repeated):
        raise ValueError(
            f"{caller}: X has several columns named {repeated[0]!r}. Rename or drop one."
        )
    columns = {name: X[name] for name in ("text", "text_pair") if name in X.columns}
    for name in ("start", "end", "word", "token_index"):
        if f"other_{name}" in X.columns:
            columns[name] = X[f"other_{name}"]
    first = _read_frame(X, caller)
    other = _read_frame(pd.DataFrame(columns, index=X.index), f"{caller} (of the other span)")
    named = None
    if first.token_index is not None or other.token_index is not None:
        none = np.full(len(X), -1)
        numbers = [none if own.token_index is None else own.token_index for own in (first, other)]
        named = np.concatenate(numbers)
    # Both halves have the same texts, and so the same numbers of them.
    joined = {
        name: np.concatenate([getattr(first, name), getattr(other, name)])
        for name in ("text_of_row", "start", "end")
    }
    return replace(first, **joined, token_index=named, are_pairs=True)


def _distinct(column, name, caller):
    """Return the distinct texts of a column, and the code of each row."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        # A slice of a frame keeps all categories of the frame.
        used, codes = np.unique(column.cat.codes.to_numpy(), return_inverse=True)
        texts = list(column.cat.categories[used])
    else:
        texts, codes = unique_in_order(column.to_numpy(dtype=object))
    for code, value in enumerate(texts):
        if not isinstance(value, str):
            row = int(np.flatnonzero(codes == code)[0])
            raise ValueError(
                f"{caller}: {name!r} must contain strings, but row {row} holds "
                f"{type(value).__name__} ({value!r})."
            )
    return texts, codes


def _with_pairs(codes, texts, pair, caller):
    if pair.isna().any():
        row = int(np.flatnonzero(pair.isna())[0])
        raise ValueError(f"{caller}: 'text_pair' is missing in {name_row(pair.index, row)}.")
    pair_texts, pair_codes = _distinct(pair, "text_pair", caller)
    both = codes.astype(np.int64) * len(pair_texts) + pair_codes
    distinct, codes = np.unique(both, return_inverse=True)
    firsts, seconds = np.divmod(distinct, len(pair_texts))
    return codes, [texts[i] for i in firsts], [pair_texts[i] for i in seconds]


def _sort_texts(texts, pairs, codes):
    """Sort distinct texts and their pairs; also return the number of each row's text."""
    keys = texts if pairs is None else list(zip(texts, pairs, strict=True))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    sorted_pairs = None if pairs is None else [pairs[i] for i in order]
    return [texts[i] for i in order], sorted_pairs, np.argsort(order)[codes]


def _whole_rows(texts, pairs, text_of_row, index):
    length = np.array([len(text) for text in texts], dtype=np.int64)[text_of_row]
    return Rows(texts, pairs, text_of_row, np.zeros_like(length), length, whole=True, index=index)


def _positions(column, name, caller):
    if column.isna().any():
        row = int(np.flatnonzero(column.isna())[0])
        raise ValueError(
            f"{caller}: {name!r} is missing in {column.isna().sum()} rows; the first is "
            f"{name_row(column.index, row)}."
        )
    values = column.to_numpy()
    if values.dtype.kind not in "iu":
        as_float = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        wrong = ~(np.isfinite(as_float) & (as_float == np.floor(as_float)))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"{caller}: {name!r} must contain whole numbers, but {name_row(column.index, row)} "
                f"holds {values[row : row + 1].tolist()[0]!r}."
            )
        values = as_float
    return values.astype(np.int64)


def _token_numbers(column, caller):
    """Read the numbers of the named tokens; -1 stands for a missing one."""
    missing = column.isna().to_numpy()
    numbers = _positions(column.where(~missing, -1), "token_index", caller)
    wrong = np.flatnonzero((numbers < 0) & ~missing)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"{caller}: the 'token_index' of {name_row(column.index, row)} is {numbers[row]}; "
            "tokens are numbered from 0. Leave it missing to own all tokens of the span."
        )
    return numbers


def _check_spans(rows, words, caller):
    length = np.array([len(text) for text in rows.texts], dtype=np.int64)[rows.text_of_row]
    outside = (rows.start < 0) | (rows.end > length) | (rows.start >= rows.end)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"{caller}: the span of {rows.name(row)} (start={rows.start[row]}, "
            f"end={rows.end[row]}) is empty or out of range: its text has {length[row]} "
            f"characters ({outside.sum()} such rows). Text and spans must come from the same frame."
        )
    if words is None:
        return
    found = np.array(rows.spelled(), dtype=object)
    wrong = found != words.to_numpy(dtype=object)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{caller}: the word of {rows.name(row)} is {words.iloc[row]!r}, but "
            f"text[{rows.start[row]}:{rows.end[row]}] is {found[row]!r} ({wrong.sum()} such rows). "
            "Text and spans must come from the same frame."
        )
