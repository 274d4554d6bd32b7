# SPDX-License-Identifier: BSD-3-Clause
import re
from collections.abc import Callable, Collection, Hashable, Mapping

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._exact_integers import exact_series
from sklearn_neurox.utils._labels import is_hashable
from sklearn_neurox.words._half_characters import refuse_half_characters
from sklearn_neurox.words._layout import check_column_names, string_dtype


@validate_params(
    {
        "words": "no_validation",  # may be a table of any library
        "name": [str],
        "on": [str, None],
        "match": [StrOptions({"fullmatch", "search"})],
        "case_sensitive": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
@refuse_half_characters
def annotate(
    words: pd.DataFrame,
    by: Collection[str] | str | re.Pattern | Callable,
    *,
    name: str = "label",
    on: str | None = "word",
    match: str = "fullmatch",
    case_sensitive: bool = True,
    positive: Hashable = "positive",
    negative: Hashable = "negative",
) -> pd.DataFrame:
    r"""Label each word as one of two classes, by a set, a pattern or a function.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns)
        One row per word, as returned by `words_frame` or `read_conllu`; it is not modified. A table
        of another library (see `words_frame`) becomes a DataFrame.

    by : collection of str, str, re.Pattern or callable
        What makes a word positive:

        - a set or list of words: the word is one of them;
        - a regular expression, as a str or compiled: the word matches it, see `match`;
        - a function that takes a word and returns a bool: it returns True. It is called once per
          *distinct* word, or per row for values that cannot be hashed, such as lists. With
          ``on=None``, it takes a row, as a Series.

    name : str, default="label"
        The name of the new column.

    on : str or None, default="word"
        The column to test, which may also be an annotation such as ``"upos"``. None passes whole
        rows to a function.

    match : {"fullmatch", "search"}, default="fullmatch"
        Whether a regular expression must match the whole word or any part of it.

    case_sensitive : bool, default=True
        Whether upper and lower case differ. If False, the words of a set are compared by
        ``str.casefold``, and a regular expression gets the flag ``re.IGNORECASE``. A function
        always receives the word unchanged, so it cannot be combined with False.

    positive, negative : hashable, default="positive", "negative"
        The labels, which must differ. Either both are strings, or neither.

    Returns
    -------
    annotated : DataFrame of shape (n_words, n_columns + 1)
        The words, in the same order and with the same index, and with the new column last. Rows
        without a value in the column `on` have no label.

    Raises
    ------
    TypeError
        If `by` has none of these types, or is a set or a regular expression that cannot be applied
        to a value of the column, such as a list (the message names the first such row).

    ValueError
        If a regular expression is invalid; if a class is empty; if the labels are equal or missing,
        or only one of them is a string; if the frame already has a column
        `name`, or has no column `on`; or if a function does not return a bool (the message names
        the first such row).

    See Also
    --------
    words_frame : Make a frame with existing labels.
    sklearn_neurox.evaluation.control_labels : Assign random labels to word types.

    Notes
    -----
    The classes are rarely balanced. To keep all words, weight the classes, with
    ``class_weight="balanced"`` in the probe. To leave words out, select rows of the frame before
    extraction: the same number from each class (``words.groupby("label").sample(n,
    random_state=0)``), or a few of each word type, so that a few frequent words do not make up most
    of a class (``words.sample(frac=1, random_state=0).groupby("word").head(20).sort_index()``).
    Each row carries its text, so ``groups=words["text"]`` is correct for any selection of rows. To
    balance only the training data of a probe and test on words at their natural frequencies, put a
    sampler of imbalanced-learn right before the probe in *its* pipeline,
    ``imblearn.pipeline.make_pipeline``. This requires a probe without an inner split, because
    samplers do not pass on groups.

    Examples
    --------
    >>> from sklearn_neurox.words import annotate, words_frame
    >>> words = words_frame([["He", "walked", "and", "talked"]], [["PRON", "VERB", "X", "VERB"]])
    >>> annotate(words, r"\w+ed", name="past")["past"].tolist()
    ['negative', 'positive', 'negative', 'positive']
    >>> verbs = annotate(words, {"VERB"}, on="label", name="verb", positive="yes", negative="no")
    >>> verbs["verb"].tolist()
    ['no', 'yes', 'no', 'yes']
    >>> late = annotate(words, lambda row: row["position"] > 2, on=None, name="late")
    >>> late["late"].tolist()
    ['negative', 'negative', 'negative', 'positive']
    """
    words = read_frame(words, caller="annotate")
    _check_names(words, name, on)
    _check_labels(positive, negative)
    if on is None:
        present = np.ones(len(words), dtype=bool)
        found = _of_rows(words, by, case_sensitive)
    else:
        present = words[on].notna().to_numpy()
        found = _of_values(words[on], present, _test(by, match, case_sensitive), on)
    for label, rows in ((positive, found & present), (negative, ~found & present)):
        if not rows.any():
            raise ValueError(
                f"annotate found no row for the class {label!r}: all {present.sum()} rows that "
                f"could be labeled are {negative if label == positive else positive!r}. A probe "
                "needs both classes; check 'by' and 'case_sensitive'. By default a regular "
                "expression must match the whole word; use match='search' to match a part of it."
            )
    return words.assign(**{name: _column(found, present, positive, negative, words.index)})


def _check_labels(positive, negative):
    if positive == negative:
        raise ValueError(
            f"The 'positive' and 'negative' parameters of annotate are both {positive!r}. Give "
            "the two classes different labels."
        )
    for name, label in (("positive", positive), ("negative", negative)):
        if pd.api.types.is_scalar(label) and pd.isna(label):
            raise ValueError(
                f"The {name!r} parameter of annotate is {label!r}, which marks rows without a "
                "label. Give both classes a label. If the rows of one class should have none, "
                "replace it in the result."
            )
    if isinstance(positive, str) != isinstance(negative, str):
        raise ValueError(
            f"The 'positive' and 'negative' parameters of annotate are {positive!r} and "
            f"{negative!r}, but labels that mix strings and other types cannot be sorted. Use "
            "two labels of one type."
        )


def _check_names(words, name, on):
    check_column_names([name])
    if name in words.columns:
        raise ValueError(
            f"The frame already has a column {name!r}, which annotate would overwrite. Drop it, or "
            "choose another name with the 'name' parameter."
        )
    if on is not None and on not in words.columns:
        raise ValueError(
            f"The 'on' parameter of annotate is {on!r}, but the frame has no such column. Its "
            f"columns are {list(words.columns)}."
        )


def _test(by, match, case_sensitive):
    """Return a function that tests one value, for any kind of ``by``."""
    if isinstance(by, str | re.Pattern):
        flags = 0 if case_sensitive else re.IGNORECASE
        pattern = by if isinstance(by, re.Pattern) else _compiled(by)
        # Adding a flag to a compiled expression requires recompiling it.
        pattern = re.compile(pattern.pattern, pattern.flags | flags) if flags else pattern
        if isinstance(pattern.pattern, bytes):
            raise TypeError(
                "annotate got a regular expression of bytes, but words are str. Use a str pattern."
            )
        matches = getattr(pattern, match)
        return lambda value: matches(_as_text(value)) is not None
    if callable(by):
        _refuse_case(case_sensitive)
        return by
    if hasattr(type(by), "columns"):
        raise TypeError(
            "The 'by' parameter of annotate must be a set of words, a regular expression or a "
            "function, got a table. Pass one of its columns, such as table['word']."
        )
    if isinstance(by, Mapping):
        raise TypeError(
            "The 'by' parameter of annotate must be a set of words, a regular expression or a "
            "function, got a mapping. To label words by a mapping, assign "
            "words['word'].map(mapping)."
        )
    if not isinstance(by, Collection) and not isinstance(by, pd.Series | pd.Index):
        raise TypeError(
            "The 'by' parameter of annotate must be a set of words, a regular expression or a "
            f"function, got {by!r}."
        )
    chosen = {_folded(value, case_sensitive) for value in by}
    return lambda value: _folded(_as_hashable(value), case_sensitive) in chosen


def _as_text(value):
    if not isinstance(value, str):
        raise _OddValue("a regular expression matches only strings")
    return value


def _as_hashable(value):
    if not is_hashable(value):
        raise _OddValue("a set cannot hold it, so none is a member")
    return value


class _OddValue(Exception):  # noqa: N818 - becomes a TypeError that names the row
    """A value of a column that the test of annotate cannot be applied to."""


def _compiled(expression):
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(
            f"The 'by' parameter of annotate is {expression!r}, which is not a valid regular "
            f"expression: {error}. If it is a word, pass it in a set, {{{expression!r}}}; to match "
            "its characters inside words, pass re.escape(...) of it with match='search'."
        ) from None


def _folded(value, case_sensitive):
    return value if case_sensitive or not isinstance(value, str) else value.casefold()


def _refuse_case(case_sensitive):
    if not case_sensitive:
        raise ValueError(
            "The 'case_sensitive' parameter of annotate is False, but a function receives words "
            "unchanged. Ignore case inside the function, and omit the parameter."
        )


def _of_values(column, present, test, on):
    results, found = {}, np.zeros(len(column), dtype=bool)
    for row, value in enumerate(column.tolist()):
        if not present[row]:
            continue
        if not is_hashable(value):  # such as a list: tested in each row
            found[row] = _result(test, value, on, row)
            continue
        if value not in results:
            results[value] = _result(test, value, on, row)
        found[row] = results[value]
    return found


def _of_rows(words, by, case_sensitive):
    if isinstance(by, str | re.Pattern) or not callable(by):
        raise TypeError(
            "With on=None, annotate passes whole rows to 'by', which must then be a function. Got "
            f"{by!r}. Name the column to test in the 'on' parameter."
        )
    _refuse_case(case_sensitive)
    rows = enumerate(words.iterrows())
    found = (_result(by, values, None, row) for row, (_, values) in rows)
    return np.fromiter(found, dtype=bool, count=len(words))


def _result(test, value, on, row):
    try:
        result = test(value)
    except _OddValue as error:
        raise TypeError(
            f"annotate cannot test row {row} of the column {on!r}, which holds "
            f"{value!r:.60} of type {type(value).__name__}: {error}. Pass a function that takes "
            "such a value and returns a bool, for example by=lambda value: 'NOUN' in value."
        ) from None
    except TypeError as error:
        where = f", column {on!r}: {value!r}. A function of the whole row needs on=None."
        error.add_note(f"annotate failed at row {row}" + (where if on else "."))
        raise
    if not isinstance(result, bool | np.bool_):
        what = "the row" if on is None else repr(value)
        raise ValueError(
            f"The function passed to annotate returned {result!r} for {what} (row {row}), but must "
            "return True or False. Wrap the result in bool(...) if that is what you mean."
        )
    return bool(result)


def _column(found, present, positive, negative, index):
    labels = exact_series([positive, negative] + [np.nan] * (not present.all()))
    if isinstance(positive, str) and isinstance(negative, str):
        labels = labels.astype(string_dtype())
    return labels.take(np.where(present, np.where(found, 0, 1), 2)).set_axis(index)
