# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.probes import ElasticNetProbeRegressor
from tests.probes.oracles import Problem, assert_certified, numbers_data, objective_of

_SOLVERS = ["auto", "saga", "svrg", "newton", "fista"]


def exact(*args, **parameters):
    settings = {"tol": 1e-10, "max_iter": 20000, "random_state": 0, **parameters}
    return ElasticNetProbeRegressor(*args, **settings)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.01, 0.5), (0.3, 0.9), (0.1, 1.0), (2.0, 0.2)])
def test_equals_elastic_net(alpha, l1_ratio, fit_intercept):
    X, y = numbers_data()
    probe = exact(alpha, l1_ratio, fit_intercept=fit_intercept).fit(X, y)
    net = ElasticNet(
        alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, tol=1e-12, max_iter=100000
    ).fit(X, y)
    np.testing.assert_allclose(probe.coef_, net.coef_, atol=1e-5)
    assert probe.intercept_ == pytest.approx(net.intercept_, abs=1e-4)
    np.testing.assert_allclose(probe.predict(X), net.predict(X), atol=1e-4)
    np.testing.assert_array_equal(probe.coef_ == 0, np.abs(net.coef_) < 1e-8)


@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("n_outputs", [None, 3])
def test_every_solver_equals_lasso(solver, n_outputs):
    X, y = numbers_data(n_outputs=n_outputs)
    X = StandardScaler().fit_transform(X)
    probe = exact(0.2, 1.0, solver=solver).fit(X, y)
    lassos = [Lasso(0.2, tol=1e-12).fit(X, column) for column in y.reshape(len(y), -1).T]
    np.testing.assert_allclose(
        np.atleast_2d(probe.coef_), [lasso.coef_ for lasso in lassos], atol=1e-4
    )
    assert np.shape(probe.coef_) == ((12,) if n_outputs is None else (3, 12))
    assert np.shape(probe.intercept_) == (() if n_outputs is None else (3,))
    assert 0 < np.count_nonzero(probe.coef_) < probe.coef_.size


@pytest.mark.parametrize("solver", _SOLVERS)
def test_every_solver_equals_ridge_with_several_outputs(solver):
    X, y = numbers_data(n_outputs=3)
    probe = exact(0.3, 0.0, solver=solver).fit(X, y)
    ridge = Ridge(0.3 * len(X)).fit(X, y)
    np.testing.assert_allclose(probe.coef_, ridge.coef_, atol=1e-3)
    np.testing.assert_allclose(probe.predict(X), ridge.predict(X), atol=2e-3)


