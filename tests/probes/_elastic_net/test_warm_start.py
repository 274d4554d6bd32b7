# SPDX-License-Identifier: BSD-3-Clause
"""Starting points: the previous solution, a seed, or from scratch."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
)
from tests.probes.oracles import assert_certified, classes_data, numbers_data, objective_of

_CASES = [
    (ElasticNetProbeClassifier, 2),
    (ElasticNetProbeClassifier, 3),
    (ElasticNetProbeRegressor, None),
    (ElasticNetProbeRegressor, 2),
]


def data_of(kind, number, n_samples=300):
    if kind is ElasticNetProbeClassifier:
        return classes_data(n_samples, n_classes=number)
    return numbers_data(n_samples, n_outputs=number)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _CASES)
@pytest.mark.parametrize("solver", ["auto", "saga", "svrg", "fista"])
@pytest.mark.parametrize("standardize", [False, True])
def test_a_fit_from_the_solution_takes_fewer_epochs(kind, number, solver, standardize):
    X, y = data_of(kind, number)
    probe = kind(
        1e-2, warm_start=True, solver=solver, standardize=standardize, tol=1e-6, random_state=0
    )
    cold = probe.set_params(max_iter=20000).fit(X, y)
    coef, n_iter = cold.coef_, cold.n_iter_
    again = cold.fit(X, y)
    # A cold start that needs one epoch, as Newton does for regression, cannot get any faster.
    assert again.n_iter_ == 1
    assert n_iter > 1 or (kind, solver) == (ElasticNetProbeRegressor, "auto")
    np.testing.assert_allclose(again.coef_, coef, atol=1e-9)
    # With a neighboring penalty, a warm start reaches the same optimum as a cold one.
    near = clone(probe).set_params(alpha=9e-3, warm_start=False).fit(X, y)
    again.set_params(alpha=9e-3).fit(X, y)
    assert objective_of(again, X, y) == pytest.approx(objective_of(near, X, y), rel=2e-6)
    assert again.dual_gap_ <= 1e-6 * objective_of(again, X, y)
    assert_certified(again, X, y)


@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_without_warm_start_the_last_solution_is_forgotten(kind, number):
    X, y = data_of(kind, number)
    probe = kind(1e-2, random_state=0).fit(X, y)
    coef = probe.coef_
    np.testing.assert_array_equal(probe.fit(X, y).coef_, coef)
    assert probe.n_iter_ == clone(probe).fit(X, y).n_iter_


@pytest.mark.slow
def test_other_classes_start_afresh():
    X, y = classes_data(300, n_classes=3)
    probe = ElasticNetProbeClassifier(1e-2, warm_start=True, random_state=0, tol=1e-8)
    probe.set_params(max_iter=20000).fit(X, y)
    fresh = clone(probe)
    two = y < 2
    for rows, labels in (
        (two, y),
        (~two | two, np.array(list("xyz"))[y]),
        (~two | two, (y + 1) % 3),
    ):
        probe.fit(X[rows], labels[rows])
        other = clone(fresh).fit(X[rows], labels[rows])
        np.testing.assert_array_equal(probe.classes_, other.classes_)
        np.testing.assert_allclose(probe.predict_proba(X), other.predict_proba(X), atol=1e-3)


def test_other_columns_and_outputs_start_afresh():
    X, y = numbers_data(300, n_outputs=2)
    probe = ElasticNetProbeRegressor(1e-2, warm_start=True, tol=1e-8).fit(X, y)
    probe.fit(X[:, :5], y[:, 0])
    assert probe.coef_.shape == (5,)
    expected = ElasticNetProbeRegressor(1e-2, tol=1e-8).fit(X[:, :5], y[:, 0])
    np.testing.assert_allclose(probe.coef_, expected.coef_, atol=1e-4)


@pytest.mark.parametrize(("kind", "number"), _CASES)
@pytest.mark.parametrize("solver", ["auto", "saga", "svrg", "fista"])
def test_a_seed_fixes_every_bit(kind, number, solver):
    X, y = data_of(kind, number, 2500)
    probe = kind(1e-3, random_state=7, solver=solver)
    first, second = clone(probe).fit(X, y), clone(probe).fit(X, y)
    np.testing.assert_array_equal(first.coef_, second.coef_)
    np.testing.assert_array_equal(first.intercept_, second.intercept_)
    assert first.dual_gap_ == second.dual_gap_
    assert first.n_iter_ == second.n_iter_


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ElasticNetProbeClassifierCV, ElasticNetProbeRegressorCV])
def test_a_seed_fixes_every_bit_of_a_path(kind):
    X, y = (classes_data if "Classifier" in kind.__name__ else numbers_data)(600)
    folds = [(np.arange(400), np.arange(400, 600)), (np.arange(200, 600), np.arange(200))]
    probe = kind(alphas=3, eps=0.03, cv=folds, solver="saga", random_state=1)
    first, second = clone(probe).fit(X, y), clone(probe).fit(X, y)
    np.testing.assert_array_equal(first.scores_, second.scores_)
    np.testing.assert_array_equal(first.coef_, second.coef_)


def test_a_seeded_fit_leaves_the_global_generator_alone():
    X, y = classes_data(2500)
    before = np.random.get_state()
    ElasticNetProbeClassifier(1e-2, random_state=0).fit(X, y)
    after = np.random.get_state()
    np.testing.assert_array_equal(after[1], before[1])
    assert after[2] == before[2]
