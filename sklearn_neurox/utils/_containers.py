# SPDX-License-Identifier: BSD-3-Clause
"""Tables and columns of other libraries, converted to pandas."""

from collections.abc import Iterable, Mapping

import pandas as pd
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_neurox.utils._exact_integers import exact_series, has_large
from sklearn_neurox.utils._optional import require

_KINDS = (
    "a DataFrame of pandas or polars, an Arrow table, a Hugging Face Dataset or a list of dicts"
)


def to_pandas(rows):
    """Convert a table or column of another library to pandas, and return anything else unchanged.

    This converts what has a method ``to_pandas`` (polars, Arrow, Hugging Face datasets, cuDF,
    narwhals), what exports the Arrow PyCapsule stream (DuckDB), and lists of dicts. Large integers
    beside missing values stay exact.
    """
    if isinstance(rows, pd.DataFrame | pd.Series | pd.Index):
        return rows
    if isinstance(rows, list | tuple):
        if not _are_records(rows):
            return rows
        return _with_exact_integers(
            pd.DataFrame(list(rows)), lambda name: [row.get(name) for row in rows]
        )
    if callable(getattr(rows, "to_pandas", None)):
        return _converted(rows)
    if hasattr(rows, "__arrow_c_stream__"):
        pyarrow = require("pyarrow", caller=f"Reading a {type(rows).__name__}")
        return _converted(pyarrow.table(rows))
    return rows


_WORDS = "words_frame, read_conllu or read_parallel"
# The functions that make a frame with a column.
_MAKERS = {
    **dict.fromkeys(["text", "start", "end", "word", "position", "sentence_id"], _WORDS),
    **dict.fromkeys(["other_start", "other_end", "other_word", "is_arc"], "pair_frame"),
}


def read_frame(rows, columns=(), *, caller, name="words"):
    """Convert a table to a DataFrame, and check that it has some columns, each only once.

    Parameters
    ----------
    rows : DataFrame or table of another library
        See `to_pandas`.

    columns : iterable of str, default=()
        The columns that `caller` reads.

    caller : str
        The public function, for messages.

    name : str, default="words"
        The parameter of `caller`, for messages.

    Raises
    ------
    InvalidParameterError
        If `rows` is not a table; both a TypeError and a ValueError, as for other parameters.

    ValueError
        If a column is missing or occurs more than once.
    """
    frame = to_pandas(rows)
    if not isinstance(frame, pd.DataFrame):
        hint = " A table of whole texts is pd.DataFrame({'text': texts})." * ("text" in columns)
        raise InvalidParameterError(
            f"The {name!r} parameter of {caller} must be {_KINDS}, got {describe(rows)}.{hint}"
        )
    present = list(frame.columns)
    missing = [column for column in columns if column not in present]
    if missing:
        what = "frame of words" if name == "words" else f"{name!r} parameter"
        remedy = "Check the spelling, or add the column."
        if missing[0] in _MAKERS:
            remedy = f"Make the frame with {_MAKERS[missing[0]]}."
        raise ValueError(
            f"{caller} reads the column {missing[0]!r} of the {what}, which has only the columns "
            f"{present}. {remedy}"
        )
    check_unique_columns(frame, caller=caller, name=name)
    return frame


def check_unique_columns(frame, *, caller, name="words"):
    """Raise an error that names the first column name that occurs more than once."""
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise ValueError(
            f"The {name!r} parameter of {caller} has {(frame.columns == repeated[0]).sum()} "
            f"columns called {repeated[0]!r}. Rename or drop one."
        )


def describe(rows):
    """Describe what is not a table for an error message, with the way to get one if it is known."""
    what = "None" if rows is None else f"an object of type {type(rows).__name__}"
    if isinstance(rows, Mapping):
        if rows and all(isinstance(to_pandas(value), pd.DataFrame) for value in rows.values()):
            return f"{what} of several tables. Pass one of them, such as [{next(iter(rows))!r}]"
        return f"{what}. For a dict of columns, pass pandas.DataFrame(...) of it"
    if isinstance(rows, list | tuple) and rows and isinstance(rows[0], list | tuple):
        return f"{what}. Turn sentences into a frame with words_frame(sentences)"
    if hasattr(rows, "collect"):
        return f"{what}, which is not computed yet. Pass the result of its method collect()"
    if hasattr(rows, "compute"):
        return f"{what}, which is not computed yet. Pass the result of its method compute()"
    if isinstance(rows, Iterable) and not hasattr(rows, "__len__"):
        return f"{what}, which has no length. Pass list(...) of it"
    return what


def _are_records(rows):
    # The first item decides for nearly all lists, which may be long.
    return bool(rows) and isinstance(rows[0], Mapping) and all(isinstance(r, Mapping) for r in rows)


def _converted(rows):
    try:
        converted = rows.to_pandas()
    except ImportError:
        # The conversion of polars needs pyarrow, which this package does not require.
        if hasattr(rows, "columns"):
            columns = {column: exact_series(rows[column].to_list()) for column in rows.columns}
            return pd.DataFrame(columns)
        return exact_series(rows.to_list()).rename(rows.name)
    if isinstance(converted, pd.DataFrame):
        return _with_exact_integers(converted, lambda name: _as_list(rows[name]))
    if isinstance(converted, pd.Series) and has_large(converted):
        exact = exact_series(_as_list(rows))
        return exact.set_axis(converted.index).rename(converted.name)
    return converted


def _with_exact_integers(frame, values_of):
    """Restore integers that the conversion to pandas has rounded, because others are missing."""
    if not frame.columns.is_unique:  # the caller refuses such a table
        return frame
    rounded = [name for name in frame.columns if has_large(frame[name])]
    if rounded:
        frame = frame.copy(deep=False)  # it may belong to the caller's table
    for name in rounded:
        frame[name] = exact_series(values_of(name)).array
    return frame


def _as_list(column):
    """Return the values of a column of another library as Python objects."""
    for method in ("to_pylist", "to_arrow", "to_list"):
        if hasattr(column, method):
            values = getattr(column, method)()
            return _as_list(values) if method == "to_arrow" else values
    return list(column)
