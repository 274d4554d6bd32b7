# SPDX-License-Identifier: BSD-3-Clause
"""Lists of words and labels that would be paired wrongly, and inputs that are not lists."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_neurox.words import annotate, words_frame

WORDS = [["a", "b"], ["c", "d"], ["e"]]
LABELS = [["X", "Y"], ["Z", "X"], ["Y"]]


def test_a_sentence_without_labels_is_an_error_wherever_it_is():
    for gap in range(3):
        for missing in (None, np.nan, "X"):
            labels = [missing if i == gap else row for i, row in enumerate(LABELS)]
            table = pd.DataFrame({"word": WORDS, "upos": pd.Series(labels, dtype=object)})
            with pytest.raises(TypeError, match=f"labels 'upos' of sentence {gap} are"):
                words_frame(table)
    table = pl.DataFrame({"word": WORDS, "upos": [None, *LABELS[1:]]})
    with pytest.raises(TypeError, match="labels 'upos' of sentence 0 are None"):
        words_frame(table)


def test_what_belongs_to_a_sentence_is_repeated():
    table = pd.DataFrame({"word": WORDS, "genre": [None, "news", "web"]})
    assert words_frame(table)["genre"].fillna("-").tolist() == ["-", "-", "news", "news", "web"]


def test_lists_that_a_csv_file_turned_into_text_are_no_words(tmp_path):
    table = pd.DataFrame({"word": [*WORDS, ["it's", "o\nk"]], "sentence_id": range(4)})
    for as_written in (list, tuple, np.array):
        table.assign(word=table["word"].map(as_written)).to_csv(tmp_path / "t.csv", index=False)
        with pytest.raises(ValueError, match="lists that were turned into text, such as"):
            words_frame(pd.read_csv(tmp_path / "t.csv"))
    odd = [["['a']", "b"], ["(", "'"], ["[]", "['x"], ["()"]]
    for sentence in odd:
        table = pd.DataFrame({"word": sentence, "sentence_id": 0})
        assert words_frame(table)["word"].tolist() == sentence


def test_an_index_of_sentences_and_positions_shows_disorder():
    index = pd.MultiIndex.from_tuples([(0, 0), (0, 1), (1, 0), (1, 1)])
    table = pd.DataFrame({"word": list("abcd"), "sentence_id": list("xxyy")}, index=index)
    with pytest.warns(
        UserWarning, match=r"inside sentence 1 .* from \(1, 1\) to \(1, 0\) at row 3"
    ):
        words_frame(table.iloc[[0, 1, 3, 2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words_frame(table.iloc[[2, 3, 0, 1]])


def test_series_with_the_same_labels_in_another_order_are_reported():
    words = pd.Series(WORDS, index=[5, 7, 9])
    labels = pd.Series([["X", "Y"], ["Z", "X"], ["Y"]], index=[7, 5, 9])
    ids = pd.Series(["p", "q", "r"], index=[9, 7, 5])
    for options in ({"labels": labels}, {"labels": {"upos": labels}}, {"sentence_ids": ids}):
        with pytest.warns(UserWarning, match="in different orders"):
            words_frame(words, **options)


@pytest.mark.filterwarnings("error")
def test_series_in_one_order_are_not_reported():
    words = pd.Series(WORDS, index=[9, 5, 7])
    for index in ([9, 5, 7], [0, 1, 2], list("xyz")):
        frame = words_frame(words, {"upos": pd.Series(LABELS, index=index)})
        assert frame["upos"].tolist() == ["X", "Y", "Z", "X", "Y"]
    assert words_frame(words, LABELS)["label"].tolist() == ["X", "Y", "Z", "X", "Y"]


def test_a_table_is_not_a_set_of_words():
    words = words_frame([["word", "a"]])
    for table in (pd.DataFrame({"word": ["a"]}), pl.DataFrame({"word": ["a"]})):
        with pytest.raises(TypeError, match="got a table. Pass one of its columns"):
            annotate(words, table)
    labels = annotate(words, pl.Series(["a"]))["label"]
    assert labels.tolist() == ["negative", "positive"]
