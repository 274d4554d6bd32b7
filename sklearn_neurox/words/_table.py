# SPDX-License-Identifier: BSD-3-Clause
"""A user's table of words: its columns, its sentences, and the order of their words."""

import re

import numpy as np
import pandas as pd

from sklearn_neurox.utils._containers import check_unique_columns
from sklearn_neurox.utils._labels import is_hashable
from sklearn_neurox.utils._unique_in_order import unique_in_order
from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words._layout import check_column_names, sentence_runs
from sklearn_neurox.words._word_checks import flat_labels, is_list, name_sentence, no_words

_ROLES = ("word", "sentence_id", "position", "label")
# An index counts rows if at least this share of its steps are 1.
_COUNTS = 0.1
_WRITTEN_LIST = re.compile(r"""\s*[\[(]\s*['"].*['"],?\s*[\])]\s*$""", re.S)


def read_table(frame, names):
    """Return a table with one row per word and the package's own names of its columns.

    Parameters
    ----------
    frame : DataFrame
        One row per word; or one row per sentence, whose column of words holds lists.

    names : dict of str to str or None
        The user's name of each column in `_ROLES`. None names no column, and a name that is also
        the key need not exist, except that of the words.

    Returns
    -------
    table : DataFrame of shape (n_words, n_columns)
        With the columns ``word``, ``sentence_id`` and the annotations, and maybe ``position``; the
        index is that of the frame.
    """
    check_unique_columns(frame, caller="words_frame")
    table = _renamed(frame, names)
    if table.empty:
        raise ValueError("The frame of words has no rows.")
    if is_list(table["word"].iloc[0]):
        table = _one_row_per_word(table)
    else:
        _check_not_written_lists(table["word"])
    if "sentence_id" not in table.columns:
        raise ValueError(
            "The frame of words has no column 'sentence_id', which tells where a sentence begins. "
            f"It has {list(frame.columns)}. Name the column with the 'sentence_id' parameter."
        )
    check_column_names([name for name in table.columns if name not in _ROLES[:3]])
    return table


def sentence_order(table):
    """Return the order in which the rows form sentences, with the ids and lengths of these.

    A column ``position`` determines the order of words. Otherwise, it is that of the rows.
    """
    column = table["sentence_id"]
    if column.isna().any():
        raise ValueError(
            f"The sentence_id of row {int(column.isna().argmax())} is missing. Each row needs the "
            "id of its sentence."
        )
    odd = next((i for i, one in enumerate(column.tolist()) if not is_hashable(one)), None)
    if odd is not None:
        raise TypeError(
            f"The sentence_id of row {odd} is {column.tolist()[odd]!r:.60}, a "
            f"{type(column.tolist()[odd]).__name__}, which cannot name a sentence. Use strings or "
            "integers."
        )
    if "position" in table.columns:
        return _by_position(column, table["position"])
    ids, first, lengths = sentence_runs(column)
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(_scattered(ids.tolist()[again], first[again], table.index))
    _warn_about_order(table.index, lengths, ids)
    return np.arange(len(table)), ids, lengths


def spaces_after(table, joiner):
    """Return the separator after each word of a text as it was written."""
    if "space_after" not in table.columns:
        raise ValueError(
            "text='natural' needs the bool column 'space_after', which marks the words that are "
            f"followed by a space. The frame has {list(table.columns)}."
        )
    column = table["space_after"]
    if not pd.api.types.is_bool_dtype(column) or column.isna().any():
        raise ValueError(
            "The column 'space_after' must be bool and have no missing values, but has dtype "
            f"{column.dtype} and {int(column.isna().sum())} missing values."
        )
    return np.where(column.to_numpy(dtype=bool), joiner, "").tolist()


def _renamed(frame, names):
    for role, name in names.items():
        if name is None or (name == role != "word") or name in frame.columns:
            continue
        example = _likely_words(frame) if role == "word" else "..."
        raise ValueError(
            f"The frame of words has no column {name!r}, but only {list(frame.columns)}. Name the "
            f"column with the {role!r} parameter, as in words_frame(frame, {role}={example!r})."
        )
    chosen = {name: role for role, name in names.items() if name is not None}
    if len(chosen) < sum(name is not None for name in names.values()):
        raise ValueError(
            "The 'word', 'label', 'sentence_id' and 'position' parameters of words_frame must name "
            f"different columns, got {names}."
        )
    for name, role in chosen.items():
        if role != name and role in frame.columns and role not in chosen:
            raise ValueError(
                f"The column {name!r} would become {role!r}, but the frame has a column {role!r} "
                f"already. Rename or drop it: frame.drop(columns={role!r})."
            )
    return frame.rename(columns=chosen)


def _check_not_written_lists(words):
    """Raise an error if all words are lists in writing, as a CSV file makes of lists."""
    if all(isinstance(word, str) and _WRITTEN_LIST.match(word) for word in words):
        raise ValueError(
            f"The words are lists that were turned into text, such as {words.iloc[0][:60]!r}. CSV "
            "files do so. Save the table in a format that keeps lists, such as Parquet or JSON, or "
            "turn the text into lists again."
        )


def _likely_words(frame):
    """Return the name of the first column of lists, or else of strings, for the advice."""
    for test in (is_list, lambda value: isinstance(value, str)):
        for name in frame.columns:
            if len(frame) and test(frame[name].iloc[0]):
                return name
    return "token"


