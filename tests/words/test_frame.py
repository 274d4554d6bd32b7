# SPDX-License-Identifier: BSD-3-Clause
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_neurox.words import words_frame

SENTENCES = [["The", "cat", "sat"], ["Go"], ["The", "cat", "sat"]]
OWN = ["text", "start", "end", "word", "position", "sentence_id"]

# Any code point except surrogates, including NUL, combining marks, joiners and emoji.
any_word = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
any_sentences = st.lists(st.lists(any_word, min_size=1, max_size=5), min_size=1, max_size=5)


def assert_rows_verify_themselves(frame):
    rows = zip(frame["text"], frame["start"], frame["end"], frame["word"], strict=True)
    assert all(text[start:end] == word for text, start, end, word in rows)


def long_frame(**columns):
    return pd.DataFrame({"sentence_id": ["b", "b", "a"], "word": ["It", "'s", "so"], **columns})


def test_known_frame():
    frame = words_frame(SENTENCES, [["DET", "NOUN", "VERB"], ["VERB"], ["DET", "NOUN", "VERB"]])
    assert list(frame.columns) == [*OWN, "label"]
    assert frame["word"].tolist() == ["The", "cat", "sat", "Go", "The", "cat", "sat"]
    assert frame["start"].tolist() == [0, 4, 8, 0, 0, 4, 8]
    assert frame["end"].tolist() == [3, 7, 11, 2, 3, 7, 11]
    assert frame["position"].tolist() == [0, 1, 2, 0, 0, 1, 2]
    assert frame["sentence_id"].tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert frame["label"].tolist() == ["DET", "NOUN", "VERB", "VERB", "DET", "NOUN", "VERB"]
    assert frame["text"].tolist() == ["The cat sat"] * 3 + ["Go"] + ["The cat sat"] * 3
    assert frame["text"].cat.categories.tolist() == ["The cat sat", "Go"]
    assert isinstance(frame.index, pd.RangeIndex)
    assert all(frame[name].dtype == np.int64 for name in ("start", "end", "position"))


def test_several_labels_keep_their_types_and_their_gaps():
    labels = {
        "upos": [["A", None, "B"], ["A"], [None, None, "B"]],
        "depth": [[1, 2, 3], [1], [1, 2, 3]],
        "empty": [[None] * 3, [None], [None] * 3],
    }
    frame = words_frame(SENTENCES, labels, sentence_ids=["x", "y", "z"])
    assert list(frame.columns) == [*OWN, "upos", "depth", "empty"]
    assert frame["upos"].isna().tolist() == [False, True, False, False, True, True, False]
    assert frame["depth"].dtype == np.int64
    assert frame["empty"].isna().all() and frame["empty"].dtype == frame["word"].dtype
    assert frame["sentence_id"].tolist() == ["x"] * 3 + ["y"] + ["z"] * 3


def test_sentences_may_be_arrays_tuples_or_a_generator():
    kinds = zip((np.array, tuple, list), SENTENCES, strict=True)
    sentences = (kind(sentence) for kind, sentence in kinds)
    pd.testing.assert_frame_equal(words_frame(sentences), words_frame(SENTENCES))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* words begin or end with a space")
@pytest.mark.parametrize("joiner", ["", " ", "_-_"])
@settings(max_examples=50, deadline=None)
@given(sentences=any_sentences)
def test_every_row_verifies_itself(joiner, sentences):
    frame = words_frame(sentences, joiner=joiner)
    assert_rows_verify_themselves(frame)
    # The spans, computed in another way.
    naive = []
    for sentence in sentences:
        text = ""
        for word in sentence:
            text += joiner if text else ""
            naive.append((len(text), len(text) + len(word)))
            text += word
    assert list(zip(frame["start"], frame["end"], strict=True)) == naive
    assert frame["word"].tolist() == [word for sentence in sentences for word in sentence]
    texts = frame.groupby("sentence_id", observed=True)["text"].first().tolist()
    assert texts == [joiner.join(sentence) for sentence in sentences]
    assert frame["text"].nunique() == len(set(texts))


def test_texts_that_differ_after_a_nul_character_stay_apart():
    frame = words_frame([["a\0b"], ["a\0c"], ["a"]])
    assert frame["text"].tolist() == ["a\0b", "a\0c", "a"]


def test_long_frame_equals_lists():
    words = words_frame(SENTENCES, [["D", "N", "V"], ["V"], ["D", "N", "V"]])
    long = words[["label", "word", "sentence_id"]].set_index(np.arange(7) * 3)
    pd.testing.assert_frame_equal(words_frame(long), words)


def test_long_frame_keeps_other_columns_order_and_itself():
    long = long_frame(
        upos=pd.Categorical(["PRON", "AUX", "ADV"], categories=["AUX", "PRON", "ADV"]),
        freq=pd.array([1, None, 3], dtype="Int64"),
    )
    before = long.copy(deep=True)
    frame = words_frame(long)
    assert list(frame.columns) == [*OWN, "upos", "freq"]
    assert frame["sentence_id"].tolist() == ["b", "b", "a"]
    assert frame["upos"].dtype == long["upos"].dtype and frame["freq"].dtype == "Int64"
    frame.loc[0, "freq"] = 7
    frame.loc[0, "upos"] = "ADV"
    pd.testing.assert_frame_equal(long, before)


def test_natural_text_of_a_long_frame():
    long = long_frame(space_after=[False, True, False])
    natural = words_frame(long, text="natural")
    assert natural["text"].tolist() == ["It's", "It's", "so"]
    assert natural["start"].tolist() == [0, 2, 0]
    assert_rows_verify_themselves(natural)
    assert words_frame(long)["text"].tolist() == ["It 's", "It 's", "so"]


