# SPDX-License-Identifier: BSD-3-Clause
"""Transformations that must not change the solution, or must change it in a known way."""

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor
from tests.probes.oracles import classes_data, numbers_data

pytestmark = pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even number")

_PROBES = [
    (ElasticNetProbeClassifier, 2),
    (ElasticNetProbeClassifier, 4),
    (ElasticNetProbeRegressor, None),
    (ElasticNetProbeRegressor, 2),
]
_SOLVERS = ["auto", "saga"]


def case(kind, number, solver="auto", **parameters):
    if kind is ElasticNetProbeClassifier:
        X, y = classes_data(n_classes=number)
    else:
        X, y = numbers_data(n_outputs=number)
    settings = {"tol": 1e-9, "max_iter": 20000, "random_state": 0, **parameters}
    return kind(0.02, 0.5, solver=solver, standardize=True, **settings), X, y


def close(first, second):
    np.testing.assert_allclose(first, second, atol=1e-3)


@pytest.mark.parametrize(("kind", "number"), _PROBES)
@pytest.mark.parametrize("solver", _SOLVERS)
def test_permuted_rows_and_columns(kind, number, solver):
    probe, X, y = case(kind, number, solver)
    rng = np.random.RandomState(1)
    rows, columns = rng.permutation(len(X)), rng.permutation(X.shape[1])
    plain = clone(probe).fit(X, y)
    moved = clone(probe).fit(X[rows][:, columns], y[rows])
    close(np.atleast_2d(moved.coef_), np.atleast_2d(plain.coef_)[:, columns])
    close(moved.intercept_, plain.intercept_)
    assert moved.alpha_max_ == pytest.approx(plain.alpha_max_)


def test_permuted_outputs():
    probe, X, y = case(ElasticNetProbeRegressor, 3)
    close(clone(probe).fit(X, y[:, [2, 0, 1]]).coef_, probe.fit(X, y).coef_[[2, 0, 1]])


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize("solver", _SOLVERS)
@pytest.mark.parametrize("dtype", [object, str, int, float])
def test_permuted_class_names(number, solver, dtype):
    probe, X, y = case(ElasticNetProbeClassifier, number, solver)
    order = np.random.RandomState(2).permutation(number)
    if number == 2:
        order = np.array([1, 0])
    names = {object: np.array(list("abcd"), dtype=object), str: np.array(list("abcd"))}
    names = names.get(dtype, np.array([-3, 0, 5, 7], dtype=dtype if dtype is float else int))
    plain = clone(probe).fit(X, y)
    named = clone(probe).fit(X, names[order[y]])
    assert named.classes_.dtype == names.dtype
    close(named.predict_proba(X)[:, order], plain.predict_proba(X))
    if number == 2:
        close(named.coef_, -plain.coef_)
    else:
        close(named.coef_[order], plain.coef_)
    assert (named.predict(X) == names[order[plain.predict(X)]]).mean() > 0.99


@pytest.mark.parametrize(("kind", "number"), _PROBES)
@pytest.mark.parametrize("solver", _SOLVERS)
def test_standardized_columns_have_no_unit_and_no_origin(kind, number, solver):
    probe, X, y = case(kind, number, solver)
    rng = np.random.RandomState(3)
    unit = 10.0 ** rng.randint(-6, 7, size=X.shape[1]) * rng.choice([-1, 1], size=X.shape[1])
    plain = clone(probe).fit(X, y)
    moved = clone(probe).fit((X + rng.normal(size=X.shape[1])) * unit, y)
    close(moved.coef_ * unit, plain.coef_)
    np.testing.assert_array_equal(moved.coef_ == 0, plain.coef_ == 0)
    assert moved.alpha_max_ == pytest.approx(plain.alpha_max_, rel=1e-6)


@pytest.mark.parametrize(("kind", "number"), _PROBES)
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e5])
def test_constant_columns_get_zero_coefficients(kind, number, standardize, value):
    probe, X, y = case(kind, number)
    probe.set_params(standardize=standardize)
    plain = clone(probe).fit(X, y)
    more = clone(probe).fit(np.insert(X, [0, 5], value, axis=1), y)
    coef = np.atleast_2d(more.coef_)
    assert not coef[:, [0, 6]].any()
    close(np.delete(coef, [0, 6], axis=1), np.atleast_2d(plain.coef_))
    close(more.intercept_, plain.intercept_)


@pytest.mark.parametrize(("kind", "number"), _PROBES)
def test_without_intercept_a_constant_column_is_a_penalized_one(kind, number):
    probe, X, y = case(kind, number)
    probe.set_params(fit_intercept=False, standardize=False, alpha=1e-3)
    probe.fit(np.insert(X, 0, 1.0, axis=1), y)
    assert np.atleast_2d(probe.coef_)[:, 0].any()
    assert not np.any(probe.intercept_)


@pytest.mark.parametrize(("kind", "number"), _PROBES)
@pytest.mark.parametrize("solver", _SOLVERS)
def test_a_ridge_shares_between_copies_of_a_column(kind, number, solver):
    probe, X, y = case(kind, number, solver)
    plain = clone(probe).set_params(l1_ratio=0.0).fit(X, y)
    twice = clone(probe).set_params(l1_ratio=0.0, alpha=0.04).fit(np.hstack([X, X]), y)
    # Two halves have half the squared norm of the whole.
    first, second = np.split(np.atleast_2d(twice.coef_), 2, axis=1)
    close(first, second)
    close(first + second, np.atleast_2d(plain.coef_))


@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
@pytest.mark.parametrize(("kind", "number"), _PROBES)
@pytest.mark.parametrize("solver", _SOLVERS)
def test_a_lasso_predicts_the_same_with_copies_of_a_column(kind, number, solver):
    probe, X, y = case(kind, number, solver)
    plain = clone(probe).set_params(l1_ratio=1.0).fit(X, y)
    twice = clone(probe).set_params(l1_ratio=1.0).fit(np.hstack([X, X]), y)
    close(np.atleast_2d(twice.coef_).reshape(-1, 2, 12).sum(axis=1), np.atleast_2d(plain.coef_))
    assert np.abs(twice.coef_).sum() == pytest.approx(np.abs(plain.coef_).sum(), rel=1e-3)


@pytest.mark.parametrize(("kind", "number"), _PROBES)
def test_all_rows_twice(kind, number):
    probe, X, y = case(kind, number)
    plain = clone(probe).fit(X, y)
    twice = clone(probe).fit(np.vstack([X, X]), np.concatenate([y, y]))
    close(twice.coef_, plain.coef_)
    assert twice.alpha_max_ == pytest.approx(plain.alpha_max_)
