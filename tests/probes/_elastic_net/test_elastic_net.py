# SPDX-License-Identifier: BSD-3-Clause
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor


def planted(n_samples=120, n_features=12, n_classes=3, seed=0, dtype=np.float64):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_samples, n_features)) * np.geomspace(0.3, 3, n_features) + 1
    W = rng.normal(size=(n_classes, n_features)) * (rng.uniform(size=n_features) < 0.5)
    y = (X @ W.T + rng.gumbel(size=(n_samples, n_classes))).argmax(axis=1)
    return X.astype(dtype), y


def objective(coef, intercept, X, y, alpha, l1_ratio):
    """Compute the objective from its definition, in plain NumPy."""
    scores = X @ coef.T + intercept
    if len(coef) == 1:
        scores = np.column_stack([np.zeros(len(X)), scores])
    loss = -log_softmax(scores, axis=1)[np.arange(len(y)), y].mean()
    ridge = (1 - l1_ratio) / 2 * (coef**2).sum()
    return loss + alpha * (l1_ratio * np.abs(coef).sum() + ridge)


def reference(X, y, alpha, l1_ratio):
    """Find the optimum independently: L-BFGS-B on positive and negative parts."""
    n_classes = y.max() + 1
    rows = 1 if n_classes == 2 else n_classes
    size = rows * X.shape[1]
    hot = np.eye(n_classes)[y][:, -rows:] if rows == 1 else np.eye(n_classes)[y]

    def fun(v):
        coef = (v[:size] - v[size : 2 * size]).reshape(rows, -1)
        intercept = v[2 * size :]
        scores = X @ coef.T + intercept
        full = scores if rows > 1 else np.column_stack([np.zeros(len(X)), scores])
        p = np.exp(log_softmax(full, axis=1))[:, -rows:] - hot
        gradient = p.T @ X / len(X) + alpha * (1 - l1_ratio) * coef
        l1 = alpha * l1_ratio
        split = np.concatenate([(gradient + l1).ravel(), (l1 - gradient).ravel(), p.mean(axis=0)])
        value = objective(coef, intercept, X, y, alpha, l1_ratio)
        value += l1 * (v[: 2 * size].sum() - np.abs(coef).sum())
        return value, split

    bounds = [(0, None)] * (2 * size) + [(None, None)] * rows
    options = {"maxiter": 20000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
    start = np.zeros(2 * size + rows)
    return minimize(fun, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun


@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(
    ("alpha", "l1_ratio"), [(1e-3, 0.5), (1e-2, 1.0), (1e-2, 0.0), (0.05, 0.9), (1e-4, 0.5)]
)
def test_objective_is_the_optimum(n_classes, alpha, l1_ratio):
    X, y = planted(n_classes=n_classes)
    probe = ElasticNetProbeClassifier(alpha, l1_ratio, tol=1e-9, max_iter=20000, random_state=0)
    probe.fit(X, y)
    found = objective(probe.coef_, probe.intercept_, X, y, alpha, l1_ratio)
    best = reference(X, y, alpha, l1_ratio)
    assert probe.dual_gap_ <= 1e-9 * found
    assert found == pytest.approx(best, rel=1e-7)
    assert found - best <= probe.dual_gap_ + 1e-12


@pytest.mark.parametrize("n_classes", [2, 3])
def test_ridge_equals_lbfgs(n_classes):
    X, y = planted(n_classes=n_classes)
    probe = ElasticNetProbeClassifier(0.01, 0.0, tol=1e-10, max_iter=20000, random_state=0)
    probe.fit(X, y)
    logistic = LogisticRegression(C=1 / (0.01 * len(X)), tol=1e-10, max_iter=20000).fit(X, y)
    np.testing.assert_allclose(probe.coef_, logistic.coef_, atol=1e-4)
    np.testing.assert_allclose(probe.predict_proba(X), logistic.predict_proba(X), atol=1e-4)


def test_lasso_has_the_support_of_scikit_learn():
    X, y = planted()
    X = StandardScaler().fit_transform(X)
    probe = ElasticNetProbeClassifier(0.02, 1.0, tol=1e-9, max_iter=20000, random_state=0)
    probe.fit(X, y)
    saga = LogisticRegression(
        C=1 / (0.02 * len(X)), l1_ratio=1.0, solver="saga", tol=1e-8, max_iter=20000
    ).fit(X, y)
    np.testing.assert_array_equal(probe.coef_ != 0, np.abs(saga.coef_) > 1e-6)
    assert 0 < (probe.coef_ != 0).mean() < 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("l1_ratio", [0.0, 0.1, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", [1e-4, 1e-3, 3e-2])
def test_gap_bounds_the_suboptimality_at_any_stage(alpha, l1_ratio, n_classes):
    X, y = planted(60, 8, n_classes, seed=int(1e5 * alpha))
    best = reference(X, y, alpha, l1_ratio)
    for max_iter in (1, 3, 10, 40):
        probe = ElasticNetProbeClassifier(
            alpha, l1_ratio, tol=0, max_iter=max_iter, random_state=0
        ).fit(X, y)
        found = objective(probe.coef_, probe.intercept_, X, y, alpha, l1_ratio)
        assert found - best <= probe.dual_gap_ + 1e-10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even:UserWarning")
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_saga_reaches_and_certifies_the_optimum(l1_ratio):
    X, y = planted(4000, 20, 4)
    probe = ElasticNetProbeClassifier(3e-3, l1_ratio, tol=1e-6, random_state=0).fit(X, y)
    found = objective(probe.coef_, probe.intercept_, X, y, 3e-3, l1_ratio)
    best = reference(X, y, 3e-3, l1_ratio)
    assert -1e-9 <= found - best <= probe.dual_gap_ <= 1e-6 * found


@pytest.mark.slow
def test_standardize_equals_a_scaler_before():
    X, y = planted()
    X[:, 3] = 7.0
    inside = ElasticNetProbeClassifier(standardize=True, tol=1e-10, max_iter=20000).fit(X, y)
    scaler = StandardScaler().fit(X)
    outside = ElasticNetProbeClassifier(tol=1e-10, max_iter=20000).fit(scaler.transform(X), y)
    coef = outside.coef_ / scaler.scale_
    np.testing.assert_allclose(inside.coef_, coef, atol=1e-4)
    np.testing.assert_allclose(
        inside.intercept_, outside.intercept_ - coef @ scaler.mean_, atol=1e-3
    )
    assert not inside.coef_[:, 3].any()


@pytest.mark.parametrize("standardize", [False, True])
def test_no_intercept(standardize):
    X, y = planted()
    scale = X.std(axis=0) if standardize else 1.0
    probe = ElasticNetProbeClassifier(
        0.01, 0.0, standardize=standardize, fit_intercept=False, tol=1e-9, max_iter=20000
    ).fit(X, y)
    logistic = LogisticRegression(
        C=1 / (0.01 * len(X)), tol=1e-10, max_iter=20000, fit_intercept=False
    ).fit(X / scale, y)
    np.testing.assert_allclose(probe.coef_, logistic.coef_ / scale, atol=1e-3)
    assert not probe.intercept_.any()


@pytest.mark.slow
def test_order_of_rows_and_names_of_classes_do_not_matter():
    X, y = planted()
    probe = ElasticNetProbeClassifier(tol=1e-9, max_iter=20000, random_state=0).fit(X, y)
    rows = np.random.RandomState(1).permutation(len(X))
    shuffled = clone(probe).fit(X[rows], y[rows])
    np.testing.assert_allclose(probe.coef_, shuffled.coef_, atol=1e-3)
    renamed = clone(probe).fit(X, np.array(["z", "y", "x"])[y])
    np.testing.assert_allclose(probe.coef_, renamed.coef_[::-1], atol=1e-3)
    assert list(renamed.classes_) == ["x", "y", "z"]
    assert set(renamed.predict(X)) <= {"x", "y", "z"}


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_alpha_max_is_where_the_last_coefficient_vanishes(standardize, n_classes):
    X, y = planted(n_classes=n_classes)
    Z = X - X.mean(axis=0)
    if standardize:
        Z /= X.std(axis=0)
    hot = np.eye(n_classes)[y]
    alpha_max = np.abs(Z.T @ (hot - hot.mean(axis=0))).max() / len(X) / 0.5
    probe = ElasticNetProbeClassifier(alpha_max * 1.0001, 0.5, standardize=standardize, tol=1e-6)
    with pytest.warns(UserWarning, match=f"alpha_max={alpha_max:.6g}"):
        probe.fit(X, y)
    assert not probe.coef_.any()
    assert probe.n_iter_ >= 1
    assert probe.set_params(alpha=alpha_max * 0.98).fit(X, y).coef_.any()


def test_convergence_warning_says_how_far_and_what_to_do():
    X, y = planted()
    with pytest.warns(ConvergenceWarning, match=r"max_iter=2 .*gap is .*tol requires.*standardize"):
        probe = ElasticNetProbeClassifier(1e-5, max_iter=2, tol=1e-8).fit(X, y)
    assert probe.n_iter_ == 2


def test_without_penalty():
    X, y = planted()
    y[::3] = np.random.RandomState(0).randint(3, size=len(y[::3]))
    probe = ElasticNetProbeClassifier(0, tol=1e-7, max_iter=20000, random_state=0).fit(X, y)
    best = reference(X, y, 0.0, 0.0)
    assert objective(probe.coef_, probe.intercept_, X, y, 0, 0) == pytest.approx(best, rel=1e-7)
    assert probe.dual_gap_ <= 1e-7


def test_without_penalty_separable_classes_warn():
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    with pytest.warns(ConvergenceWarning, match="separable"):
        ElasticNetProbeClassifier(0, tol=1e-9, max_iter=50).fit(X, [0, 0, 1, 1])


def variants():
    X, y = planted()
    frozen = X.astype(np.float32)
    frozen.flags.writeable = False
    return {
        "float16": X.astype(np.float16),
        "float32": X.astype(np.float32),
        "read-only": frozen,
        "fortran": np.asfortranarray(X),
        "reversed": X[:, ::-1],
        "frame": pd.DataFrame(X, columns=[f"hidden.0.{j}" for j in range(X.shape[1])]),
        "foreign": X.astype(">f8"),
        "integers": np.round(X).astype(int),
    }, y


@pytest.mark.slow
@pytest.mark.parametrize("name", list(variants()[0]))
def test_input_of_any_kind_is_accepted_and_not_modified(name):
    given, y = variants()
    X = given[name]
    before = X.copy()
    probe = ElasticNetProbeClassifier(1e-2, tol=1e-5, max_iter=20000, random_state=0).fit(X, y)
    plain = np.asarray(X, dtype=np.float64)
    expected = ElasticNetProbeClassifier(1e-2, tol=1e-5, max_iter=20000).fit(plain, y)
    np.testing.assert_allclose(probe.coef_, expected.coef_, atol=5e-2)
    np.testing.assert_allclose(probe.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probe.predict_proba(X), expected.predict_proba(plain), atol=2e-2)
    np.testing.assert_array_equal(np.asarray(X), np.asarray(before))


def test_outputs_have_the_precision_of_the_input():
    X, y = planted()
    probe = ElasticNetProbeClassifier(random_state=0).fit(X, y)
    assert probe.predict_proba(X).dtype == np.float64
    assert probe.predict_proba(X.astype(np.float32)).dtype == np.float32
    assert probe.predict_proba(X.astype(np.float16)).dtype == np.float32


@pytest.mark.slow
def test_same_random_state_same_bits():
    X, y = planted(3000, 10)
    first, second = (ElasticNetProbeClassifier(random_state=3).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.coef_, second.coef_)
    np.testing.assert_array_equal(first.intercept_, second.intercept_)


def wild():
    X, y = planted()
    X = X * np.geomspace(1e-8, 1e8, X.shape[1])
    X[:, 0] *= 1e-24
    X[:, 5] = 1e8 / 3
    return X, y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_wild_scales_converge_when_standardized(l1_ratio, dtype):
    X, y = wild()
    probe = ElasticNetProbeClassifier(1e-2, l1_ratio, standardize=True).fit(X.astype(dtype), y)
    assert not probe.coef_[:, 5].any()
    scaled = StandardScaler().fit_transform(X)
    # The solution equals that for harmless scales.
    expected = ElasticNetProbeClassifier(1e-2, l1_ratio).fit(scaled, y)
    agreement = (probe.predict(X.astype(dtype)) == expected.predict(scaled)).mean()
    assert agreement > 0.97


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_wild_scales_stay_finite_without_standardizing(l1_ratio):
    X, y = wild()
    probe = ElasticNetProbeClassifier(1e-2, l1_ratio).fit(X.astype(np.float32), y)
    assert np.isfinite(probe.coef_).all()
    assert not probe.coef_[:, 5].any()
    assert probe.score(X, y) > 0.4


def test_more_features_than_samples():
    X, y = make_classification(
        60, 300, n_informative=10, n_classes=3, random_state=0, class_sep=2.0
    )
    probe = ElasticNetProbeClassifier(random_state=0).fit(X, y)
    found = objective(probe.coef_, probe.intercept_, X, y, 1e-3, 0.5)
    assert found - reference(X, y, 1e-3, 0.5) <= probe.dual_gap_ <= 1e-3 * found


def test_one_feature_and_two_string_classes():
    X = np.array([[-2.0], [-1.0], [0.5], [-0.5], [1.0], [2.0]])
    y = np.array(["no", "no", "no", "yes", "yes", "yes"])
    probe = ElasticNetProbeClassifier().fit(X, y)
    assert probe.coef_.shape == (1, 1)
    assert probe.coef_ > 0
    assert probe.decision_function(X).shape == (6,)
    assert list(probe.predict([[-9.0], [9.0]])) == ["no", "yes"]


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_constant_matrix_predicts_the_frequencies(l1_ratio):
    X, y = np.ones((8, 3)), np.repeat([0, 1, 2], [1, 3, 4])
    probe = ElasticNetProbeClassifier(l1_ratio=l1_ratio)
    with pytest.warns(UserWarning, match="coefficients are zero, because no column"):
        probe.fit(X, y)
    np.testing.assert_allclose(probe.predict_proba(X)[0], [1 / 8, 3 / 8, 4 / 8])


@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
def test_the_warning_about_zero_coefficients_names_the_cause(kind):
    X, y = np.random.RandomState(0).normal(size=(40, 2)), np.arange(40) % 2
    for matrix, options, cause in [
        (X, {"alpha": 9.0, "l1_ratio": 0.5}, "alpha=9 is too large"),
        (X * 0, {"l1_ratio": 0.5}, "no column of X is linearly related"),
        (X * 0, {"l1_ratio": 0.0}, "no column of X is linearly related"),
        (X * 0, {"alpha": 0.0}, "no column of X is linearly related"),
    ]:
        with pytest.warns(UserWarning, match=f"coefficients are zero, because .*{cause}"):
            assert not kind(**options).fit(matrix, y).coef_.any()


def test_coefficients_that_are_zero_by_tolerance_alone_get_a_warning():
    X, y = np.random.RandomState(0).normal(size=(40, 2)), np.arange(40) % 2
    probe = ElasticNetProbeClassifier(l1_ratio=0.0, solver="svrg", random_state=0)
    with pytest.warns(UserWarning, match="are zero, because .* less than tol=0.001 allows"):
        probe.fit(X * 1e-9, y)
    assert probe.set_params(solver="newton").fit(X * 1e-9, y).coef_.any()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.eye(3), [1, 1, 1], "only 1 class"),
        (np.eye(1), [1], "minimum of 2"),
        (np.eye(3), [0.5, 1.2, 0.1], "Unknown label type"),
        (np.eye(3), ["a", None, "b"], "1 of 3 labels are missing"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), [0, 1], "column 1, row 0"),
        (np.array([[1.0, np.inf], [0.0, 1.0]], dtype=np.float16), [0, 1], "infinity: column 1"),
    ],
)
def test_bad_input(X, y, message):
    with pytest.raises(ValueError, match=message):
        ElasticNetProbeClassifier().fit(X, y)


