# SPDX-License-Identifier: BSD-3-Clause
"""The mean-difference probe, against its definition and against scikit-learn's LDA."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from sklearn_neurox.probes import MeanDifferenceProbeClassifier
from sklearn_neurox.probes._mean_difference import _class_moments
from sklearn_neurox.utils import _validation

_SHRINKAGES = [None, 0.0, 0.3, 1.0, "auto"]


def _data(n_classes, n=240, d=9, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 2 * rng.normal(size=(n_classes, d))[y]
    return X * np.geomspace(0.1, 10, d) + rng.normal(size=d), np.array(list("cabd"))[y]


def _lda(shrinkage, solver="lsqr"):
    # Its None does not shrink, as our 0 does not.
    return LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage or None)


@pytest.mark.slow
@pytest.mark.parametrize("shrinkage", [0.3, "auto"])
def test_neurons_that_are_constant_within_a_class(shrinkage):
    X, y = _data(3)
    for value in [0.0, 1.3, 1e3]:
        for members in [y == "a", y != "a", np.full(len(y), True)]:
            dead = X.copy()
            dead[members, 3] = value
            for order in [np.arange(len(y)), np.argsort(y), np.argsort(y)[::-1]]:
                lda = _lda(shrinkage).fit(dead[order], y[order])
                for matrix in [dead[order], sparse.csr_array(dead[order])]:
                    probe = MeanDifferenceProbeClassifier(shrinkage).fit(matrix, y[order])
                    unit = np.abs(lda.covariance_).max()
                    np.testing.assert_allclose(probe.covariance_, lda.covariance_, atol=1e-8 * unit)
                    ours, theirs = probe.predict_proba(dead), lda.predict_proba(dead)
                    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_with_shrinkage_it_is_scikit_learns_lda(n_classes):
    X, y = _data(n_classes)
    X[:, 3] = 5.0  # dead neurons
    for shrinkage in (0.0, 0.01, 0.3, 1.0, "auto"):
        lda, probe = _lda(shrinkage).fit(X, y), MeanDifferenceProbeClassifier(shrinkage).fit(X, y)
        ours, theirs = probe.predict_proba(X), lda.predict_proba(X)
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(probe.covariance_, lda.covariance_, rtol=1e-9, atol=1e-12)
        # The same vector is left out of every row.
        gaps = lda.coef_ - probe.coef_
        np.testing.assert_allclose(gaps, np.tile(gaps[0], (len(gaps), 1)), rtol=1e-8, atol=1e-9)
        if n_classes == 2:
            np.testing.assert_allclose(probe.coef_, lda.coef_, rtol=1e-8, atol=1e-9)
            np.testing.assert_allclose(probe.intercept_, lda.intercept_, rtol=1e-8)


def test_rows_of_coefficients_are_those_of_the_svd_solver():
    X, y = _data(4)
    lda, probe = _lda(None, "svd").fit(X, y), MeanDifferenceProbeClassifier(0.0).fit(X, y)
    np.testing.assert_allclose(probe.coef_, lda.coef_, rtol=1e-8)
    np.testing.assert_allclose(probe.decision_function(X), lda.decision_function(X), rtol=1e-8)


def test_without_shrinkage_coefficients_are_differences_of_means():
    X, y = _data(2)
    means = np.stack([X[y == label].mean(axis=0) for label in "ac"])
    probe = MeanDifferenceProbeClassifier().fit(X, y)
    np.testing.assert_allclose(probe.coef_, means[1:] - means[:1])
    np.testing.assert_allclose(probe.means_, means)
    assert probe.covariance_ is None
    X, y = _data(3)
    probe = MeanDifferenceProbeClassifier().fit(X, y)
    expected = [X[y == label].mean(axis=0) - X.mean(axis=0) for label in "abc"]
    np.testing.assert_allclose(probe.coef_, expected, rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_without_shrinkage_probabilities_are_those_of_spherical_gaussians(n_classes):
    X, y = _data(n_classes)
    classes, codes = np.unique(y, return_inverse=True)
    means = np.stack([X[y == label].mean(axis=0) for label in classes])
    variance = np.square(X - means[codes]).mean()
    log_density = -np.square(X[:, np.newaxis] - means).sum(axis=2) / (2 * variance)
    joint = np.exp(log_density - log_density.max(axis=1, keepdims=True)) * np.bincount(codes)
    probe = MeanDifferenceProbeClassifier().fit(X, y)
    assert probe.variance_ == pytest.approx(variance)
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probe.predict_proba(X), expected, rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(probe.predict(X), classes[expected.argmax(axis=1)])
    np.testing.assert_allclose(np.exp(probe.predict_log_proba(X)), expected, rtol=1e-7, atol=1e-12)
    one = MeanDifferenceProbeClassifier(1.0).fit(X, y)
    np.testing.assert_allclose(one.predict_proba(X), expected, rtol=1e-7, atol=1e-12)


def test_decision_values_are_linear_in_the_public_attributes():
    for n_classes in (2, 3):
        X, y = _data(n_classes)
        for shrinkage in _SHRINKAGES:
            probe = MeanDifferenceProbeClassifier(shrinkage).fit(X, y)
            scores = (X @ probe.coef_.T + probe.intercept_).squeeze()
            np.testing.assert_allclose(probe.decision_function(X), scores, atol=1e-9)


def test_batches_of_any_sizes_give_what_one_fit_gives():
    X, y = _data(3)
    order = np.random.default_rng(1).permutation(len(y))
    for shrinkage in (None, 0.0, 0.2):
        whole = MeanDifferenceProbeClassifier(shrinkage).fit(X, y)
        for cuts in ([120], [1, 2, 3, 200], [60, 120, 180]):
            stream = MeanDifferenceProbeClassifier(shrinkage)
            for rows in np.split(order, cuts):
                stream.partial_fit(X[rows], y[rows], classes=["a", "b", "c"])
            np.testing.assert_allclose(stream.coef_, whole.coef_, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(stream.intercept_, whole.intercept_, rtol=1e-9)
        # Going on after `fit` adds to it.
        both = MeanDifferenceProbeClassifier(shrinkage).fit(X[:100], y[:100])
        both.partial_fit(X[100:], y[100:])
        np.testing.assert_allclose(both.coef_, whole.coef_, rtol=1e-9, atol=1e-11)


def test_a_class_without_rows_yet_has_probability_zero():
    X, y = _data(3)
    for classes in (["a", "b", "c"], ["a", "b"]):
        probe = MeanDifferenceProbeClassifier(0.5)
        probe.partial_fit(X[y == "a"], y[y == "a"], classes=classes)
        np.testing.assert_array_equal(probe.predict_proba(X), np.eye(len(classes))[[0] * len(X)])
        assert np.isfinite(probe.coef_).all()


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.csc_array])
def test_sparse_rows_are_the_same_rows(container):
    X, y = _data(3)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.8] = 0
    for shrinkage in _SHRINKAGES:
        dense = MeanDifferenceProbeClassifier(shrinkage).fit(X, y)
        given = container(X)
        before = given.data.copy()
        probe = MeanDifferenceProbeClassifier(shrinkage).fit(given, y)
        np.testing.assert_array_equal(given.data, before)
        np.testing.assert_allclose(probe.coef_, dense.coef_, rtol=1e-8, atol=1e-12)
        assert probe.variance_ == pytest.approx(dense.variance_)
        np.testing.assert_allclose(probe.predict_proba(given), dense.predict_proba(X), atol=1e-9)


def test_repeated_entries_of_a_sparse_matrix_are_added():
    rows, columns = [0, 0, 1, 2, 3], [0, 0, 1, 1, 0]
    X = sparse.csr_array(sparse.coo_array(([1.0, 2.0, 4.0, 5.0, 1.0], (rows, columns)), (4, 2)))
    twice = sparse.csr_array(([1.0, 2.0, 4.0, 5.0, 1.0], columns, [0, 2, 3, 4, 5]), (4, 2))
    y = [0, 0, 1, 1]
    probe, same = (MeanDifferenceProbeClassifier().fit(each, y) for each in (twice, X))
    assert probe.variance_ == pytest.approx(same.variance_)
    np.testing.assert_allclose(probe.coef_, same.coef_)


def test_a_wide_sparse_matrix_is_never_made_dense():
    rng = np.random.default_rng(0)
    places = rng.integers(4000, size=80_000), rng.integers(20_000, size=80_000)
    X = sparse.csr_array((rng.normal(size=80_000), places), shape=(4000, 20_000))
    y = np.arange(4000) % 3
    tracemalloc.start()
    try:
        MeanDifferenceProbeClassifier().fit(X, y).predict(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6  # a dense copy takes 640 MB


@pytest.mark.parametrize(("shrinkage", "n_passes"), [(None, 1), (0.1, 1), ("auto", 2)])
def test_a_memory_map_is_read_in_blocks_at_most_twice(tmp_path, monkeypatch, shrinkage, n_passes):
    X, y = _data(3)
    mapped = np.memmap(tmp_path / "X", dtype=np.float16, mode="w+", shape=X.shape)
    mapped[:] = X
    half = np.asarray(mapped)
    expected = MeanDifferenceProbeClassifier(shrinkage).fit(half.astype(np.float64), y)
    n_read = []

    def counting(rows):
        n_read.append(len(rows))
        return rows.astype(np.float64)

    def never(*args, **kwargs):
        raise AssertionError("X was read to look for NaN")

    monkeypatch.setattr(_class_moments, "_BLOCK_BYTES", 50 * 8 * X.shape[1])
    monkeypatch.setattr(_class_moments, "_dense", counting)
    monkeypatch.setattr(_validation, "check_all_finite", never)
    probe = MeanDifferenceProbeClassifier(shrinkage).fit(mapped, y)
    assert sum(n_read) == n_passes * len(X)
    assert max(n_read) <= 50
    monkeypatch.undo()
    np.testing.assert_allclose(probe.coef_, expected.coef_, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(
        probe.predict_proba(half), expected.predict_proba(half.astype(np.float64)), atol=1e-12
    )


def test_a_common_offset_and_distant_classes_lose_no_digits():
    X, y = _data(2)
    for shrinkage in _SHRINKAGES:
        near = MeanDifferenceProbeClassifier(shrinkage).fit(X, y)
        far = MeanDifferenceProbeClassifier(shrinkage).fit(X + 1e6, y)
        np.testing.assert_allclose(far.coef_, near.coef_, rtol=1e-6)
        apart = X + 1e7 * (y == "c")[:, np.newaxis]
        probe = MeanDifferenceProbeClassifier(shrinkage).fit(apart, y)
        assert probe.variance_ >= near.variance_ * (1 - 1e-6)
        if shrinkage is not None:
            np.testing.assert_allclose(probe.covariance_, near.covariance_, rtol=1e-5, atol=1e-6)
            assert probe.variance_ == pytest.approx(near.variance_, rel=1e-6) or shrinkage
        assert probe.score(apart, y) == 1


def test_weights_count_rows():
    X, y = _data(3)
    weight = np.random.default_rng(2).integers(3, size=len(y))
    for shrinkage in _SHRINKAGES:
        for given in (X, sparse.csr_array(X)):
            weighted = MeanDifferenceProbeClassifier(shrinkage).fit(given, y, sample_weight=weight)
            repeated = MeanDifferenceProbeClassifier(shrinkage).fit(
                np.repeat(X, weight, axis=0), np.repeat(y, weight)
            )
            np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-10)
            np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-7)


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 60)), np.arange(20) % 2
    probe = MeanDifferenceProbeClassifier(0.0).fit(X, y)
    within = X - np.stack([X[y == k].mean(axis=0) for k in (0, 1)])[y]
    gap = X[y == 1].mean(axis=0) - X[y == 0].mean(axis=0)
    expected = np.linalg.pinv(within.T @ within / 20, hermitian=True, rcond=1e-10) @ gap
    np.testing.assert_allclose(probe.coef_[0], expected, rtol=1e-6, atol=1e-8)
    for shrinkage in (0.5, "auto"):
        lda = _lda(shrinkage).fit(X, y)
        probe = MeanDifferenceProbeClassifier(shrinkage).fit(X, y)
        np.testing.assert_allclose(probe.coef_, lda.coef_, rtol=1e-6)


def test_constant_rows_of_each_class():
    X, y = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0]]), ["a", "a", "b"]
    probe = MeanDifferenceProbeClassifier().fit(X, y)
    assert probe.predict(X).tolist() == y
    assert np.isfinite(probe.predict_proba(X)).all()
    with pytest.raises(ValueError, match="X is constant within every class.*shrinkage=None"):
        MeanDifferenceProbeClassifier(0.5).fit(X, y)


def test_bad_input_is_named():
    X, y = _data(2)
    probe = MeanDifferenceProbeClassifier()
    with pytest.raises(ValueError, match="are not in classes"):
        probe.partial_fit(X, y, classes=["a", "b"])
    with pytest.raises(ValueError, match=r"too large for float64: column \d, row \d+ is"):
        clone(probe).fit(X * 1e200, y)
    with pytest.raises(AttributeError) as caught:
        _ = MeanDifferenceProbeClassifier("auto").partial_fit
    assert "needs the fourth moments" in str(caught.value.__cause__)
    probe.fit(X, y).set_params(shrinkage=0.1)
    with pytest.raises(ValueError, match="after rows were read without it"):
        probe.partial_fit(X, y)
    wrong = sparse.csr_array(np.where(np.arange(9) == 4, np.nan, X))
    frame = pd.DataFrame(X.copy(), columns=[f"hidden.0.{i}" for i in range(9)])
    frame.iloc[7, 3] = np.inf
    for bad, where in ((wrong, "NaN: column 4, row 0"), (frame, "'hidden.0.3', row 7")):
        for shrinkage in _SHRINKAGES:
            with pytest.raises(ValueError, match=where):
                MeanDifferenceProbeClassifier(shrinkage).fit(bad, y)
    kept = MeanDifferenceProbeClassifier().fit(X, y)
    before = kept.coef_.copy()
    with pytest.raises(ValueError, match="NaN"):
        kept.partial_fit(wrong, y)
    np.testing.assert_array_equal(kept.partial_fit(X, y).coef_.round(9), before.round(9))
