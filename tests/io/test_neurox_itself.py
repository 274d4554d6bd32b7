# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX 1.0.9 itself, in its own environment, reads our files and writes files that we read."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from benchmarks import _peers
from sklearn_neurox import ActivationExtractor, LCARanker, ProbelessRanker, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path, make_planted_neurons, make_tagged_words
from sklearn_neurox.io import read_neurox, write_neurox

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _environment():
    try:
        _peers.peer_python()
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no environment for NeuroX: {error}")


@pytest.fixture(scope="module")
def words():
    words = make_tagged_words(8, random_state=0)
    again = words[words["sentence_id"] == words["sentence_id"].iloc[0]]
    return pd.concat([words, again.assign(sentence_id=words["sentence_id"].max() + 1)])


@pytest.fixture(scope="module")
def H(words):
    model = ActivationExtractor(demo_model_path(), layers=[0, 3, 6]).fit_transform(words)
    return SubwordAggregator("last").set_output(transform="pandas").fit_transform(model)


# Two neurons of this model are dead: 9e-32 at most.
@pytest.mark.filterwarnings("ignore:.* 2 of 1152 neurons become 0 .*:UserWarning")
@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_neurox_reads_ours(tmp_path, words, H, suffix, dtype):
    write_neurox(tmp_path / f"acts{suffix}", H, words, dtype=dtype)
    theirs = _peers.neurox_read(tmp_path / f"acts{suffix}")
    assert theirs["n_layers"] == 3
    np.testing.assert_array_equal(theirs["H"].astype(dtype), H.to_numpy().astype(dtype))
    lengths = words.groupby("sentence_id", sort=False).size()
    np.testing.assert_array_equal(theirs["n_words"], lengths)


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
def test_neurox_reads_one_file_a_layer(tmp_path, words, H, suffix):
    write_neurox(tmp_path / f"acts{suffix}", H, words, decompose_layers=True)
    theirs = _peers.neurox_read(tmp_path / f"acts-layer6{suffix}")
    np.testing.assert_array_equal(theirs["H"].astype(np.float32), H.iloc[:, -384:])


@pytest.mark.parametrize("suffix", [".hdf5", ".json"])
@pytest.mark.parametrize("decompose_layers", [False, True])
def test_we_read_theirs(tmp_path, words, H, suffix, decompose_layers):
    path = tmp_path / f"acts{suffix}"
    options = {"n_layers": 3, "decompose_layers": decompose_layers, "filter_layers": "2,0"}
    _peers.neurox_write(path, H, words, **options)
    activations, stored = read_neurox(path, layers=[2, 0], **_stored(decompose_layers))
    assert stored["word"].tolist() == words["word"].tolist()
    expected = H.iloc[:, np.r_[2 * 384 : 3 * 384, :384]]
    # NeuroX writes eight decimals to JSON files.
    atol = 0 if suffix == ".hdf5" else 1e-8
    np.testing.assert_allclose(activations.pool("last"), expected, rtol=1e-7, atol=atol)


def _stored(decompose_layers):
    return {} if decompose_layers else {"stored_layers": [2, 0]}


def test_what_neurox_extracts_is_what_we_extract(words):
    texts = words.drop_duplicates("sentence_id")["text"].tolist()
    theirs = _peers.neurox_extract(demo_model_path(), texts)
    ours = SubwordAggregator("last").fit_transform(
        ActivationExtractor(demo_model_path()).fit_transform(words)
    )
    np.testing.assert_allclose(theirs["H"], ours, atol=2e-5)


def test_probeless_rankings_are_the_same():
    X, y = _planted()
    theirs = _peers.neurox_probeless(X, y)
    ours = ProbelessRanker().fit(X, y)
    np.testing.assert_array_equal(theirs["order"], ours.order_)
    np.testing.assert_array_equal(theirs["class_order"], ours.class_order_)


def test_on_the_same_weights_neuroxs_order_is_ours_in_coarse_steps():
    X, y = _planted()
    trained = _peers.neurox_train(X, y, l1=1e-3)
    probe = LogisticRegression().fit(X, y)
    probe.coef_, probe.intercept_ = trained["coef"], trained["intercept"]
    ours = LCARanker(FrozenEstimator(probe), importance="raw").fit(X, y)
    theirs = _peers.neurox_order(trained["coef"])
    assert sorted(theirs["order"]) == list(range(X.shape[1]))
    for cutoff in theirs["cutoffs"]:
        assert set(theirs["order"][:cutoff]) == set(ours.order_[:cutoff])
    top = _peers.neurox_top(trained["coef"], 0.3)
    for i, order in enumerate(ours.class_order_):
        np.testing.assert_array_equal(top[f"class_{i}"], order[: len(top[f"class_{i}"])])


@pytest.mark.parametrize("mass", [0.01, 0.1, 0.25, 0.5, 0.9])
def test_on_the_same_weights_neuroxs_mass_cut_is_ours(mass):
    X, y = _planted()
    probe = LogisticRegression().fit(X, y)
    coef = np.random.RandomState(0).laplace(size=probe.coef_.shape).astype(np.float32)
    probe.coef_ = coef
    ours = LCARanker(FrozenEstimator(probe), importance="raw", mass=mass).fit(X, y)
    theirs = _peers.neurox_top(coef, mass)
    np.testing.assert_array_equal(ours.get_support(indices=True), np.sort(theirs["overall"]))
    for i, scores in enumerate(ours.class_scores_):
        assert set(np.flatnonzero(scores > 1 - mass)) == set(theirs[f"class_{i}"])


def test_neurox_trains_to_what_it_can():
    X, y = _planted()
    trained = _peers.neurox_train(X, y, epochs=30)
    predicted = trained["classes"][(X @ trained["coef"].T + trained["intercept"]).argmax(axis=1)]
    assert np.mean(predicted == y) > 0.8
    target = X[:, :2].sum(axis=1)
    line = _peers.neurox_train_regression(X, target, epochs=100)
    fitted = X @ line["coef"][0] + line["intercept"][0]
    assert np.corrcoef(fitted, target)[0, 1] > 0.9


def test_a_traced_training_is_the_same_and_a_late_one_is_stopped():
    X, y = _planted()
    whole = _peers.neurox_train(X, y, epochs=3)
    traced = _peers.neurox_train(X, y, epochs=3, trace=True, timeout=60)
    np.testing.assert_array_equal(traced["coef"], whole["coef"])
    np.testing.assert_array_equal(traced["epoch_coef"][-1], whole["coef"])
    one = _peers.neurox_train(X, y, epochs=1)
    np.testing.assert_array_equal(traced["epoch_intercept"][0], one["intercept"])
    assert np.all(np.diff([0, *traced["epoch_seconds"], traced["seconds"]]) > 0)
    late = _peers.neurox_train(X, y, epochs=10**6, trace=True, timeout=0.5)
    assert 0 < len(late["epoch_seconds"]) < 10**6 and late["seconds"] <= 0.5
    with pytest.raises(TimeoutError, match="stopped at 'train' after 0.5 s"):
        _peers.neurox_train(X, y, epochs=10**6, timeout=0.5)


def _planted():
    data = make_planted_neurons(n_samples=400, n_neurons=40, random_state=0)
    return data.X, np.asarray(data.y)
