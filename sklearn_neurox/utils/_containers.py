# SPDX-License-Identifier: BSD-3-Clause
"""Tables and columns of other libraries, converted to pandas."""

from collections.abc import Iterable, Mapping

import pandas as pd
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_neurox.utils._optional import require

_KINDS = (
    "a DataFrame of pandas or polars, an Arrow table, a Hugging Face Dataset or a list of dicts"
)


def to_pandas(rows):
    """Convert a table or column of another library to pandas, and return anything else unchanged.

    This converts what has a method ``to_pandas`` (polars, Arrow, Hugging Face datasets, cuDF,
    narwhals), what exports the Arrow PyCapsule stream (DuckDB), and lists of dicts.
    """
    if isinstance(rows, pd.DataFrame | pd.Series | pd.Index):
        return rows
    if isinstance(rows, list | tuple):
        return pd.DataFrame(list(rows)) if _are_records(rows) else rows
    if callable(getattr(rows, "to_pandas", None)):
        return _converted(rows)
    if hasattr(rows, "__arrow_c_stream__"):
        pyarrow = require("pyarrow", caller=f"Reading a {type(rows).__name__}")
        return pyarrow.table(rows).to_pandas()
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
        return rows.to_pandas()
    except ImportError:
        # The conversion of polars needs pyarrow, which this package does not require.
        if hasattr(rows, "columns"):
            return pd.DataFrame({column: rows[column].to_list() for column in rows.columns})
        return pd.Series(rows.to_list(), name=rows.name)
