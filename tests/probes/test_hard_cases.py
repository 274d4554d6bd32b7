# SPDX-License-Identifier: BSD-3-Clause
"""Data that are hard for solvers: every fit must end with a certificate or a warning."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor
from tests.probes.oracles import (
    Problem,
    assert_certified,
    classes_data,
    numbers_data,
    objective_of,
)

# Many fits each.
pytestmark = pytest.mark.slow

_SOLVERS = ["auto", "saga", "svrg", "fista"]


def fit_and_check(probe, X, y, **options):
    """Fit; assert that the certificate is valid, and within tol unless a warning is issued."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        probe.fit(X, y)
    assert np.isfinite(probe.coef_).all()
    assert np.isfinite(probe.intercept_).all()
    assert_certified(probe, X, y)
    reached = probe.dual_gap_ <= probe.tol * objective_of(probe, X, y) * (1 + 1e-6)
    warned = any(w.category is ConvergenceWarning for w in caught)
    assert bool(reached) != warned
    return probe, warned


def separable(n_classes, n_samples=90, seed=0):
    rng = np.random.RandomState(seed)
    y = np.arange(n_samples) % n_classes
    return rng.normal(size=(n_samples, 6)) + 12 * np.eye(6)[y], y


@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_separable_classes_without_penalty(n_classes, solver):
    X, y = separable(n_classes)
    probe = ElasticNetProbeClassifier(0, tol=1e-12, max_iter=60, solver=solver, random_state=0)
    with pytest.warns(ConvergenceWarning, match="separable"):
        probe.fit(X, y)
    assert np.isfinite(probe.coef_).all()
    assert probe.score(X, y) == 1.0


@pytest.mark.parametrize(
    ("n_classes", "solver"), [(n, s) for n in (2, 3) for s in _SOLVERS] + [(2, "newton")]
)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_separable_classes_with_little_penalty(n_classes, solver, l1_ratio):
    X, y = separable(n_classes)
    probe = ElasticNetProbeClassifier(1e-5, l1_ratio, solver=solver, max_iter=300, random_state=0)
    probe, _ = fit_and_check(probe, X, y)
    assert probe.score(X, y) == 1.0


def test_separable_classes_with_little_penalty_converge():
    for n_classes in (2, 3):
        X, y = separable(n_classes)
        probe = ElasticNetProbeClassifier(1e-4, standardize=True, random_state=0)
        assert not fit_and_check(probe, X, y)[1]