def _one_row_per_word(table):
    """Split the lists of a table with one row per sentence; repeat what belongs to a sentence."""
    words = table["word"]
    wrong = next((row for row, words_ in enumerate(words) if not is_list(words_)), None)
    if wrong is not None:
        raise TypeError(
            f"The words of row {wrong} are {words.iloc[wrong]!r}, but those of row 0 are a list. "
            "Give each row a list of words, or a single word and a sentence_id."
        )
    if "position" in table.columns:
        raise ValueError(
            "The frame has one row per sentence, so its column 'position' cannot place words. "
            "Rename or drop it: frame.drop(columns='position')."
        )
    lengths = np.array([len(sentence) for sentence in words], dtype=np.int64)
    ids = table["sentence_id"] if "sentence_id" in table.columns else pd.Series(range(len(table)))
    ids = ids.reset_index(drop=True)
    if not lengths.all():
        raise ValueError(no_words(int(np.argmin(lengths)), ids))
    if ids.duplicated().any():
        again = int(ids.duplicated().argmax())
        raise ValueError(
            f"The sentence_id {ids.tolist()[again]!r} of row {again} is that of an earlier "
            "sentence. Give each sentence its own id, or drop the column to number them."
        )
    of_row = np.repeat(np.arange(len(table)), lengths)
    columns = {"sentence_id": ids.take(of_row).array}
    for name in table.columns.drop("sentence_id", errors="ignore"):
        values = table[name]
        # A missing list in front must not make each word carry the whole list of its sentence.
        if any(map(is_list, values)):
            columns[name] = flat_labels(name, values, lengths, ids).array
        else:
            columns[name] = values.take(of_row).array
    return pd.DataFrame(columns)


def _by_position(column, position):
    """Order the words of each sentence by their positions, which must have no gap."""
    number = pd.to_numeric(position, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~(np.isfinite(number) & (number == np.floor(number)))
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"The position of row {row} is {position.tolist()[row]!r}, not a whole number. The "
            "column 'position' is the place of each word in its sentence. Fix it, or drop the "
            "column if the rows are in order."
        )
    values, codes = unique_in_order(column.tolist())
    _, firsts = np.unique(codes, return_index=True)
    ids = column.iloc[firsts].reset_index(drop=True)
    order = np.lexsort((number, codes))
    lengths = np.bincount(codes)
    begins = np.cumsum(lengths) - lengths
    expected = np.arange(len(order)) - np.repeat(begins, lengths)
    lowest = number.min()
    differs = number[order] - lowest != expected
    if lowest in (0, 1) and not differs.any():
        return order, ids, lengths
    place = int(differs.argmax())
    row = int(order[place])
    raise ValueError(
        f"The positions of sentence {values[codes[row]]!r} do not count its words from 0 or 1 "
        f"without a gap or a repetition: row {row} has position {int(number[row])} where "
        f"{int(expected[place] + (lowest == 1))} was expected. The text of a sentence needs all "
        "its words: pass them all and select rows afterwards. If two sentences share an id, give "
        "them different ids. If 'position' is something else, rename or drop it."
    )


def _scattered(name, row, index):
    moved = not index.is_monotonic_increasing and index.is_unique
    restore = "frame.sort_index(), whose index still has it, or with " if moved else ""
    return (
        f"The sentence_id {name!r} occurs again at row {row}, after another sentence. The rows of "
        "a sentence must be contiguous and in the order of its words. If they were shuffled or "
        f"sorted, restore the order with {restore}a column 'position' that holds the place of each "
        "word in its sentence (the rows may then have any order). Do not sort by sentence_id, "
        "which leaves the words of a sentence in disorder. If these are different sentences, give "
        "them different ids."
    )


def _warn_about_order(index, lengths, ids):
    levels = index.levels if isinstance(index, pd.MultiIndex) else [index]
    counts = all(pd.api.types.is_integer_dtype(level.dtype) for level in levels)
    if not counts or not index.is_unique:
        return
    first = np.cumsum(lengths) - lengths
    if index.is_monotonic_increasing:
        _warn_about_gaps(index, first, ids)
        return
    place = np.argsort(index.argsort())
    backwards = np.diff(place, prepend=place[0]) < 0
    backwards[first] = False
    if not backwards.any():
        return
    row = int(backwards.argmax())
    i = int(np.searchsorted(first, row, "right")) - 1
    before, after = index[[row - 1, row]].tolist()
    warn_user(
        f"The index of the frame runs backwards inside {name_sentence(i, ids)}: from "
        f"{before} to {after} at row {row}. The words of this sentence may be in "
        "disorder, and so may its text. If the rows were shuffled, restore their order with "
        "frame.sort_index(). If their order is right, pass frame.reset_index(drop=True)."
    )


def _warn_about_gaps(index, first, ids):
    """Warn if an index that counts rows shows that rows inside sentences were left out."""
    if isinstance(index, pd.MultiIndex):
        return
    step = np.diff(index.to_numpy(dtype=np.int64), prepend=index[0])
    step[first] = 0
    gaps = step > 1
    # An index that does not count rows, such as one of characters, has few steps of 1.
    if not gaps.any() or np.count_nonzero(step == 1) < _COUNTS * np.count_nonzero(step):
        return
    row = int(gaps.argmax())
    i = int(np.searchsorted(first, row, "right")) - 1
    before, after = index[[row - 1, row]].tolist()
    n_skipping = len(np.unique(np.searchsorted(first, np.flatnonzero(gaps), "right")))
    warn_user(
        f"The index of the frame skips rows inside {n_skipping} of {len(first)} sentences, first "
        f"in {name_sentence(i, ids)}: from {before} to {after} at row {row}. If "
        "words were left out, the model reads sentences without them. Pass all words, and select "
        "rows of the frame that words_frame returns. If no word is missing, pass "
        "frame.reset_index(drop=True)."
    )
