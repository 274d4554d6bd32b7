# SPDX-License-Identifier: BSD-3-Clause
"""Layers read one at a time: the same numbers, and the memory of one layer."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._model import _forward
from sklearn_neurox.ranking import ProbelessRanker

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

GIVEN = {"cv": GroupKFold(2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_model(
        "llama", n_layers=3, hidden_size=8, path=tmp_path_factory.mktemp("llama")
    )


@pytest.fixture(scope="module")
def words():
    words = make_tagged_words(30, random_state=0)
    words["is_noun"] = words["upos"] == "NOUN"
    return words


@pytest.fixture
def n_batches(monkeypatch):
    """Count the batches that models read from now on."""
    seen, run_hidden = [], _forward.run_hidden
    monkeypatch.setattr(_forward, "run_hidden", lambda *a: (seen.append(1), run_hidden(*a)))
    return seen


def whole(features, probe, words, y, **params):
    """Profile the layers of the whole matrix."""
    features = clone(features)
    H = pd.DataFrame(np.asarray(features.fit_transform(words)))
    H.columns = features.get_feature_names_out()
    return layer_profile(probe, H, y, groups=words["text"], **GIVEN, **params)


# The parameters of the extractor, the strategy, and the probe that follows.
CASES = [
    ({}, "last", LogisticRegression()),
    ({"layers": [3, 1]}, "mean", make_pipeline(StandardScaler(), LogisticRegression())),
    (
        {"component": ["hidden", "mlp", "embedding"]},
        "first",
        make_pipeline(ProbelessRanker(n_neurons=0.5), LogisticRegression()),
    ),
    ({"layers": [2]}, "max", LogisticRegression()),
]


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["all", "asked", None])
def test_the_numbers_are_those_of_the_whole_matrix(stored, folder, words, tmp_path, n_batches):
    for number, (params, strategy, probe) in enumerate(CASES):
        cache = stored and ActivationCache(tmp_path / str(number), layers=stored)
        extractor = ActivationExtractor(folder, cache=cache, **params)
        features = make_pipeline(extractor, SubwordAggregator(strategy))
        steps = [step for _, step in probe.steps] if hasattr(probe, "steps") else [probe]
        pipeline = make_pipeline(*features, *steps)
        n_batches.clear()
        found = layer_profile(pipeline, words, words["is_noun"], groups=words["text"], **GIVEN)
        n_passes = len(n_batches)
        assert n_passes
        expected = whole(features, probe, words, words["is_noun"])
        pd.testing.assert_frame_equal(found, expected)
        given = {"groups": words["text"], "features": features, **GIVEN}
        same = layer_profile(probe, words, words["is_noun"], **given)
        pd.testing.assert_frame_equal(same, expected)
        # One pass of the model each time, or only the first time.
        assert len(n_batches) == (n_passes if stored else 3 * n_passes)


@pytest.mark.slow
def test_the_callers_estimators_are_left_alone(folder, words, tmp_path):
    pipeline = make_pipeline(
        ActivationExtractor(folder, cache=tmp_path), SubwordAggregator(), DummyClassifier()
    )
    before = repr(pipeline)
    layer_profile(pipeline, words, words["is_noun"], groups=words["text"], **GIVEN)
    assert repr(pipeline) == before and not hasattr(pipeline[-1], "classes_")


@pytest.mark.parametrize("backend", ["threading", pytest.param("loky", marks=pytest.mark.slow)])
def test_parallel_layers_give_the_same(backend, folder, words, tmp_path):
    pipeline = make_pipeline(
        ActivationExtractor(folder, cache=tmp_path), SubwordAggregator(), LogisticRegression()
    )
    given = {"groups": words["text"], "return_pairs": True, **GIVEN}
    expected = layer_profile(pipeline, words, words["is_noun"], **given)
    with parallel_config(backend=backend):
        found = layer_profile(pipeline, words, words["is_noun"], n_jobs=2, **given)
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.slow
def test_on_a_dask_cluster(folder, words, tmp_path):
    distributed = pytest.importorskip("distributed")
    pipeline = make_pipeline(
        ActivationExtractor(folder, cache=tmp_path), SubwordAggregator(), LogisticRegression()
    )
    given = {"groups": words["text"], **GIVEN}
    expected = layer_profile(pipeline, words, words["is_noun"], **given)
    with (
        distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None),
        parallel_config(backend="dask"),
    ):
        found = layer_profile(pipeline, words, words["is_noun"], **given)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.slow
def test_the_memory_is_that_of_one_layer(words, tmp_path):
    n_layers = 11
    model = make_tiny_model("llama", n_layers=n_layers, hidden_size=256, n_heads=2)
    many = pd.concat([words] * 10, ignore_index=True)
    pipeline = make_pipeline(
        ActivationExtractor(model, cache=tmp_path), SubwordAggregator(), DummyClassifier()
    )
    # A probe without memory of its own.
    pipeline[0].fill_cache(words)
    given = {"groups": many["text"], **GIVEN}
    tracemalloc.start()
    try:
        layer_profile(pipeline, many, many["is_noun"], **given)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one_layer = len(many) * 256 * 4
    # The layer itself, the training rows of a fold, and its test rows.
    assert one_layer < peak < n_layers / 2 * one_layer, peak / one_layer
