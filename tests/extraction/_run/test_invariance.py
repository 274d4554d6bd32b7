# SPDX-License-Identifier: BSD-3-Clause
"""Activations do not depend on what scikit-learn and pandas do to the rows."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import _safe_indexing, resample

from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator
from sklearn_neurox.extraction._model._forward import StackTraits

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

POSITIONS = ["text", "start", "end"]


def classifier():
    return LogisticRegression(C=0.1, max_iter=500)


# Rows


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_permuted_and_repeated_rows_give_the_same_bits(seed, features, words):
    H = features.fit_transform(words)
    rng = np.random.default_rng(seed)
    for rows in (
        rng.permutation(len(words)),
        np.concatenate([np.arange(len(words)), rng.integers(len(words), size=50)]),
        np.arange(len(words))[::-1],
    ):
        np.testing.assert_array_equal(features.transform(words.iloc[rows]), H[rows])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2", "marian", "canine"])
def test_a_subset_of_rows_gives_the_corresponding_rows(family, tiny, words):
    features = make_pipeline(ActivationExtractor(tiny(family)), SubwordAggregator("max"))
    H = features.fit_transform(words)
    scale = np.abs(H).max()
    rng = np.random.default_rng(0)
    for rows in ([5], [0, 36], rng.choice(len(words), 12, replace=False), words["tag"] == "NOUN"):
        subset = words[rows] if isinstance(rows, pd.Series) else words.iloc[rows]
        np.testing.assert_allclose(features.transform(subset), H[rows], atol=1e-5 * scale, rtol=0)


def test_a_subset_with_every_text_gives_the_same_bits(features, words):
    H = features.fit_transform(words)
    first = words.drop_duplicates("text").index
    np.testing.assert_array_equal(features.transform(words.loc[first]), H[first])


def test_rows_of_a_text_may_overlap_and_nest(extractor, words):
    """A phrase has the tokens of its words, and a text those of all its words."""
    one = words[words["sentence_id"] == 0]
    text = one["text"].iloc[0]
    spans = [(0, len(text)), (0, 7), (4, 11), *zip(one["start"], one["end"], strict=True)]
    frame = pd.DataFrame([(text, *span) for span in spans], columns=POSITIONS)
    activations = extractor.transform(frame)
    counts = activations.n_subwords
    assert counts[0] == counts[3:].sum()
    assert counts[1] == counts[3] + counts[4]
    H = activations.pool("max")
    np.testing.assert_array_equal(H[0], H[3:].max(axis=0))
    np.testing.assert_array_equal(H[2], H[4:6].max(axis=0))
    whole = extractor.transform([text])
    np.testing.assert_array_equal(whole.pool("max")[0], H[0])


# Columns


@pytest.mark.slow
def test_labels_are_ignored(features, words):
    H = features.fit_transform(words, words["tag"])
    noise = words.assign(
        tag=np.random.default_rng(1).permutation(words["tag"]),
        position=np.nan,
        sentence_id=None,
        upos=[[1, 2]] * len(words),
    )
    for frame in (noise, words[POSITIONS], words[["end", "word", "start", "text"]]):
        np.testing.assert_array_equal(features.transform(frame), H)
        np.testing.assert_array_equal(clone(features).fit_transform(frame), H)


@pytest.mark.slow
def test_the_text_column_may_be_of_any_dtype(features, words):
    H = features.fit_transform(words)
    reordered = words["text"].cat.set_categories(words["text"].cat.categories[::-1])
    unused = words["text"].cat.add_categories(["never read", "Another"])
    for text in (words["text"].astype(object), words["text"].astype("string"), reordered, unused):
        np.testing.assert_array_equal(features.transform(words.assign(text=text)), H)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "Int64", "float64", object])
def test_whole_numbers_of_any_dtype_are_positions(dtype, features, words):
    frame = words.astype({"start": dtype, "end": dtype})
    np.testing.assert_array_equal(features.fit_transform(frame), features.fit_transform(words))


@pytest.mark.slow
def test_round_trips_of_the_frame(features, words, tmp_path):
    H = features.fit_transform(words)
    words.to_csv(tmp_path / "words.csv", index=False)
    parts = [words[words["sentence_id"] == i] for i in words["sentence_id"].unique()]
    for frame in (
        pd.read_csv(tmp_path / "words.csv"),
        pickle.loads(pickle.dumps(words)),
        pd.concat(parts),
        pd.concat(parts, ignore_index=True),
        words.merge(
            pd.DataFrame({"tag": ["NOUN", "VERB", "OTHER"], "code": [0, 1, 2]}), how="left"
        ),
        words.copy(deep=True),
    ):
        np.testing.assert_array_equal(features.transform(frame), H)


def test_round_trip_through_parquet(features, words, tmp_path):
    pytest.importorskip("pyarrow")
    words.to_parquet(tmp_path / "words.parquet")
    frame = pd.read_parquet(tmp_path / "words.parquet")
    np.testing.assert_array_equal(features.fit_transform(frame), features.fit_transform(words))


def test_the_frame_is_never_changed(features, words):
    words.index = words.index[::-1]
    before = words.copy(deep=True)
    features.fit_transform(words)
    pd.testing.assert_frame_equal(words, before)
    assert words["text"].cat.categories.equals(before["text"].cat.categories)


@pytest.mark.slow
def test_whole_texts_in_any_container(features, words):
    texts = ["Dogs bark", "The old dog", "Dogs bark", "A light rain"]
    H = features.fit_transform(texts)
    np.testing.assert_array_equal(H[0], H[2])
    for same in (
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        pd.Series(texts),
        pd.Series(texts, dtype="category"),
        pd.DataFrame({"text": texts}),
    ):
        np.testing.assert_array_equal(features.transform(same), H)


# Activations as scikit-learn sees them


@pytest.mark.slow
def test_activations_are_indexed_like_an_array(activations, words):
    H = activations.pool("mean")
    n = len(words)
    assert activations.shape == (n,) and len(activations) == n
    mask = np.arange(n) % 3 == 0
    for key in (
        0,
        -1,
        np.int64(5),
        slice(3, 9),
        slice(None, None, -2),
        slice(0),
        mask,
        list(mask),
        [4, 4, -2, 0],
        np.array([7, 1]),
        np.array([7, 1], dtype=np.uint8),
        [],
        range(3, 6),
        pd.Series([2, 3]),
    ):
        for chosen in (activations[key], activations[key, ...]):
            assert isinstance(chosen, Activations)
            expected = np.atleast_2d(H[list(key) if isinstance(key, (range, pd.Series)) else key])
            assert chosen.shape == (len(expected),)
            scale = np.abs(H).max()
            np.testing.assert_allclose(chosen.pool("mean"), expected, atol=1e-5 * scale, rtol=0)
            # Again: a selection of a selection.
            np.testing.assert_allclose(
                chosen[::-1].pool("mean"), expected[::-1], atol=1e-5 * scale, rtol=0
            )


def test_safe_indexing_and_resample_keep_the_plan(activations):
    for chosen in (
        _safe_indexing(activations, [3, 1]),
        _safe_indexing(activations, np.array([3, 1])),
        resample(activations, n_samples=2, random_state=0),
    ):
        assert isinstance(chosen, Activations)
        assert chosen.shape == (2,)


@pytest.mark.parametrize("key", [99, -99, [0, 99], np.ones(3, bool), (0, 0), (0, slice(None))])
def test_wrong_indices_are_refused(key, activations):
    with pytest.raises(IndexError):
        activations[key]


@pytest.mark.parametrize("key", [[[0, 1]], np.zeros((2, 2), int)])
def test_indices_of_two_axes_are_refused(key, activations):
    with pytest.raises(IndexError, match="one axis"):
        activations[key]


def test_fractional_indices_are_refused(activations):
    with pytest.raises(IndexError):
        activations[np.array([0.0, 1.0])]


def test_activations_are_not_an_array(activations):
    with pytest.raises(TypeError, match="SubwordAggregator after the ActivationExtractor"):
        np.asarray(activations)
    with pytest.raises(TypeError, match="SubwordAggregator"):
        LogisticRegression().fit(activations, np.zeros(len(activations)))
    with pytest.raises(TypeError, match="cannot be iterated"):
        list(activations)


def test_n_subwords_follow_the_rows(activations, words):
    counts = activations.n_subwords
    assert counts[words["word"] == "unquestionably"].item() > 3
    assert counts[words["word"] == "The"].tolist() == [1, 1]
    np.testing.assert_array_equal(activations[[5, 2]].n_subwords, counts[[5, 2]])


def test_pickles_of_activations_are_compact_and_compute_the_same(activations, words):
    H = activations.pool("mean")
    part = activations[:6]
    assert len(pickle.dumps(part)) < len(pickle.dumps(activations)) < 60_000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(activations)).pool("mean"), H)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(part)).pool("mean"), part.pool("mean"))


def test_pickles_hold_no_weights_and_no_texts(tiny, words):
    pipeline = make_pipeline(ActivationExtractor(tiny("bert")), SubwordAggregator(), classifier())
    pipeline.fit(words, words["tag"])
    stored = pickle.dumps(pipeline)
    assert len(stored) < 30_000
    assert b"barked" not in stored
    restored = pickle.loads(stored)
    np.testing.assert_array_equal(restored.predict(words), pipeline.predict(words))


def test_texts_that_depend_on_their_batch_run_alone(tiny):
    source = ActivationExtractor(tiny("gpt2")).transform(["a", "b"])._source
    traits = StackTraits(None, 0, supports_padding=True, batch_dependent=True, multiple=1)
    for lengths in ([1, 1, 1], [4, 1, 1], [2, 2, 7]):
        batches = source.plan(np.array(lengths), [traits])
        assert sorted(map(list, batches)) == [[0], [1], [2]], lengths
    independent = replace(traits, batch_dependent=False)
    assert [list(batch) for batch in source.plan(np.ones(3, int), [independent])] == [[0, 1, 2]]
