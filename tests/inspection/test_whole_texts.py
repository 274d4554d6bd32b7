# SPDX-License-Identifier: BSD-3-Clause
"""Rows that are whole texts, alone or beside rows that are words, in every table."""

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.inspection import neuron_summary, top_contexts, top_words
from sklearn_neurox.ranking import ProbelessRanker

TEXTS = ["a good film", "bad, bad film", "It’s good", "not-so-bad 2", "good film", ""]
# Split by hand.
WORDS = [{"a", "good", "film"}, {"bad", "film"}, {"It’s", "good"}, {"not-so-bad", "2"}]
WORDS += [{"good", "film"}, set()]
X = np.array([[1.0, 0.5], [-3.0, 2.0], [2.5, 1.5], [-1.0, 7.0], [4.0, 0.0], [0.25, 3.0]])
FRAMES = {
    "texts alone": pd.DataFrame({"text": TEXTS}),
    "spans are missing": pd.DataFrame({"text": TEXTS, "start": np.nan, "end": np.nan}),
    "words are missing too": pd.DataFrame(
        {"text": TEXTS, "word": None, "start": pd.NA, "end": pd.NA}
    ),
}


def means_by_word(column, sets):
    every = set().union(*sets)
    return {w: np.mean([x for x, s in zip(column, sets, strict=True) if w in s]) for w in every}


@pytest.mark.parametrize("name", FRAMES)
def test_a_text_counts_once_for_each_of_its_words(name):
    table = top_words(X, FRAMES[name], n_words=99, min_count=1, sign="positive")
    for neuron, column in zip(["x0", "x1"], X.T, strict=True):
        own = table[table["neuron"] == neuron].set_index("word")
        assert own["mean"].to_dict() == pytest.approx(means_by_word(column, WORDS))
        counts = {word: sum(word in words for words in WORDS) for word in own.index}
        assert own["count"].to_dict() == counts
    np.testing.assert_allclose(table["z"].max(), (7 - X[:, 1].mean()) / X[:, 1].std())


def test_case_can_be_ignored():
    texts = pd.DataFrame({"text": ["Yes yes", "YES no"]})
    table = top_words(
        np.array([[1.0], [2.0]]), texts, min_count=1, sign="positive", case_sensitive=False
    )
    assert table.set_index("word")["count"].to_dict() == {"yes": 2, "no": 1}


@pytest.mark.parametrize("name", FRAMES)
def test_the_context_of_a_text_is_the_text(name):
    table = top_contexts(X, FRAMES[name], 0, n_contexts=2, window=3)
    assert table["word"].tolist() == table["text"].tolist()
    assert table["text"].tolist() == ["good film", "It’s good", "bad, bad film", "not-so-bad 2"]
    assert not table["left"].any() and not table["right"].any()
    assert table["end"].tolist() == [len(text) for text in table["text"]]


def test_words_and_texts_may_mix():
    rows = pd.DataFrame(
        {
            "text": ["a good film", "a good film", "good"],
            "word": ["good", None, None],
            "start": [2, None, None],
            "end": [6, None, None],
        }
    )
    activations = np.array([[1.0], [3.0], [8.0]])
    table = top_words(activations, rows, min_count=1, sign="positive").set_index("word")
    assert table["mean"].to_dict() == {"good": 4.0, "a": 3.0, "film": 3.0}
    contexts = top_contexts(activations, rows, 0, sign="negative")
    assert contexts["word"].tolist() == ["good", "a good film", "good"]
    without = rows.drop(columns="word")
    pd.testing.assert_frame_equal(
        top_words(activations, without, min_count=1), top_words(activations, rows, min_count=1)
    )


def test_a_summary_names_the_label_of_words_in_texts():
    y = ["+", "-", "+", "-", "+", "-"]
    ranker = ProbelessRanker().fit(X, y)
    table = neuron_summary(ranker, X, y, words=FRAMES["texts alone"], min_count=3).set_index(
        "neuron"
    )
    assert table.loc["x0", "words"] == "good (+), film (+)"


def test_half_a_row_is_named():
    words = FRAMES["texts alone"].assign(start=[0, None, 0, 0, 0, 0], end=1)
    with pytest.raises(ValueError, match="Row 1 of the words given to top_contexts lacks 'start'"):
        top_contexts(X, words, 0)
    with pytest.raises(ValueError, match="Row 1 of the words given to top_words lacks 'start'"):
        top_words(X, words, 0)
    with pytest.raises(ValueError, match="row 2 of the words given to top_words is missing"):
        top_words(X, pd.DataFrame({"text": ["a", "b", None, "d", "e", "f"]}), 0)
