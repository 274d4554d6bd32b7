# SPDX-License-Identifier: BSD-3-Clause
import re

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.words import annotate, words_frame

LABELS = ("positive", "negative")


@pytest.fixture
def words():
    frame = words_frame(
        [["The", "walked", "the", "walker"], ["Red", "sacred", "THE"]],
        {"upos": [["DET", "VERB", "DET", "NOUN"], ["ADJ", "ADJ", "DET"]]},
    )
    # An index that differs from the row number, as in a filtered frame.
    return frame.set_index(pd.Index([10, 20, 30, 40, 50, 60, 70]))


def _positives(frame, column="label"):
    return frame.index[frame[column] == "positive"].tolist()


@pytest.mark.parametrize(
    ("by", "options", "expected"),
    [
        ({"the", "walked", "absent"}, {}, [20, 30]),
        (["the"], {}, [30]),
        (np.array(["the"]), {}, [30]),
        (pd.Series(["the"]), {}, [30]),
        (pd.Index(["the"]), {}, [30]),
        (frozenset(["the"]), {"case_sensitive": False}, [10, 30, 70]),
        ("[Tt]he", {}, [10, 30]),
        ("red", {"case_sensitive": False}, [50]),
        ("ed", {"match": "search"}, [20, 50, 60]),
        (r"ed$|(?i:^r)", {"match": "search"}, [20, 50, 60]),
        (re.compile("the"), {}, [30]),
        (re.compile("t h e # spaced", re.VERBOSE), {"case_sensitive": False}, [10, 30, 70]),
        (str.isupper, {}, [70]),
        (lambda word: np.bool_(len(word) > 5), {}, [20, 40, 60]),
        ({"ADJ", "NOUN"}, {"on": "upos"}, [40, 50, 60]),
        ({1, 2}, {"on": "position"}, [20, 30, 60, 70]),
        (lambda row: row["upos"] == "DET" and row["position"] == 2, {"on": None}, [30, 70]),
    ],
)
def test_what_is_positive(words, by, options, expected):
    before = words.copy(deep=True)
    annotated = annotate(words, by, **options)
    assert _positives(annotated) == expected
    assert set(annotated["label"]) == set(LABELS)
    pd.testing.assert_frame_equal(words, before)
    pd.testing.assert_frame_equal(annotated.drop(columns="label"), before)
    assert annotated.columns[-1] == "label" and annotated["label"].dtype == before["upos"].dtype


def test_folding_is_casefold():
    words = words_frame([["Straße", "STRASSE", "Gasse"]])
    assert _positives(annotate(words, {"strasse"}, case_sensitive=False)) == [0, 1]


def test_words_apart_only_by_a_nul_are_distinct():
    words = words_frame([["a\0b", "a\0c", "a"]])
    assert _positives(annotate(words, {"a\0c"})) == [1]
    assert _positives(annotate(words, lambda word: word.endswith("b"))) == [0]


def test_a_function_sees_every_distinct_word_once():
    words = make_tagged_words(300, random_state=0)
    seen = []
    annotated = annotate(words, lambda word: bool(seen.append(word)) or word.istitle())
    assert sorted(seen) == sorted(words["word"].unique())
    expected = np.where(words["word"].str.istitle(), *LABELS)
    assert annotated["label"].tolist() == expected.tolist()


def test_labels_and_several_columns(words):
    once = annotate(words, {"the"}, name="is_the", positive=1, negative=0)
    twice = annotate(once, {1}, on="is_the", name="again", positive=True, negative=False)
    assert once["is_the"].tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert twice["again"].dtype == bool and twice["again"].sum() == 1
    assert twice.columns.tolist() == [*words.columns, "is_the", "again"]


def test_rows_without_a_value_have_no_label():
    words = words_frame([["a", "b", "c"]], {"tense": [["Past", None, "Pres"]]})
    annotated = annotate(words, {"Past"}, on="tense")
    assert annotated["label"].isna().tolist() == [False, True, False]
    assert annotated["label"].dropna().tolist() == list(LABELS)


def test_a_subset_of_rows_has_the_same_labels():
    words = make_tagged_words(200, random_state=0)
    rows = np.random.default_rng(0).permutation(len(words))[: len(words) // 2]
    whole = annotate(words, "[a-m].*")
    pd.testing.assert_frame_equal(annotate(words.iloc[rows], "[a-m].*"), whole.iloc[rows])


@pytest.mark.parametrize(
    ("by", "options", "message"),
    [
        ({"absent"}, {}, "no row for the class 'positive': all 7 rows .* are 'negative'"),
        ("^absent", {}, "must match the whole word; use match='search'"),
        (".*", {"negative": "rest"}, "no row for the class 'rest': all 7 rows .* are 'positive'"),
        ({"the"}, {"name": "upos"}, "already has a column 'upos'.*Drop it"),
        ({"the"}, {"name": "word"}, "called 'word', which is one of the columns"),
        ({"the"}, {"on": "lemma"}, "'on' parameter of annotate is 'lemma'.*no such column"),
        ({"the"}, {"positive": "negative"}, "both 'negative'. Give the two classes different"),
        ({"the"}, {"match": "match"}, "'match' parameter of annotate must be"),
        (str.isupper, {"case_sensitive": False}, "a function receives words unchanged"),
        (lambda word: "yes", {}, r"returned 'yes' for 'The' \(row 0\), but must return True"),
        (lambda row: None, {"on": None}, r"returned None for the row \(row 0\)"),
    ],
)
def test_what_is_wrong_is_said(words, by, options, message):
    with pytest.raises(ValueError, match=message):
        annotate(words, by, **options)


@pytest.mark.parametrize(
    ("by", "options", "message"),
    [
        (5, {}, "must be a set of words, a regular expression or a function, got 5"),
        ({"the": "DET"}, {}, r"got a mapping.*words\['word'\].map"),
        (re.compile(b"x"), {}, "regular expression of bytes"),
        ({"the"}, {"on": None}, "must then be a function"),
        ("the", {"on": None}, "must then be a function"),
    ],
)
def test_what_is_of_the_wrong_kind(words, by, options, message):
    with pytest.raises(TypeError, match=message):
        annotate(words, by, **options)


def test_an_error_inside_tells_the_row(words):
    message = "row 0 of the column 'position', which holds 0 of type int: a regular expression"
    with pytest.raises(TypeError, match=message):
        annotate(words, "x", on="position")


def test_a_function_of_a_row_that_gets_a_word_is_told_so(words):
    with pytest.raises(TypeError) as caught:
        annotate(words, lambda row: row["upos"] == "NOUN")
    assert "on=None" in "".join(caught.value.__notes__)


def test_an_empty_frame_has_no_class(words):
    with pytest.raises(ValueError, match="all 0 rows"):
        annotate(words.iloc[:0], {"the"})


def test_balancing_as_documented_keeps_texts_and_types_in_view():
    words = annotate(make_tagged_words(300, random_state=0), "[a-d].*")
    n = words["label"].value_counts().min()
    even = words.groupby("label").sample(n, random_state=0)
    assert even["label"].value_counts().tolist() == [n, n]
    rows = words.sample(frac=1, random_state=0).groupby("word").head(20).sort_index()
    assert rows["word"].value_counts().max() == 20 and len(rows) < len(words)
    for frame in (even, rows):
        spans = zip(frame["text"], frame["start"], frame["end"], frame["word"], strict=True)
        assert all(text[start:end] == word for text, start, end, word in spans)