def test_unknown_device():
    X, y = planted()
    with pytest.raises(ValueError, match="'device' parameter of ElasticNetProbeClassifier"):
        ElasticNetProbeClassifier(device="abacus").fit(X, y)


def test_fitted_state_is_plain_and_survives_pickling():
    X, y = planted()
    probe = ElasticNetProbeClassifier(random_state=0).fit(X, y)
    assert b"torch" not in pickle.dumps(probe)
    again = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(probe.predict_proba(X), again.predict_proba(X))


@pytest.mark.parametrize(("seed", "standardize"), [(6, True), (10, False)])
def test_few_rows_and_many_columns_in_float32_end(seed, standardize):
    # Regression test: backtracking compared rounding errors and never ended.
    X = np.random.RandomState(seed).randn(16, 2688).astype(np.float32)
    y = np.arange(16) % 2
    probe = ElasticNetProbeClassifier(standardize=standardize, random_state=0).fit(X, y)
    assert probe.score(X, y) == 1.0
    assert probe.n_iter_ < 1000


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logarithms_of_probabilities(n_classes):
    X, y = planted(n_classes=n_classes)
    probe = ElasticNetProbeClassifier(1e-3, tol=1e-8, random_state=0).fit(X, y)
    log_proba = probe.predict_log_proba(X)
    np.testing.assert_allclose(log_proba, np.log(probe.predict_proba(X)), atol=1e-10)
    # So confident that the probability itself underflows to zero.
    far = probe.predict_log_proba(1e4 * X)
    assert np.isfinite(far).all()
    assert far.min() < -1e3


def test_the_logarithm_of_a_class_without_weight_is_minus_infinity():
    X, y = planted()
    with pytest.warns(UserWarning, match="no sample of positive weight"):
        probe = ElasticNetProbeClassifier(random_state=0).fit(X, y, sample_weight=(y != 1) * 1.0)
    log_proba = probe.predict_log_proba(X)
    assert (log_proba[:, 1] == -np.inf).all()
    np.testing.assert_allclose(np.exp(log_proba), probe.predict_proba(X), atol=1e-12)