@pytest.mark.parametrize("solver", _SOLVERS)
def test_a_hundred_classes_of_three_samples(solver):
    rng = np.random.RandomState(0)
    y = np.repeat(np.arange(100), 3)
    X = rng.normal(size=(100, 40))[y] + 0.3 * rng.normal(size=(300, 40))
    probe = ElasticNetProbeClassifier(1e-3, solver=solver, tol=1e-2, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    assert not warned
    assert probe.coef_.shape == (100, 40)
    assert probe.score(X, y) > 0.9


@pytest.mark.parametrize("n_classes", [2, 8])
def test_one_sample_per_class(n_classes):
    X = np.random.RandomState(0).normal(size=(n_classes, 20))
    probe, warned = fit_and_check(ElasticNetProbeClassifier(1e-2), X, np.arange(n_classes))
    assert not warned
    assert probe.score(X, np.arange(n_classes)) == 1.0


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("standardize", [False, True])
def test_two_rows_one_column(kind, standardize):
    probe = kind(1e-2, standardize=standardize, tol=1e-6)
    probe, warned = fit_and_check(probe, np.array([[-1.0], [3.0]]), np.array([0, 1]))
    assert not warned
    assert probe.coef_.ravel()[0] > 0


@pytest.mark.parametrize("n_samples", [50, 4000])
def test_all_labels_but_one_are_equal(n_samples):
    X = np.random.RandomState(0).normal(size=(n_samples, 5))
    y = np.zeros(n_samples, dtype=int)
    y[7] = 1
    X[7] = 6.0
    probe = ElasticNetProbeClassifier(1e-5, standardize=True, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    assert not warned
    assert probe.score(X, y) == 1.0


def test_very_unbalanced_classes():
    rng = np.random.RandomState(0)
    y = rng.choice(4, p=[0.97, 0.02, 0.008, 0.002], size=2500)
    X = rng.normal(size=(2500, 10)) + 2.0 * np.eye(10)[y]
    probe = ElasticNetProbeClassifier(1e-4, tol=1e-5, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    assert not warned
    found = objective_of(probe, X, y)
    assert found - Problem.of(probe, X, y).optimum() <= probe.dual_gap_
    # With a free intercept, mean probabilities equal the class frequencies.
    np.testing.assert_allclose(
        probe.predict_proba(X).mean(axis=0), np.bincount(y) / len(y), atol=1e-5
    )


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("standardize", [False, True])
def test_outlier_dimensions_and_dead_neurons(kind, solver, l1_ratio, standardize):
    X, y = classes_data() if kind is ElasticNetProbeClassifier else numbers_data()
    X *= np.geomspace(1e-6, 1e6, 12)[np.random.RandomState(0).permutation(12)]
    X[:, 3] = X[:, 4]
    X[:, 7] = 1e3 / 3
    probe = kind(1e-2, l1_ratio, standardize=standardize, solver=solver, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    assert not np.atleast_2d(probe.coef_)[:, 7].any()
    assert not (warned and standardize)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize(("scale", "n_samples"), [(1e4, 300), (1e6, 300), (1e6, 3000)])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("is_mapped", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_outlier_dimension_in_single_precision(
    n_classes, scale, n_samples, l1_ratio, is_mapped, tmp_path
):
    # The penalty of that column is below the float32 resolution of the gradient.
    X, y = planted_with_outlier(n_samples, scale)
    y = y if n_classes == 3 else y > 0
    if is_mapped:
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    probe = ElasticNetProbeClassifier(1e-3, l1_ratio, random_state=0)
    _, warned = fit_and_check(probe, X, y)
    assert not warned


def planted_with_outlier(n_samples, scale):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_samples, 30))
    W = rng.normal(size=(3, 30)) * (rng.uniform(size=30) < 0.4)
    y = (X @ W.T + rng.gumbel(size=(n_samples, 3))).argmax(axis=1)
    X[:, 0] *= scale
    return X.astype(np.float32), y


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("solver", [*_SOLVERS, "newton"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_more_columns_than_rows(kind, solver, l1_ratio):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(30, 200))
    y = X[:, :3].sum(axis=1)
    if kind is ElasticNetProbeClassifier:
        y = (y > 0).astype(int)
    probe = kind(3e-2, l1_ratio, solver=solver, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    # With so few rows, stochastic solvers may need more than max_iter epochs and then warn.
    assert not warned or solver in ("saga", "svrg")
    if l1_ratio == 1 and not warned:
        assert np.count_nonzero(probe.coef_) <= 30


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("solver", _SOLVERS)
def test_one_column(kind, solver):
    X, y = classes_data(n_features=1) if kind is ElasticNetProbeClassifier else numbers_data(120, 1)
    probe, warned = fit_and_check(kind(1e-3, solver=solver, tol=1e-5, random_state=0), X, y)
    assert not warned


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("n_samples", [150, 3000])
def test_float16_whose_sums_overflow(kind, standardize, n_samples):
    data = classes_data if kind is ElasticNetProbeClassifier else numbers_data
    X, y = data(n_samples)
    X[:, 0] = 60000 + 400 * X[:, 0]
    X[:, 1] = -3e4 + 1e4 * X[:, 1]
    X = np.clip(X, -65000, 65000).astype(np.float16)
    probe = kind(1e-2, standardize=standardize, max_iter=200, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    assert not (warned and standardize)
    double = kind(1e-2, standardize=True, tol=1e-6, random_state=0).fit(X.astype(float), y)
    if standardize:
        np.testing.assert_allclose(
            objective_of(probe, X, y), objective_of(double, X, y), rtol=1.1e-3
        )
    assert np.isfinite(probe.predict(X)).all()


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_far_from_zero(kind, dtype):
    # A mean of a thousand standard deviations, as in outlier dimensions of layer norms.
    data = classes_data if kind is ElasticNetProbeClassifier else numbers_data
    X, y = data(3000)
    X = (X + 1e3 * np.arange(12)).astype(dtype)
    probe = kind(1e-3, standardize=True, tol=1e-4, random_state=0)
    probe, warned = fit_and_check(probe, X, y)
    assert not warned


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e30])
def test_a_matrix_of_any_unit(kind, scale):
    X, y = classes_data() if kind is ElasticNetProbeClassifier else numbers_data()
    expected = kind(1e-2, standardize=True, random_state=0, tol=1e-7).fit(X, y)
    found = kind(1e-2, standardize=True, random_state=0, tol=1e-7).fit(X * scale, y)
    np.testing.assert_allclose(found.coef_ * scale, expected.coef_, atol=1e-3)
    assert_certified(found, X * scale, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["auto", "saga", "svrg", "fista"])
@pytest.mark.parametrize("max_iter", [1, 2, 4, 16, 17])
def test_no_solver_takes_more_passes_than_allowed(solver, max_iter):
    X, y = classes_data(2100, n_classes=3)
    probe = ElasticNetProbeClassifier(
        1e-5, solver=solver, tol=1e-12, max_iter=max_iter, random_state=0
    ).fit(X, y)
    assert probe.n_iter_ <= max_iter
