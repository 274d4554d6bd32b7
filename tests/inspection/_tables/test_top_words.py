# SPDX-License-Identifier: BSD-3-Clause
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.inspection import top_words
from sklearn_neurox.inspection._tables import _chosen_neurons, _top_words
from sklearn_neurox.utils._names import neuron_names


@pytest.fixture
def data():
    """Return words of very different frequency and neurons of very different magnitude."""
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in rng.geometric(0.1, size=600)], dtype=object)
    X = rng.normal(size=(600, 12)) * 10.0 ** np.arange(-3, 9) + 5
    return X, words


def _by_groupby(X, words, min_count):
    """Compute mean, standard deviation and count of each word and neuron with pandas."""
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    grouped = pd.DataFrame(z).groupby(words)
    counts = grouped.size()
    frequent = counts[counts >= min_count].index
    deviations = pd.DataFrame(X).groupby(words).std(ddof=0)
    means = pd.DataFrame(X).groupby(words).mean()
    return tuple(part.loc[frequent] for part in (grouped.mean(), means, deviations, counts))


@pytest.mark.parametrize("sign", ["both", "positive", "negative", "absolute"])
@pytest.mark.parametrize("small_blocks", [False, True])
def test_every_number_is_that_of_a_group(data, sign, small_blocks, monkeypatch):
    if small_blocks:
        # Blocks that end within a type and contain few neurons.
        monkeypatch.setattr(_top_words, "_BLOCK_VALUES", 35)
        monkeypatch.setattr(_chosen_neurons, "_VALUES", 5 * 60)
    X, words = data
    table = top_words(X, words, n_words=4, min_count=3, sign=sign)
    z, means, deviations, counts = _by_groupby(X, words, 3)
    assert table["neuron"].drop_duplicates().tolist() == [f"x{i}" for i in range(12)]
    for neuron in range(12):
        own = table[table["neuron"] == f"x{neuron}"]
        ranked = z[neuron].sort_values(ascending=False)
        top, bottom = ranked.index[:4].tolist(), ranked.index[::-1][:4].tolist()
        size = z[neuron].abs().sort_values(ascending=False).index[:4].tolist()
        expected = {"both": top + bottom, "positive": top, "negative": bottom, "absolute": size}
        assert own["word"].tolist() == expected[sign]
        assert own["rank"].tolist() == [1, 2, 3, 4] * (len(own) // 4)
        np.testing.assert_allclose(own["z"], z[neuron][own["word"]], rtol=1e-8)
        np.testing.assert_allclose(own["mean"], means[neuron][own["word"]], rtol=1e-8)
        np.testing.assert_allclose(own["std"], deviations[neuron][own["word"]], rtol=1e-6)
        np.testing.assert_array_equal(own["count"], counts[own["word"]])
        signs = own["sign"].to_numpy()
        if sign == "both":
            assert signs.tolist() == ["+"] * 4 + ["-"] * 4
        else:
            ends = {"positive": "+", "negative": "-"}.get(sign)
            np.testing.assert_array_equal(signs, ends or np.where(own["z"] < 0, "-", "+"))


def test_half_precision_and_maps_are_read_in_place(data, tmp_path):
    X, words = data
    X = (X[:, :6] / X[:, :6].std(axis=0)).astype(np.float16)
    path = tmp_path / "X.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    table = top_words(mapped, words)
    pd.testing.assert_frame_equal(table, top_words(X.astype(np.float64), words))
    assert np.array_equal(mapped, X)


def test_neurons_by_index_name_and_mask_in_the_order_asked_for(data):
    X, words = data
    names = neuron_names([0, 1, 2], 4)
    frame = pd.DataFrame(X, columns=names)
    table = top_words(frame, pd.DataFrame({"word": words}), ["hidden.2.1", "hidden.0.0"])
    assert table["neuron"].drop_duplicates().tolist() == ["hidden.2.1", "hidden.0.0"]
    pd.testing.assert_frame_equal(table, top_words(X, words, [9, 0], input_features=names))
    one = top_words(X, words, "hidden.2.1", input_features=names)
    expected = table[table["neuron"] == "hidden.2.1"]
    pd.testing.assert_frame_equal(one, expected.reset_index(drop=True))
    pd.testing.assert_frame_equal(one, top_words(X, words, 9, input_features=names))
    pd.testing.assert_frame_equal(one, top_words(frame, words, np.arange(12) == 9))
    # Many neurons take a different code path from few.
    many = top_words(frame, words, list(range(11, 0, -1)))
    chosen = many[many["neuron"] == "hidden.2.1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(chosen, one)


def test_counts_and_case():
    X = np.array([[0.0], [2.0], [4.0], [6.0], [9.0]])
    words = ["The", "the", "dog", "dog", "odd"]
    assert set(top_words(X, words, min_count=1)["word"]) == {"The", "the", "dog", "odd"}
    assert set(top_words(X, words, min_count=2)["word"]) == {"dog"}
    folded = top_words(X, words, min_count=2, case_sensitive=False, sign="negative")
    assert folded["word"].tolist() == ["the", "dog"] and folded["count"].tolist() == [2, 2]
    np.testing.assert_allclose(folded["mean"], [1, 5])
    with pytest.raises(
        ValueError, match="No word occurs 3 times.* the most frequent word occurs 2 times"
    ):
        top_words(X, words, min_count=3)
    texts = ["The dog", "An odd dog", "the", "dog", "odd"]
    with pytest.raises(ValueError, match="occurs 1 time. .* whole texts, pass a frame with the"):
        top_words(X, texts)


def test_planted_words_are_found():
    rng = np.random.default_rng(0)
    words = rng.choice(["a", "b", "c", "d"], size=400)
    X = rng.normal(size=(400, 3))
    X[words == "b", 1] += 3
    X[words == "c", 1] -= 3
    table = top_words(X, words, 1, n_words=1)
    assert table["word"].tolist() == ["b", "c"] and table["sign"].tolist() == ["+", "-"]
    # Its standard deviation is near 2.3, most of it between the words.
    np.testing.assert_allclose(table["z"], [1.3, -1.3], atol=0.1)
    np.testing.assert_allclose(table["std"], 1, atol=0.15)


def test_constant_neurons_are_left_out_of_all_and_refused_by_name(data):
    X, words = data
    X[:, 3] = 7
    with pytest.warns(UserWarning, match=r"top_words: 1 of 12 neurons .* \(the first is 'x3'\)"):
        table = top_words(X, words)
    assert "x3" not in set(table["neuron"]) and "x4" in set(table["neuron"])
    with pytest.raises(ValueError, match="'x3'.* so no word stands out. Leave these neurons out"):
        top_words(X, words, [3, 4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neurons": []}, "selects no column"),
        ({"neurons": [0, 5]}, "was given neuron 5, but the 2 columns"),
        ({"neurons": "hidden.0.0"}, "by name, but X has no feature names"),
        ({"words": ["a"]}, "inconsistent numbers of samples"),
        ({"words": ["a", None, "a", "b"]}, "1 of 4 words given to top_words are missing"),
        ({"words": pd.DataFrame({"form": list("abcd")})}, "reads the column 'word'"),
        ({"X": [[0, np.inf]] * 4}, "Input X contains infinity: column 1, row 0"),
        ({"X": np.ones((4, 2))}, "2 of 2 neurons are constant"),
        ({"input_features": ["a"]}, "has 1 names, but there are 2"),
        ({"sign": "up"}, "'sign' parameter of top_words"),
        ({"min_count": 0}, "'min_count' parameter of top_words"),
    ],
)
def test_wrong_input_is_named(change, message):
    given = {"X": np.arange(8.0).reshape(4, 2), "words": list("aabb"), "min_count": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            top_words(**{**given, **change})


@pytest.mark.slow
def test_a_matrix_of_half_precision_is_never_upcast_whole(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "X.npy"
    np.save(path, rng.normal(size=(30_000, 400)).astype(np.float16))
    X, words = np.load(path, mmap_mode="r"), rng.integers(50, size=30_000).astype(str)
    tracemalloc.start()
    top_words(X, words)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 24 MB in half precision, 96 MB in double precision.
    assert peak < 48e6