@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_without_penalty_equals_least_squares(solver, fit_intercept):
    X, y = numbers_data(n_outputs=2)
    probe = exact(0, solver=solver, tol=1e-7, fit_intercept=fit_intercept).fit(X, y)
    plain = LinearRegression(fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(probe.predict(X), plain.predict(X), atol=1e-3)
    assert probe.dual_gap_ <= 1e-7


def test_several_outputs_are_separate_fits():
    X, y = numbers_data(n_outputs=3)
    y *= [1.0, 10.0, 0.1]
    together = exact(0.05, 0.7, tol=1e-12).fit(X, y)
    for j in range(3):
        alone = exact(0.05, 0.7).fit(X, y[:, j])
        np.testing.assert_allclose(together.coef_[j], alone.coef_, atol=1e-5)
        np.testing.assert_array_equal(together.coef_[j] == 0, alone.coef_ == 0)
        assert together.intercept_[j] == pytest.approx(alone.intercept_, abs=1e-4)
    column = exact(0.05, 0.7).fit(X, y[:, [0]])
    assert column.coef_.shape == (1, 12)
    assert column.predict(X).shape == (len(X), 1)


@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_the_scale_of_the_targets_is_only_a_unit(solver, unit):
    X, y = numbers_data()
    plain = exact(0.1, 1.0).fit(X, y)
    # The loss scales with the square of the unit, an l1 penalty with the unit.
    scaled = exact(0.1 * unit, 1.0, solver=solver, tol=1e-9).fit(X, y * unit)
    np.testing.assert_allclose(scaled.coef_ / unit, plain.coef_, atol=1e-3)
    assert scaled.intercept_ / unit == pytest.approx(plain.intercept_, abs=1e-2)
    assert_certified(scaled, X, y * unit)
    assert scaled.alpha_max_ == pytest.approx(plain.alpha_max_ * unit)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("n_outputs", [None, 2])
def test_the_precision_of_the_matrix_is_that_of_its_values(dtype, n_outputs):
    X, y = numbers_data(n_outputs=n_outputs)
    X = X.astype(dtype)
    probe = ElasticNetProbeRegressor(0.05, tol=1e-5, random_state=0).fit(X, y)
    assert_certified(probe, X, y)
    expected = exact(0.05).fit(X.astype(np.float64), y)
    found = objective_of(probe, X, y)
    assert found == pytest.approx(objective_of(expected, X, y), rel=1e-5)
    assert found - Problem.of(probe, X, y).optimum() <= probe.dual_gap_ + 1e-9 * found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_far_from_zero(dtype):
    X, y = numbers_data()
    X = X.astype(dtype)
    settings = {"tol": 1e-6, "max_iter": 200}
    probe = exact(0.05, **settings).fit(X, y)
    moved = exact(0.05, **settings).fit(X, y + 1e5)
    np.testing.assert_allclose(moved.coef_, probe.coef_, atol=1e-3)
    assert moved.intercept_ == pytest.approx(probe.intercept_ + 1e5, abs=1e-2)
    if moved.n_iter_ > 100:
        raise ConvergenceWarning(f"{moved.n_iter_} epochs, for what takes {probe.n_iter_}")


def test_alpha_max_is_where_the_last_coefficient_vanishes():
    X, y = numbers_data(n_outputs=2)
    centered = X - X.mean(axis=0)
    expected = np.abs(centered.T @ (y - y.mean(axis=0))).max() / len(X) / 0.5
    probe = exact(expected * 1.0001)
    with pytest.warns(UserWarning, match=f"alpha_max={expected:.6g}"):
        probe.fit(X, y)
    assert probe.alpha_max_ == pytest.approx(expected)
    np.testing.assert_allclose(probe.predict(X)[0], y.mean(axis=0))
    assert np.count_nonzero(clone(probe).set_params(alpha=expected * 0.99).fit(X, y).coef_) == 1


@pytest.mark.filterwarnings("ignore:All coefficients are zero:UserWarning")
@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("value", [0.0, 1 / 3])
def test_constant_targets(solver, value):
    X, _ = numbers_data()
    probe = ElasticNetProbeRegressor(0.1, solver=solver).fit(X, np.full(len(X), value))
    assert not probe.coef_.any()
    assert probe.intercept_ == pytest.approx(value)
    assert 0 <= probe.dual_gap_ < 1e-12


def test_an_exact_fit_ends():
    X, _ = numbers_data()
    y = X @ np.arange(12) + 3
    probe = exact(0.0, tol=1e-8).fit(X, y)
    np.testing.assert_allclose(probe.coef_, np.arange(12), atol=1e-4)
    assert probe.score(X, y) == pytest.approx(1.0)


def test_too_few_epochs_warn():
    X, y = numbers_data()
    with pytest.warns(ConvergenceWarning, match="duality gap is .* but tol requires"):
        ElasticNetProbeRegressor(1e-4, solver="saga", tol=1e-9, max_iter=2).fit(X, y)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.eye(3), [1.0, np.nan, 0.0], "NaN"),
        (np.eye(3), [[1.0], [np.inf], [0.0]], "infinity"),
        (np.eye(3), [1.0, 2.0], "inconsistent numbers of samples"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), [0.0, 1.0], "column 1, row 0"),
        (np.eye(3), ["NOUN", "VERB", "NOUN"], "predicts numbers.*ElasticNetProbeClassifier"),
        (np.eye(3), pd.Series(["NOUN", "VERB", "NOUN"]), "predicts numbers.*'NOUN'"),
        (np.eye(3), np.array([1.0, "VERB", 2.0], dtype=object), "predicts numbers.*'VERB'"),
    ],
)
def test_bad_input(X, y, message):
    with pytest.raises(ValueError, match=message):
        ElasticNetProbeRegressor().fit(X, y)


def test_the_warning_for_constant_targets_does_not_blame_alpha():
    X = np.random.RandomState(0).normal(size=(50, 3))
    with pytest.warns(UserWarning, match="because no column of X is linearly related to y"):
        probe = ElasticNetProbeRegressor(0.1).fit(X, np.full(50, 2.5))
    np.testing.assert_array_equal(probe.predict(X), 2.5)
