# SPDX-License-Identifier: BSD-3-Clause
import re
from collections.abc import Callable, Collection, Hashable, Mapping

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions, validate_params

from sklearn_neurox.words._layout import check_column_names, string_dtype


@validate_params(
    {
        "words": [pd.DataFrame],
        "name": [str],
        "on": [str, None],
        "match": [StrOptions({"fullmatch", "search"})],
        "case_sensitive": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
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
    r"""Label every word as one of two classes, by a set, a pattern or a function.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns)
        One row a word, as `words_frame` or `read_conllu` make it; never changed.

    by : collection of str, str, re.Pattern or callable
        What makes a word positive:

        - a set or list of words: to be one of them;
        - a regular expression, as a str or compiled: to match it, see `match`;
        - a function, which gets a word and returns a bool. It is called once for every
          *distinct* word. With ``on=None`` it gets a row, as a Series.

    name : str, default="label"
        The new column.

    on : str or None, default="word"
        The column to look at, which may as well be an annotation, such as ``"upos"``. None looks at
        whole rows, for a function.

    match : {"fullmatch", "search"}, default="fullmatch"
        Whether a regular expression must match the whole word, or a part of it.

    case_sensitive : bool, default=True
        Whether upper and lower case differ. If not, words of a set are compared by
        ``str.casefold``, and a regular expression gets the flag ``re.IGNORECASE``. A function sees
        the word as it stands, and must be left to decide itself.

    positive, negative : hashable, default="positive", "negative"
        The labels.

    Returns
    -------
    annotated : DataFrame of shape (n_words, n_columns + 1)
        The words in the same order and with the same index, with the new column last. A row that
        has no value in the column `on` has no label either.

    Raises
    ------
    TypeError
        For a `by` that is none of these.

    ValueError
        If a class is empty; if the frame already has a column `name`, or none called `on`; and for
        a function that returns no bool, with the first row.

    See Also
    --------
    words_frame : Takes labels that are there already.
    sklearn_neurox.evaluation.control_labels : Random labels of word types.

    Notes
    -----
    The classes are seldom of one size. Weights keep all words: ``class_weight="balanced"`` of the
    probe. To leave words out, pick rows of the frame before anything is extracted, such as as many
    of each class (``words.groupby("label").sample(n, random_state=0)``), or few of each word type,
    so that frequent words do not make up a class
    (``words.sample(frac=1, random_state=0).groupby("word").head(20).sort_index()``). Rows carry
    their text, so ``groups=words["text"]`` is as right for the rest as for all. To balance only
    what a probe is trained on, and test on words as frequent as they are, put a sampler of
    imbalanced-learn right before the probe in *its* pipeline, ``imblearn.pipeline.make_pipeline``
    (and a probe that does not split inside, as samplers pass no groups on).

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
    _check_names(words, name, on)
    if positive == negative:
        raise ValueError(
            f"The 'positive' and 'negative' parameters of annotate are both {positive!r}; the "
            "classes need two labels."
        )
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
                f"could be labelled are {negative if label == positive else positive!r}. A probe "
                "needs both classes; see whether 'by' says what you mean, and 'case_sensitive'. A "
                "regular expression must match the whole word; match='search' finds it inside."
            )
    return words.assign(**{name: _column(found, present, positive, negative, words.index)})


def _check_names(words, name, on):
    check_column_names([name])
    if name in words.columns:
        raise ValueError(
            f"The frame already has a column {name!r}, which annotate would overwrite. Drop it, or "
            "give the new one another name with the 'name' parameter."
        )
    if on is not None and on not in words.columns:
        raise ValueError(
            f"The 'on' parameter of annotate is {on!r}, but the frame has no such column. It has "
            f"{list(words.columns)}."
        )


def _test(by, match, case_sensitive):
    """Make a function of one value out of whatever says which are positive."""
    if isinstance(by, str | re.Pattern):
        flags = 0 if case_sensitive else re.IGNORECASE
        pattern = by if isinstance(by, re.Pattern) else re.compile(by)
        # The flags of a compiled expression can only be added to by compiling again.
        pattern = re.compile(pattern.pattern, pattern.flags | flags) if flags else pattern
        if isinstance(pattern.pattern, bytes):
            raise TypeError("annotate was given a regular expression of bytes; words are str.")
        matches = getattr(pattern, match)
        return lambda value: matches(value) is not None
    if callable(by):
        _refuse_case(case_sensitive)
        return by
    if isinstance(by, Mapping):
        raise TypeError(
            "The 'by' parameter of annotate must be a set of words, a regular expression or a "
            "function, got a mapping. To give words the labels of a mapping, assign "
            "words['word'].map(mapping)."
        )
    if not isinstance(by, Collection) and not isinstance(by, pd.Series | pd.Index):
        raise TypeError(
            "The 'by' parameter of annotate must be a set of words, a regular expression or a "
            f"function, got {by!r}."
        )
    chosen = {_folded(value, case_sensitive) for value in by}
    return lambda value: _folded(value, case_sensitive) in chosen


def _folded(value, case_sensitive):
    return value if case_sensitive or not isinstance(value, str) else value.casefold()


def _refuse_case(case_sensitive):
    if not case_sensitive:
        raise ValueError(
            "The 'case_sensitive' parameter of annotate is False, but a function sees words as "
            "they stand: let it fold them itself, and leave the parameter out."
        )


def _of_values(column, present, test, on):
    values = column.tolist()
    results = {}
    for row, value in enumerate(values):
        if present[row] and value not in results:
            results[value] = _result(test, value, on, row)
    return np.fromiter(
        (keep and results[value] for keep, value in zip(present, values, strict=True)),
        dtype=bool,
        count=len(values),
    )


def _of_rows(words, by, case_sensitive):
    if isinstance(by, str | re.Pattern) or not callable(by):
        raise TypeError(
            "on=None of annotate looks at whole rows, which only a function can do; got "
            f"{by!r}. Name the column to look at in the 'on' parameter."
        )
    _refuse_case(case_sensitive)
    rows = enumerate(words.iterrows())
    found = (_result(by, values, None, row) for row, (_, values) in rows)
    return np.fromiter(found, dtype=bool, count=len(words))


def _result(test, value, on, row):
    try:
        result = test(value)
    except TypeError as error:
        where = f", column {on!r}: {value!r}. A function of the whole row needs on=None."
        error.add_note(f"annotate was at row {row}" + (where if on else "."))
        raise
    if not isinstance(result, bool | np.bool_):
        what = "the row" if on is None else repr(value)
        raise ValueError(
            f"The function given to annotate returned {result!r} for {what} (row {row}), where "
            "True or False was expected. Put bool(...) around what it returns, if that is meant."
        )
    return bool(result)


def _column(found, present, positive, negative, index):
    labels = pd.Series([positive, negative])
    if isinstance(positive, str) and isinstance(negative, str):
        labels = labels.astype(string_dtype())
    column = labels.take(np.where(found, 0, 1)).set_axis(index)
    return column if present.all() else column.where(present)
