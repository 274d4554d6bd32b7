# SPDX-License-Identifier: BSD-3-Clause
"""The certificates of every solver, against an independently written dual."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor
from tests.probes.oracles import (
    Problem,
    assert_certified,
    classes_data,
    numbers_data,
    violation_of,
)

pytestmark = pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even number")

_KINDS = ["two classes", "four classes", "one output", "three outputs"]


def data_of(kind, seed=0):
    if "classes" in kind:
        return classes_data(n_classes=2 if kind == "two classes" else 4, seed=seed)
    return numbers_data(n_outputs=3 if kind == "three outputs" else None, seed=seed)


def probe_of(kind, *args, **parameters):
    probe = ElasticNetProbeClassifier if "classes" in kind else ElasticNetProbeRegressor
    return probe(*args, **{"random_state": 0, **parameters})


def test_the_oracle_agrees_with_scikit_learn():
    X, y = numbers_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        lasso = ElasticNet(0.1, l1_ratio=1.0, max_iter=4, tol=1e-30).fit(X, y)
    like = ElasticNetProbeRegressor(0.1, 1.0)
    problem = Problem.of(like, X, y)
    found = problem.gap(*problem.inside(lasso), dual_scale=1.0)
    assert found == pytest.approx(lasso.dual_gap_, rel=1e-6)
    assert found > 1e-4


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
def test_gap_matches_the_definition(kind, l1_ratio, fit_intercept, standardize):
    X, y = data_of(kind)
    problem = None
    for tol in (1e-1, 1e-2, 1e-5):
        probe = probe_of(
            kind, 0.02, l1_ratio, tol=tol, fit_intercept=fit_intercept, standardize=standardize
        ).fit(X, y)
        problem = Problem.of(probe, X, y)
        objective = problem.objective(*problem.inside(probe))
        assert_certified(probe, X, y)
        assert 0 <= probe.dual_gap_ <= tol * objective
        assert objective - problem.optimum() <= probe.dual_gap_ + 1e-9 * objective


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
def test_gap_matches_the_definition_with_weights(kind, l1_ratio):
    X, y = data_of(kind)
    weight = np.random.RandomState(1).choice([0.0, 0.3, 1.0, 5.0], size=len(X))
    for tol in (1e-1, 1e-5):
        probe = probe_of(kind, 0.02, l1_ratio, tol=tol, standardize=True)
        probe.fit(X, y, sample_weight=weight)
        assert_certified(probe, X, y, sample_weight=weight)
        assert violation_of(probe, X, y, sample_weight=weight) < 3 * np.sqrt(tol)


@pytest.mark.parametrize(
    ("kind", "solver"),
    [(kind, s) for kind in _KINDS for s in ("auto", "saga", "svrg", "newton", "fista")],
)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
def test_every_solver_meets_the_optimality_conditions(kind, solver, l1_ratio):
    X, y = data_of(kind)
    probe = probe_of(
        kind, 0.01, l1_ratio, solver=solver, standardize=True, tol=1e-8, max_iter=20000
    )
    if (kind, solver) == ("four classes", "newton"):
        with pytest.raises(ValueError, match="newton"):
            probe.fit(X, y)
        return
    probe.fit(X, y)
    problem = Problem.of(probe, X, y)
    objective = problem.objective(*problem.inside(probe))
    assert problem.violation(*problem.inside(probe)) < 2e-4
    assert objective == pytest.approx(problem.optimum(), rel=2e-8)
    if l1_ratio == 1:
        assert 0 < np.count_nonzero(probe.coef_) < probe.coef_.size


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("solver", ["saga", "svrg", "fista"])
def test_the_gap_of_an_unfinished_fit_is_valid_too(kind, solver):
    X, y = data_of(kind, seed=3)
    probe = probe_of(kind, 1e-4, solver=solver, tol=1e-12, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        probe.fit(X, y)
    assert probe.n_iter_ <= 3
    assert_certified(probe, X, y)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("solver", ["auto", "saga", "fista"])
def test_without_penalty_the_gradient_is_small(kind, solver):
    X, y = data_of(kind)
    if "classes" in kind:
        y = np.random.RandomState(0).permutation(y)
    probe = probe_of(kind, 0.0, solver=solver, tol=1e-5, max_iter=20000).fit(X, y)
    problem = Problem.of(probe.set_params(standardize=True), X, y)
    coef, intercept = problem.inside(probe)
    zeros = np.zeros_like(coef)

    def norm(coef, intercept):
        return np.linalg.norm(problem.residual(coef, intercept).T @ problem.Z / len(X))

    found = norm(coef, intercept) / norm(zeros, problem.best_intercept(zeros))
    assert found == pytest.approx(probe.dual_gap_, rel=1e-3, abs=1e-9)
    assert found <= 1.001e-5
    assert problem.objective(coef, intercept) == pytest.approx(problem.optimum(), rel=1e-6)


def test_ridge_regression_on_few_columns_solves_the_normal_equations():
    X, y = numbers_data(2500, n_outputs=2)
    for weight in (None, np.random.RandomState(0).uniform(0.5, 2, size=len(X))):
        probe = ElasticNetProbeRegressor(1e-2, 0.0, random_state=0).fit(X, y, sample_weight=weight)
        assert probe.n_iter_ == 1
        w = np.ones(len(X)) if weight is None else weight / weight.mean()
        Z = X - np.average(X, axis=0, weights=w)
        centered = y - np.average(y, axis=0, weights=w)
        hessian = Z.T @ (w[:, None] * Z) / len(X) + 1e-2 * np.eye(X.shape[1])
        expected = np.linalg.solve(hessian, Z.T @ (w[:, None] * centered) / len(X))
        np.testing.assert_allclose(probe.coef_, expected.T, rtol=1e-6, atol=1e-9)