def test_neighboring_categorical_sentence_ids():
    long = long_frame()
    long["sentence_id"] = long["sentence_id"].astype("category")
    assert words_frame(long)["position"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"words": []}, "contains no sentences"),
        (
            {"words": "The cat"},
            "must be a list of sentences, .*or a table of words .*of type str",
        ),
        ({"words": ["The cat"]}, "Sentence 0 is 'The cat', not a list of words"),
        ({"words": [["a"], 3]}, "Sentence 1 is 3, not a list of words"),
        ({"words": [["a"], {"a": 1}]}, r"Sentence 1 is \{'a': 1\}, not a list of words"),
        ({"words": [["a"], []]}, "There are no words in sentence 1"),
        (
            {"words": [["a"], []], "sentence_ids": ["x", "Y"]},
            r"no words in sentence 1 \(sentence_id 'Y'\)",
        ),
        (
            {"words": [["a"], ["b", ""]], "sentence_ids": ["x", "Y"]},
            r"word at position 1 of sentence 1 \(sentence_id 'Y'\) \(row 2\) is empty",
        ),
        (
            {"words": [["a", None]]},
            r"word at position 1 of sentence 0 \(row 1\) is missing \(None\)",
        ),
        ({"words": [["a"], [float("nan")]]}, r"position 0 of sentence 1 .* is missing \(nan\)"),
        ({"words": [["a", 5]]}, "is 5 of type int, not a string"),
        ({"words": [[["a"]]]}, r"is \['a'\] of type list, not a string"),
        ({"words": [["ab"], ["c", "d\ud83d"]]}, r"position 1 of sentence 1 .* surrogate pair"),
        ({"words": [["a"]], "sentence_ids": [1, 2]}, "has 2 ids for 1 sentences"),
        ({"words": [["a"], ["b"]], "sentence_ids": [1, None]}, "id of sentence 1 is missing"),
        (
            {"words": [["a"], ["b"]], "sentence_ids": [7, 7]},
            "Sentence 1 has the id 7 of an earlier",
        ),
        (
            {"words": [["a"]], "labels": [["X"], ["Y"]]},
            "labels 'label' for 2 sentences, but words for 1",
        ),
        (
            {"words": [["a"], ["b", "c"]], "labels": {"upos": [["X"], ["Y"]]}},
            "There are 2 words in sentence 1, but 1 labels 'upos'",
        ),
        (
            {"words": [["a"]], "labels": [["X", "Y"]], "sentence_ids": ["s-1"]},
            r"1 words in sentence 0 \(sentence_id 's-1'\), but 2 labels 'label'",
        ),
        ({"words": [["a", "b"]], "labels": ["XY"]}, "labels 'label' of sentence 0 are 'XY', not a"),
        ({"words": [["a"]], "labels": [None]}, "labels 'label' of sentence 0 are None, not a list"),
        ({"words": [["a"]], "labels": {"text": [["X"]]}}, "called 'text', which is one of the"),
        ({"words": [["a"]], "labels": {0: [["X"]]}}, "annotation name 0 is not a string"),
        ({"words": [["a"]], "joiner": None}, "'joiner' parameter must be a string, got None"),
        ({"words": [["a"]], "text": "raw"}, "'text' parameter must be 'joined' or 'natural'"),
        ({"words": [["a"]], "text": "natural"}, "Pass the words as a DataFrame"),
        ({"words": long_frame(), "labels": []}, "holds its labels in its columns"),
        ({"words": long_frame(), "sentence_ids": []}, "holds its sentence_ids in its columns"),
        ({"words": long_frame()[["word"]]}, r"no column 'sentence_id'.*It has \['word'\]"),
        (
            {"words": pd.DataFrame({"id": [0], "tokens": [["Dogs", "bark"]]})},
            r"no column 'word', but only \['id', 'tokens'\].*words_frame\(frame, word='tokens'\)",
        ),
        ({"words": long_frame()[:0]}, "has no rows"),
        ({"words": long_frame(start=0)}, "called 'start', which is one of the columns"),
        (
            {"words": pd.concat([long_frame(x=0), long_frame(x=0)[["x"]]], axis=1)},
            "2 columns called 'x'",
        ),
        (
            {"words": pd.concat([long_frame(), long_frame()[["word"]]], axis=1)},
            "2 columns called 'word'",
        ),
        ({"words": long_frame(word=["a", "b", None])}, r"position 0 of sentence 1 .*'a'.* missing"),
        ({"words": long_frame(sentence_id=["a", None, "b"])}, "sentence_id of row 1 is missing"),
        (
            {"words": long_frame(sentence_id=["a", "b", "a"])},
            "sentence_id 'a' occurs again at row 2, after another sentence",
        ),
        ({"words": long_frame(), "text": "natural"}, "needs the bool column 'space_after'"),
        (
            {"words": long_frame(space_after=["No", "Yes", "No"]), "text": "natural"},
            "'space_after' must be bool",
        ),
        (
            {
                "words": long_frame(space_after=pd.array([True, None, True], dtype="boolean")),
                "text": "natural",
            },
            "dtype boolean and 1 missing values",
        ),
    ],
)
def test_errors_say_what_and_where(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        words_frame(**arguments)
    assert re.match("[A-Z]|text=", str(caught.value))


def test_labels_of_any_type_stay_as_they_are():
    for labels in ([True, None], [("p", 1), ("q", 2)], [None, frozenset("a")]):
        frame = words_frame([["a", "b"]], {"x": [labels]})
        assert frame["x"].tolist() == labels
