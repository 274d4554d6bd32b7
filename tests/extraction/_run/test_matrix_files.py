# SPDX-License-Identifier: BSD-3-Clause
"""Matrices in half precision and in files: same values, no saturation, no partial files."""

import mmap
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import ActivationExtractor, Activations, SubwordAggregator

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

STRATEGIES = ["first", "last", "mean", "max"]


def aggregate(plan, strategy="mean", **parameters):
    return SubwordAggregator(strategy, **parameters).fit_transform(plan)


@pytest.mark.parametrize("with_cache", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_half_precision_is_the_rounded_matrix(strategy, with_cache, tiny, words, tmp_path):
    """Rows whose tokens are in several windows are merged before rounding."""
    cache = tmp_path if with_cache else None
    for max_length in (None, 6):
        extractor = ActivationExtractor(tiny("bert"), cache=cache, max_length=max_length)
        plan = extractor.transform(words)
        H = aggregate(plan, strategy, dtype="float16")
        assert H.dtype == np.float16
        np.testing.assert_array_equal(H, aggregate(plan, strategy).astype(np.float16))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_overflow_is_an_error_that_names_the_neuron(strategy):
    stored = Activations.from_arrays(
        [np.ones((2, 3)), [[1.0, 70000.0, 2.0]]], feature_names=["hidden.0.0", "hidden.0.1", "x"]
    )
    with pytest.raises(OverflowError, match=r"neuron hidden\.0\.1 is 70000 .*float16 .*65504"):
        aggregate(stored, strategy, dtype="float16")
    assert aggregate(stored, strategy)[1, 1] == 70000


@pytest.mark.slow
def test_overflow_of_a_cached_neuron_names_it_too(live, words, tmp_path):
    import torch

    model, tokenizer = live("bert")
    with torch.no_grad():
        model.encoder.layer[1].output.LayerNorm.bias[7] = -2e5
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[2, 0], cache=tmp_path)
    for max_length in (None, 6):
        plan = extractor.set_params(max_length=max_length).transform(words)
        with pytest.raises(OverflowError, match=r"neuron hidden\.2\.7 is -[12]\d{5}"):
            aggregate(plan, dtype="float16")


def test_existing_infinities_are_kept():
    stored = Activations.from_arrays([[[np.float32(1.0), 2.0]]])
    stored._source.values[0, 0] = np.inf
    assert np.isinf(aggregate(stored, "last", dtype="float16")[0, 0])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("with_cache", [False, True])
def test_the_file_holds_the_matrix(with_cache, dtype, tiny, words, tmp_path):
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path / "c" if with_cache else None)
    plan, path = extractor.transform(words), tmp_path / "H.npy"
    H = aggregate(plan, memmap=path, dtype=dtype)
    assert isinstance(H.base, mmap.mmap) and H.dtype == dtype
    np.testing.assert_array_equal(H, aggregate(plan, dtype=dtype))
    np.testing.assert_array_equal(np.load(path), H)
    H[0] = 7  # the caller's copy, not the file
    assert not (np.load(path)[0] == 7).any()
    assert not list(tmp_path.glob("*.tmp"))


def test_an_older_matrix_stays_when_the_file_is_replaced(tiny, words, tmp_path):
    extractor, path = ActivationExtractor(tiny("bert")), tmp_path / "H.npy"
    first = aggregate(extractor.transform(words), memmap=path)
    kept = np.array(first)
    second = aggregate(extractor.transform(words.iloc[:5]), "max", memmap=str(path))
    np.testing.assert_array_equal(first, kept)
    assert np.load(path).shape == second.shape == (5, 48)


@pytest.mark.slow
def test_worker_processes_get_the_matrix_itself(tiny, words, tmp_path):
    """Not whatever its file holds by now, and not without the changes made in memory."""
    extractor, path = ActivationExtractor(tiny("bert")), tmp_path / "H.npy"
    first = aggregate(extractor.transform(words), memmap=path)
    first[3] = 7
    kept = np.array(first)
    aggregate(extractor.transform(words.iloc[::-1]), memmap=path)
    views = [first, first[2:5], first[::-1], np.asarray(first.T), pd.DataFrame(first)]
    expected = [kept, kept[2:5], kept[::-1], kept.T, kept]
    for backend in ("loky", "multiprocessing"):
        run = Parallel(n_jobs=2, backend=backend, max_nbytes=1)
        for got, right in zip(
            run(delayed(np.array)(view) for view in views), expected, strict=True
        ):
            np.testing.assert_array_equal(got, right)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)), kept)


def test_an_empty_matrix_is_mapped_too(tiny, words, tmp_path):
    plan = ActivationExtractor(tiny("bert")).transform(words)[:0]
    assert plan.pool("mean", memmap=tmp_path / "H.npy").shape == (0, 48)


@pytest.mark.slow
def test_cross_validation_and_pandas_take_mapped_matrices(tiny, words, tmp_path):
    features = make_pipeline(
        ActivationExtractor(tiny("bert"), cache=tmp_path / "cache"),
        SubwordAggregator(memmap=tmp_path / "H.npy"),
    )
    frame = features.set_output(transform="pandas").fit_transform(words)
    assert isinstance(frame, pd.DataFrame) and frame.columns[-1] == "hidden.2.15"
    features.set_output(transform="default")
    probe = make_pipeline(features, LogisticRegression(max_iter=500))
    folds = {"cv": GroupKFold(2), "groups": words["text"]}
    found = cross_val_score(probe, words, words["tag"], **folds)
    probe[0].set_params(subwordaggregator__memmap=None)
    np.testing.assert_array_equal(found, cross_val_score(probe, words, words["tag"], **folds))


def test_an_error_leaves_the_older_file(tiny, words, tmp_path):
    path = tmp_path / "H.npy"
    H = aggregate(Activations.from_arrays([np.ones((1, 2))]), memmap=path)
    with pytest.raises(OverflowError):
        aggregate(Activations.from_arrays([[[1e5]]]), memmap=path, dtype="float16")
    np.testing.assert_array_equal(np.load(path), H)
    assert os.listdir(tmp_path) == ["H.npy"]


@pytest.mark.slow
def test_a_full_disk_is_an_error_that_says_how_much_is_needed(tmp_path, run_fresh):
    script = (
        "import resource, sys, numpy as np\n"
        "from sklearn_neurox.extraction import Activations\n"
        "stored = Activations.from_arrays([np.ones((1, 5000))] * 3)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n"
        "    stored.pool('last', memmap=sys.argv[1])\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    printed = run_fresh(script, str(tmp_path / "H.npy"))
    assert "The matrix of 0.00 GB cannot be written to memmap=" in printed
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("parameters", [{"dtype": "float64"}, {"dtype": None}, {"memmap": 3}])
def test_wrong_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match="parameter of SubwordAggregator must be"):
        aggregate(Activations.from_arrays([np.ones((1, 2))]), **parameters)


def test_a_fitted_aggregator_can_be_pickled(tmp_path):
    aggregator = SubwordAggregator(memmap=tmp_path / "H.npy", dtype="float16")
    stored = Activations.from_arrays([np.ones((1, 2))])
    H = aggregator.fit_transform(stored)
    restored = pickle.loads(pickle.dumps(aggregator))
    np.testing.assert_array_equal(restored.transform(stored), H)
