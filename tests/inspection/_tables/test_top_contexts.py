# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.inspection import top_contexts
from sklearn_neurox.inspection._tables import _chosen_neurons
from sklearn_neurox.words import words_frame


@pytest.fixture(scope="module")
def words():
    words = make_tagged_words(60, random_state=0)
    # The first ten sentences occur twice.
    again = words[words["sentence_id"] < 10]
    return pd.concat([words, again.assign(sentence_id=again["sentence_id"] + 60)])


@pytest.fixture(scope="module")
def X(words):
    return np.random.default_rng(0).normal(size=(len(words), 7)) + 3


@pytest.mark.parametrize("sign", ["both", "positive", "negative", "absolute"])
@pytest.mark.parametrize("small_blocks", [False, True])
def test_rows_are_the_most_extreme(X, words, sign, small_blocks, monkeypatch):
    if small_blocks:
        monkeypatch.setattr(_chosen_neurons, "_VALUES", 3 * len(words))
    table = top_contexts(X, words, None, n_contexts=3, sign=sign)
    for neuron in range(7):
        own = table[table["neuron"] == f"x{neuron}"]
        z = (X[:, neuron] - X[:, neuron].mean()) / X[:, neuron].std()
        top, bottom = np.argsort(-z)[:3].tolist(), np.argsort(z)[:3].tolist()
        size = np.argsort(-np.abs(z))[:3].tolist()
        expected = {"both": top + bottom, "positive": top, "negative": bottom, "absolute": size}
        assert own["row"].tolist() == expected[sign]
        np.testing.assert_allclose(own["activation"], X[own["row"], neuron])
        np.testing.assert_allclose(own["z"], z[own["row"]])


def test_contexts_verify_themselves(X, words):
    table = top_contexts(X, words, [4, 2], n_contexts=5)
    assert table["neuron"].drop_duplicates().tolist() == ["x4", "x2"]
    rows = words.iloc[table["row"]].reset_index(drop=True)
    for column in ("word", "text", "start", "end", "sentence_id"):
        assert table[column].tolist() == rows[column].tolist()
    whole = table["left"] + table["word"] + table["right"]
    assert whole.tolist() == rows["text"].tolist()
    near = top_contexts(X, words, [4, 2], n_contexts=5, window=6)
    for full, cut in zip(table.to_dict("records"), near.to_dict("records"), strict=True):
        assert cut["left"] == full["left"][-6:] and cut["right"] == full["right"][:6]
    bare = top_contexts(X, words, [4], window=0)
    assert (bare["left"] == "").all() and (bare["right"] == "").all()


@pytest.mark.parametrize("sign", ["both", "absolute"])
def test_distinct_texts_keep_the_most_extreme_word_of_each(X, words, sign):
    table = top_contexts(X, words, None, n_contexts=100, sign=sign, distinct_texts=True)
    texts = words["text"].astype(object).to_numpy()
    assert table.groupby(["neuron", "sign"])["text"].nunique().max() <= 60
    ends = {"both": ((1, "+"), (-1, "-")), "absolute": ((0, None),)}[sign]
    for neuron in range(7):
        z = (X[:, neuron] - X[:, neuron].mean()) / X[:, neuron].std()
        for end, label in ends:
            own = table[(table["neuron"] == f"x{neuron}") & (table["sign"].eq(label) | (end == 0))]
            key = pd.Series(end * z if end else np.abs(z))
            best = key.groupby(texts).max().sort_values(ascending=False)
            assert own["text"].tolist() == best.index.tolist() and len(own) == 60
            np.testing.assert_allclose(key[own["row"]], best)
            assert own["rank"].tolist() == list(range(1, 61))


def test_equal_values_stand_in_the_order_of_rows():
    words = words_frame([["a", "b"], ["c", "d"]])
    table = top_contexts(np.array([[1.0], [1], [1], [0]]), words, 0, n_contexts=3, sign="positive")
    assert table["word"].tolist() == ["a", "b", "c"]
    distinct = top_contexts(
        np.array([[1.0], [1], [1], [0]]), words, 0, sign="positive", distinct_texts=True
    )
    assert distinct["word"].tolist() == ["a", "c"]


def test_half_precision_is_enough(X, words):
    half = X.astype(np.float16)
    table = top_contexts(half, words, [1])
    expected = top_contexts(half.astype(np.float64), words, [1])
    pd.testing.assert_frame_equal(table, expected)


def test_wrong_input_is_named(X, words):
    with pytest.raises(ValueError, match="reads the column 'start' of the frame of words"):
        top_contexts(X, words[["text", "word"]], [0])
    with pytest.raises(ValueError, match="'words' parameter of top_contexts.*DataFrame.{'text'"):
        top_contexts(X, words["word"], [0])
    with pytest.raises(ValueError, match="selects no column"):
        top_contexts(X, words, np.zeros(7, dtype=bool))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        top_contexts(X[1:], words, [0])
    with pytest.raises(ValueError, match="'window' parameter of top_contexts"):
        top_contexts(X, words, [0], window=-1)
    with pytest.raises(ValueError, match="are constant over all rows"):
        top_contexts(np.zeros_like(X), words, [0])
