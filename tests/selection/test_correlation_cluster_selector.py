# SPDX-License-Identifier: BSD-3-Clause
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from benchmarks import _peers
from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.selection import CorrelationClusterSelector, _linkage
from sklearn_neurox.utils import _correlations as column_correlations


def _mixed(n_samples=300, n_features=120, n_factors=40, seed=0, dtype=np.float64):
    """Return columns that share a few factors and form clusters of all sizes."""
    rng = np.random.RandomState(seed)
    weights = rng.randn(n_factors, n_features) * (rng.rand(n_factors, n_features) < 2 / n_factors)
    X = rng.randn(n_samples, n_factors) @ weights + 0.3 * rng.randn(n_samples, n_features)
    return (X * rng.uniform(0.1, 10, n_features) + rng.randn(n_features)).astype(dtype)


def _distances(X):
    distances = 1 - np.abs(np.corrcoef(np.asarray(X, dtype=np.float64), rowvar=False))
    np.fill_diagonal(distances, 0)
    return (distances + distances.T) / 2


def _one_tree(X, threshold):
    tree = linkage(squareform(_distances(X), checks=False), "average")
    return _by_first_column(fcluster(tree, threshold, "distance"))


def _by_first_column(labels):
    return pd.factorize(np.asarray(labels))[0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_components_give_the_clusters_of_one_tree(threshold, dtype, monkeypatch):
    monkeypatch.setattr(_linkage, "_BLOCK_COLUMNS", 32)
    monkeypatch.setattr(column_correlations, "_BLOCK_ROWS", 100)
    for seed in range(5):
        X = _mixed(seed=seed, dtype=dtype)
        labels = CorrelationClusterSelector(threshold).fit(X).labels_
        np.testing.assert_array_equal(labels, _one_tree(X, threshold))


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_representatives_are_medoids(threshold):
    X = _mixed()
    selector = CorrelationClusterSelector(threshold).fit(X)
    distances = _distances(X)
    assert selector.n_clusters_ == len(selector.representatives_) == selector.labels_.max() + 1
    for label, representative in enumerate(selector.representatives_):
        members = np.flatnonzero(selector.labels_ == label)
        total = distances[np.ix_(members, members)].sum(axis=0)
        assert representative in members
        assert total[members == representative] <= total.min() + 1e-9
        if len(members) == 2:
            assert representative == members[0]


def test_redundant_copies_fall_together_and_the_first_speaks_for_them():
    planted = make_planted_neurons(
        2000, 100, n_informative=10, n_redundant=30, dtype=np.float64, random_state=0
    )
    selector = CorrelationClusterSelector(0.05).fit(planted.X)
    labels = selector.labels_
    assert selector.n_clusters_ == 70
    assert (labels[planted.redundant] == labels[planted.redundant_of]).all()
    firsts = np.unique(labels, return_index=True)[1]
    np.testing.assert_array_equal(selector.representatives_, firsts)


def test_clusters_do_not_depend_on_signs_scales_offsets_or_the_order_of_columns():
    X, rng = _mixed(), np.random.RandomState(1)
    labels = CorrelationClusterSelector(0.4).fit(X).labels_
    changed = X * rng.choice([-3.0, 0.5], X.shape[1]) + rng.randn(X.shape[1])
    np.testing.assert_array_equal(CorrelationClusterSelector(0.4).fit(changed).labels_, labels)
    order = rng.permutation(X.shape[1])
    permuted = CorrelationClusterSelector(0.4).fit(X[:, order]).labels_
    np.testing.assert_array_equal(permuted, _by_first_column(labels[order]))


def test_a_large_offset_in_single_precision_hides_nothing():
    X = _mixed(2000, 60).astype(np.float32) + np.float32(500)
    labels = CorrelationClusterSelector(0.3).fit(X).labels_
    np.testing.assert_array_equal(labels, _one_tree(X, 0.3))


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_weights_of_rows_are_repetitions(threshold):
    X, weight = _mixed(150), np.random.RandomState(1).randint(4, size=150)
    X[weight == 0, 5] = 7.0
    X[weight > 0, 5] = 0.1  # constant on the rows that count
    selector = CorrelationClusterSelector(threshold)
    weighted = selector.fit(X, sample_weight=weight)
    labels, kept = weighted.labels_, weighted.representatives_
    repeated = selector.fit(X.repeat(weight, axis=0))
    np.testing.assert_array_equal(labels, repeated.labels_)
    np.testing.assert_array_equal(kept, repeated.representatives_)
    assert labels[5] == -1
    assert (labels != selector.fit(X).labels_).any()


@pytest.mark.slow
def test_it_takes_the_memory_of_one_correlation_matrix(monkeypatch):
    monkeypatch.setattr(_linkage, "_BLOCK_COLUMNS", 64)
    X = np.random.RandomState(0).randn(50, 1500).astype(np.float16)
    X += X[:, :1]  # all hang together
    selector = CorrelationClusterSelector(0.9)
    tracemalloc.start()
    try:
        selector.fit(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert selector.n_clusters_ < 100
    assert peak < 1.1 * 8 * 1500**2


def test_constant_columns_are_left_out():
    X = _mixed(n_features=20)
    X[:, [0, 7]] = 3.1, 0.0
    selector = CorrelationClusterSelector(1.0).fit(X)
    assert np.flatnonzero(selector.labels_ == -1).tolist() == [0, 7]
    assert selector.n_clusters_ == 1 and selector.get_support().sum() == 1
    assert selector.to_frame()["size"].tolist() == [0, *[18] * 6, 0, *[18] * 12]
    with pytest.raises(ValueError, match="All 3 columns of X are constant over its 5 rows"):
        CorrelationClusterSelector().fit(np.ones((5, 3)))


def test_a_table_by_neuron():
    X = pd.DataFrame(_mixed(n_features=4), columns=[f"hidden.2.{i}" for i in range(4)])
    X["hidden.2.2"] = -X["hidden.2.0"]
    frame = CorrelationClusterSelector(0.01).fit(X).to_frame()
    assert frame.columns.tolist() == ["neuron", "layer", "unit", "cluster", "size", "selected"]
    assert frame["cluster"].tolist() == [0, 1, 0, 2]
    assert frame["size"].tolist() == [2, 1, 2, 1]
    assert frame["selected"].tolist() == [True, True, False, True]
    assert frame["layer"].tolist() == [2] * 4


def test_too_little_memory_names_a_threshold_that_fits():
    X = _mixed()
    with pytest.raises(ValueError, match="larger max_memory") as error:
        CorrelationClusterSelector(0.7, max_memory=2e-5).fit(X)
    message = str(error.value)
    named = float(message.split("Use threshold=")[1].split(",")[0])
    assert named < 0.7
    labels = CorrelationClusterSelector(named, max_memory=2e-5).fit(X).labels_
    np.testing.assert_array_equal(labels, _one_tree(X, named))
    copies = np.tile(X[:, :1], 100)
    with pytest.raises(ValueError, match=r"max_memory=2e-05. Use fewer neurons or layers"):
        CorrelationClusterSelector(0.5, max_memory=2e-5).fit(copies)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_labels_are_those_of_neurox(threshold):
    X = _mixed(1000, 400, 100, dtype=np.float32)
    try:
        _peers.peer_python()
    except (RuntimeError, OSError) as error:
        pytest.skip(f"no environment for NeuroX: {error}")
    theirs = _peers.neurox_clusters(X, threshold=threshold)
    ours = CorrelationClusterSelector(threshold).fit(X).labels_
    np.testing.assert_array_equal(ours, _by_first_column(theirs["labels"]))
