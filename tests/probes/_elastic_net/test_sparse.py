# SPDX-License-Identifier: BSD-3-Clause
"""Elastic-net probes on sparse matrices find what they find on the same matrix made dense."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.model_selection import KFold

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    GaussianProbeClassifier,
)
from tests.probes.oracles import Problem, objective_of


def features(n_samples=160, n_features=30, seed=0):
    """Sparse features of very different frequency and scale; one is always on, one never."""
    rng = np.random.RandomState(seed)
    X = rng.gamma(2, size=(n_samples, n_features)) * 10 ** rng.uniform(-1, 1, n_features)
    X *= rng.uniform(size=X.shape) < np.geomspace(0.02, 0.6, n_features)
    X[:, 0], X[:, 1] = 0, 3 + rng.uniform(size=n_samples)
    scores = ((X - X.mean(axis=0)) / X.std(axis=0).clip(1e-9)) @ rng.randn(
        n_features, 4
    ) + 2 * rng.randn(n_samples, 4)
    return X, scores


CASES = [
    # kind, target, parameters
    (ElasticNetProbeClassifier, "many", {}),
    (ElasticNetProbeClassifier, "many", {"standardize": True, "l1_ratio": 1.0}),
    (ElasticNetProbeClassifier, "many", {"l1_ratio": 0.0, "fit_intercept": False}),
    (ElasticNetProbeClassifier, "two", {"standardize": True}),
    (ElasticNetProbeClassifier, "two", {"solver": "fista"}),
    (ElasticNetProbeClassifier, "two", {"fit_intercept": False, "solver": "newton"}),
    (ElasticNetProbeRegressor, "number", {"standardize": True}),
    (ElasticNetProbeRegressor, "numbers", {"l1_ratio": 0.2}),
    (ElasticNetProbeRegressor, "number", {"l1_ratio": 0.0, "solver": "fista"}),
]


def targets(scores, name):
    if name == "many":
        return np.array(list("abcd"))[scores.argmax(axis=1)]
    if name == "two":
        return (scores[:, 0] > 0).astype(int)
    return scores[:, 0] if name == "number" else scores[:, :2]


@pytest.mark.parametrize("weighted", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
def test_the_optimum_is_that_of_the_dense_matrix(weighted):
    X, scores = features()
    weight = np.random.RandomState(1).randint(3, size=len(X)).astype(float) if weighted else None
    for kind, name, parameters in CASES:
        y = targets(scores, name)
        probe = kind(3e-2, tol=1e-7, max_iter=20_000, random_state=0, **parameters)
        probe.fit(sparse.csr_matrix(X), y, sample_weight=weight)
        best = Problem.of(probe, X, y, sample_weight=weight).optimum()
        found = objective_of(probe, X, y, sample_weight=weight)
        case = f"{kind.__name__} {name} {parameters}"
        assert found - best <= probe.dual_gap_ + 1e-9 * abs(best), case
        assert probe.dual_gap_ <= 1e-7 * found, case
        dense = kind(**probe.get_params()).fit(X, y, sample_weight=weight)
        assert probe.alpha_max_ == pytest.approx(dense.alpha_max_, rel=1e-9), case
        np.testing.assert_allclose(probe.coef_, dense.coef_, atol=2e-3 * np.abs(dense.coef_).max())
        for method in ("predict", "predict_proba", "decision_function"):
            if hasattr(probe, method) and name != "many":
                expected = getattr(probe, method)(X)
                got = getattr(probe, method)(sparse.csc_array(X))
                np.testing.assert_allclose(got, expected, atol=1e-9)


def kinds_of_sparse(X):
    zeros = sparse.csr_matrix(X + 1.0)
    zeros.data -= 1.0
    long = sparse.csr_matrix(X)
    long.indices, long.indptr = long.indices.astype(np.int64), long.indptr.astype(np.int64)
    raw = sparse.csr_matrix(X)
    runs = zip(raw.indptr[:-1], raw.indptr[1:], strict=True)
    twice = np.concatenate([np.tile(np.arange(first, after), 2) for first, after in runs])
    repeated = (raw.data[twice] / 2, raw.indices[twice], 2 * raw.indptr)
    return {
        "csr": sparse.csr_matrix(X),
        "array": sparse.csr_array(X),
        "csc": sparse.csc_matrix(X),
        "coo": sparse.coo_matrix(X),
        "lil": sparse.lil_matrix(X),
        "zeros": zeros,
        "long": long,
        "repeated": sparse.csr_matrix(repeated, shape=X.shape),
    }


@pytest.mark.slow
def test_every_sparse_format_is_taken_and_not_modified():
    X, scores = features(120, 20)
    y = targets(scores, "many")
    expected = ElasticNetProbeClassifier(0.05, tol=1e-6, random_state=0).fit(X, y)
    for name, given in kinds_of_sparse(X).items():
        before = given.copy()
        probe = ElasticNetProbeClassifier(0.05, tol=1e-6, random_state=0).fit(given, y)
        np.testing.assert_allclose(probe.coef_, expected.coef_, atol=1e-3, err_msg=name)
        assert given.nnz == before.nnz and abs(given - before).max() == 0, name
        if hasattr(before, "data") and before.format in ("csr", "csc"):
            np.testing.assert_array_equal(given.data, before.data, err_msg=name)


@pytest.mark.slow
def test_single_precision_reaches_a_tight_tolerance():
    X, scores = features()
    y = targets(scores, "many")
    probe = ElasticNetProbeClassifier(1e-2, tol=1e-7, max_iter=20_000, random_state=0)
    probe.fit(sparse.csr_matrix(X.astype(np.float32)), y)
    assert probe.dual_gap_ <= 1e-7 * objective_of(probe, X.astype(np.float32), y)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ElasticNetProbeClassifierCV, ElasticNetProbeRegressorCV])
def test_the_search_over_penalties(kind):
    X, scores = features()
    y = targets(scores, "many" if kind is ElasticNetProbeClassifierCV else "number")
    options = {"alphas": 4, "eps": 0.05, "cv": KFold(3), "tol": 1e-6, "random_state": 0}
    dense, probe = kind(**options).fit(X, y), kind(**options).fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(probe.alphas_, dense.alphas_)
    np.testing.assert_allclose(probe.scores_, dense.scores_, atol=0.02)
    assert probe.alpha_ == pytest.approx(dense.alpha_)


def test_what_would_be_dense_is_refused():
    X, scores = features(50, 10)
    given, y = sparse.csr_matrix(X), targets(scores, "two")
    for solver in ("saga", "svrg"):
        with pytest.raises(ValueError, match=f"solver='{solver}'.*but X is sparse.*'auto'"):
            ElasticNetProbeClassifier(solver=solver).fit(given, y)
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        ElasticNetProbeClassifier().partial_fit(given, y, classes=[0, 1])
    with pytest.raises(TypeError, match="Sparse data was passed for X, but Gaussian.*covariance"):
        GaussianProbeClassifier().fit(given, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(value):
    X, scores = features(50, 10)
    X[7, 3] = value
    with pytest.raises(ValueError, match="column 3, row 7"):
        ElasticNetProbeClassifier().fit(sparse.csr_matrix(X), targets(scores, "two"))
