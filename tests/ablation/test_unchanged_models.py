# SPDX-License-Identifier: BSD-3-Clause
"""Nobody takes the states of the unchanged model for those of an ablated one."""

import contextlib
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Memory, Parallel, delayed
from sklearn.pipeline import Pipeline, make_pipeline
from transformers import AutoModel

from sklearn_neurox.ablation import ablate_model, steer_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from sklearn_neurox.words import words_frame

_TEXTS = ["The cat sleeps", "Dogs bark"]
_UNITS = [1, 4]
_NEURONS = [f"hidden.1.{unit}" for unit in _UNITS]


@pytest.fixture(scope="module")
def folder():
    return make_tiny_model("bert", n_layers=2, hidden_size=8)


def _features(model, **parameters):
    return make_pipeline(
        ActivationExtractor(model, layers=[1], **parameters), SubwordAggregator("mean")
    )


def _read(features):
    forget_passes()  # reading a text for the third time is worth a warning, but not here
    return features.fit_transform(_TEXTS)


def _is_ablated(H):
    return bool((H[:, _UNITS] == 0).all())


@pytest.mark.slow
def test_an_ablation_acts_however_the_folder_is_spelled(folder, tmp_path, monkeypatch):
    link = tmp_path / "link"
    link.symlink_to(folder)
    monkeypatch.chdir(Path(folder).parent)
    relative = os.path.basename(folder)
    spellings = [
        (folder + os.sep, {}),
        (f"{folder}/../{relative}", {}),
        (relative, {}),
        (link, {}),
        (folder, {"allow_bin_weights": True}),
        (folder, {"revision": "main"}),
    ]
    for name, parameters in spellings:
        with ablate_model(folder, _NEURONS):
            assert _is_ablated(_read(_features(name, **parameters))), (name, parameters)
        with ablate_model(ActivationExtractor(name, **parameters), _NEURONS):
            assert _is_ablated(_read(_features(folder))), (name, parameters)
    assert not _is_ablated(_read(_features(folder)))


@pytest.mark.slow
def test_a_model_that_did_not_run_is_reported(folder):
    extractor = ActivationExtractor(folder, layers=[1])
    with pytest.warns(UserWarning, match="The model did not run while its neurons were changed"):
        with ablate_model(folder, _NEURONS):
            activations = extractor.transform(_TEXTS)
    assert not _is_ablated(SubwordAggregator("mean").fit_transform(activations))
    with pytest.warns(UserWarning, match="pass the extractor itself"):
        with ablate_model(folder, _NEURONS):
            _read(_features(folder, weights="random"))


def test_a_model_that_ran_is_not_reported(folder):
    live = AutoModel.from_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ablate_model(folder, ["hidden.2.0"]):
            _read(_features(folder))  # stops before the changed layer
        with ablate_model(live, _NEURONS) as model:
            model(torch.tensor([[5, 6]]))
        with contextlib.suppress(KeyError), ablate_model(folder, _NEURONS):
            raise KeyError


@pytest.mark.slow
def test_other_processes_do_not_read_the_unchanged_model(folder, tmp_path):
    features, filled = _features(folder), _features(folder, cache=tmp_path)
    _read(filled)
    activations = features[0].transform(_TEXTS)
    with ablate_model(folder, _NEURONS):
        for sent in (features, filled, activations):
            with pytest.raises(pickle.PicklingError) as raised:
                Parallel(n_jobs=2)(delayed(repr)(sent) for _ in range(2))
            assert "other processes would read" in str(raised.value.__cause__)
        shared = Parallel(n_jobs=2, prefer="threads")(
            delayed(_read)(_features(folder)) for _ in "ab"
        )
        assert all(map(_is_ablated, shared))


def test_memory_does_not_return_the_unchanged_model(folder, tmp_path):
    nested = Pipeline(
        [("features", _features(folder)), ("last", "passthrough")], memory=str(tmp_path)
    )
    kept = Memory(tmp_path, verbose=0).cache(_read)
    plain = _read(nested)
    np.testing.assert_array_equal(kept(_features(folder)), plain)
    with ablate_model(folder, _NEURONS):
        for read in (lambda: _read(nested), lambda: kept(_features(folder))):
            with pytest.raises(ValueError, match="set memory=None"):
                read()
        assert _is_ablated(_read(_features(folder)))
    np.testing.assert_array_equal(_read(nested), plain)


@pytest.mark.slow
def test_no_intervention_is_seen_by_a_cache(folder, tmp_path):
    live = AutoModel.from_pretrained(folder)
    plain = _read(_features(live, cache=tmp_path))
    files = sorted(tmp_path.rglob("*"))
    direction = pd.Series(np.arange(1.0, 9.0), index=[f"hidden.1.{unit}" for unit in range(8)])
    rows = words_frame([text.split() for text in _TEXTS])
    other = words_frame([["She", "sleeps"]])[:1]
    for context in (
        lambda: ablate_model(live, direction),
        lambda: ablate_model(live, _NEURONS, fill=2.0, positions="not_first"),
        lambda: ablate_model(live, _NEURONS, fill=2.0, positions=rows),
        lambda: ablate_model(live, _NEURONS, fill="interchange", positions=rows[:1], values=other),
        lambda: steer_model(live, direction, strength=0.5),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The model read 1 of the 2 texts")
            with context():
                with pytest.warns(UserWarning, match="neither read nor written"):
                    changed = _read(_features(live, cache=tmp_path))
        assert (changed != plain).any()
        assert sorted(tmp_path.rglob("*")) == files
        np.testing.assert_array_equal(_read(_features(live, cache=tmp_path)), plain)


def test_other_rows_are_read_from_a_cache(folder, tmp_path):
    extractor = ActivationExtractor(folder, layers=[1], cache=tmp_path)
    rows = words_frame([text.split() for text in _TEXTS])
    other = words_frame([["She", "sleeps"]])[:1]
    plain = extractor.transform(other).pool("mean")
    with ablate_model(
        extractor, "hidden.1.*", fill="interchange", positions=rows[:1], values=other
    ):
        found = ActivationExtractor(folder, layers=[1]).transform(rows).pool("mean")
    np.testing.assert_allclose(found[0], plain[0], atol=1e-6)
