# SPDX-License-Identifier: BSD-3-Clause
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor
from tests.probes.oracles import classes_data, numbers_data, objective_of

_CASES = [
    (ElasticNetProbeClassifier, 2),
    (ElasticNetProbeClassifier, 4),
    (ElasticNetProbeRegressor, None),
    (ElasticNetProbeRegressor, 2),
]


def data_of(kind, number, n_samples=2000):
    if kind is ElasticNetProbeClassifier:
        return classes_data(n_samples, n_classes=number)
    return numbers_data(n_samples, n_outputs=number)


def stream(probe, X, y, n_chunks=10, n_times=5, weight=None):
    is_classifier = isinstance(probe, ElasticNetProbeClassifier)
    options = {"classes": np.unique(y)} if is_classifier else {}
    for _ in range(n_times):
        for rows in np.array_split(np.arange(len(X)), n_chunks):
            given = {} if weight is None else {"sample_weight": weight[rows]}
            probe.partial_fit(X[rows], y[rows], **options, **given)
            options = {}
    return probe


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:With l1_ratio=1 and an even number")
@pytest.mark.parametrize(("kind", "number"), _CASES)
@pytest.mark.parametrize(("l1_ratio", "standardize"), [(0.0, True), (0.5, False), (1.0, True)])
def test_comes_near_the_optimum(kind, number, standardize, l1_ratio):
    X, y = data_of(kind, number)
    probe = kind(5e-3, l1_ratio, standardize=standardize, random_state=0)
    fitted = clone(probe).set_params(tol=1e-6).fit(X, y)
    best = objective_of(fitted, X, y)
    once = objective_of(stream(clone(probe), X, y, n_times=1), X, y)
    often = objective_of(stream(probe, X, y, n_times=8), X, y)
    assert best <= often * (1 + 1e-9)
    assert often < 1.05 * best
    assert once < 1.3 * best
    assert np.isnan(probe.dual_gap_)
    assert np.isnan(probe.alpha_max_)
    assert np.shape(probe.coef_) == np.shape(fitted.coef_)
    assert np.shape(probe.intercept_) == np.shape(fitted.intercept_)
    if kind is ElasticNetProbeClassifier:
        assert (probe.predict(X) == fitted.predict(X)).mean() > 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_coefficients_of_noise_columns_are_exactly_zero(kind, number):
    X, y = data_of(kind, number)
    X = np.hstack([X, np.random.RandomState(1).normal(size=(len(X), 30))])
    alpha = 0.1 if kind is ElasticNetProbeClassifier else 0.3
    probe = stream(kind(alpha, 1.0, standardize=True, random_state=0), X, y, n_times=5)
    noise = np.atleast_2d(probe.coef_)[:, 12:]
    assert (noise == 0).mean() > 0.8
    assert np.any(probe.coef_)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_weights_count(kind, number):
    X, y = data_of(kind, number)
    weight = np.random.RandomState(0).choice([0.0, 1.0, 4.0], size=len(X))
    probe = stream(kind(5e-3, random_state=0, standardize=True), X, y, n_times=8, weight=weight)
    best = kind(5e-3, tol=1e-6, standardize=True).fit(X, y, sample_weight=weight)
    found = objective_of(probe, X, y, sample_weight=weight)
    assert found < 1.04 * objective_of(best, X, y, sample_weight=weight)


def test_only_the_proportions_of_weights_count():
    X, y = classes_data(40)
    weight = np.where(np.arange(40) % 2, 0.5, 1.5)  # of mean 1, like no weights
    first, second = (
        stream(ElasticNetProbeClassifier(0.01, random_state=0), X, y, 2, 1, weight=given)
        for given in (weight, 2 * weight)
    )
    np.testing.assert_allclose(first.coef_, second.coef_, rtol=1e-6, atol=1e-9)


def test_without_an_intercept_there_is_none():
    X, y = numbers_data(60)
    probe = ElasticNetProbeRegressor(0.01, fit_intercept=False, random_state=0)
    assert stream(probe, X, y, 2, 1).intercept_ == 0


@pytest.mark.slow
def test_a_dict_of_class_weights_counts():
    X, y = classes_data(2000)
    by_class = {0: 5.0, 2: 0.2}
    options = {"class_weight": np.array([5.0, 1.0, 0.2])[y]}
    probe = stream(ElasticNetProbeClassifier(5e-3, class_weight=by_class, random_state=0), X, y)
    best = ElasticNetProbeClassifier(5e-3, class_weight=by_class, tol=1e-6).fit(X, y)
    assert objective_of(probe, X, y, **options) < 1.05 * objective_of(best, X, y, **options)


def test_a_chunk_may_lack_classes():
    X, y = classes_data(2000)
    order = np.argsort(y, kind="stable")
    probe = ElasticNetProbeClassifier(5e-3, random_state=0)
    probe.partial_fit(X[order][:100], y[order][:100], classes=[0, 1, 2])
    assert probe.coef_.shape == (3, 12)
    assert probe.predict_proba(X).shape == (len(X), 3)


def test_the_first_call_needs_the_classes():
    X, y = classes_data()
    with pytest.raises(ValueError, match="classes must be passed"):
        ElasticNetProbeClassifier().partial_fit(X, y)
    probe = ElasticNetProbeClassifier().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="is not the same"):
        probe.partial_fit(X, y, classes=[0, 1])


def test_labels_that_are_not_in_classes():
    X, y = classes_data()
    with pytest.raises(ValueError, match=r"labels \[2\].*not in classes"):
        ElasticNetProbeClassifier().partial_fit(X, y, classes=[0, 1])


def test_balanced_weights_are_an_error():
    X, y = classes_data()
    with pytest.raises(ValueError, match="balanced.*stream"):
        ElasticNetProbeClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_other_columns_are_an_error(kind, number):
    X, y = data_of(kind, number, 100)
    probe = stream(kind(), X, y, n_chunks=1, n_times=1)
    with pytest.raises(ValueError, match="11 features.*12"):
        probe.partial_fit(X[:, :11], y)


def test_other_outputs_are_an_error():
    X, y = numbers_data(n_outputs=2)
    probe = ElasticNetProbeRegressor().partial_fit(X, y)
    with pytest.raises(ValueError, match="outputs seen before"):
        probe.partial_fit(X, y[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_continues_after_a_fit_and_is_reset_by_one(kind, number):
    X, y = data_of(kind, number)
    probe = kind(5e-3, random_state=0, tol=1e-5, standardize=True)
    best = objective_of(clone(probe).fit(X, y), X, y)
    after = clone(probe).fit(X, y)
    after.partial_fit(X[:200], y[:200])
    assert objective_of(after, X, y) < 1.2 * best
    assert np.isnan(after.dual_gap_)
    again = stream(clone(probe), X, y).fit(X, y)
    np.testing.assert_array_equal(again.coef_, clone(probe).fit(X, y).coef_)
    assert again.dual_gap_ >= 0


@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_a_pickled_probe_continues_identically(kind, number):
    X, y = data_of(kind, number, 400)
    probe = stream(kind(random_state=0), X, y, n_times=2)
    again = pickle.loads(pickle.dumps(probe))
    probe.partial_fit(X, y)
    again.partial_fit(X, y)
    np.testing.assert_array_equal(again.coef_, probe.coef_)
    np.testing.assert_array_equal(again.intercept_, probe.intercept_)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_chunks_of_float16_are_accepted_and_not_modified(kind, number):
    X, y = data_of(kind, number)
    X[:, 0] = 3e4 + 1e4 * X[:, 0]
    X = np.clip(X, -65000, 65000).astype(np.float16)
    before, before_y = X.copy(), y.copy()
    probe = stream(kind(5e-3, standardize=True, random_state=0), X, y, n_times=8)
    best = kind(5e-3, standardize=True, tol=1e-6).fit(X.astype(np.float64), y)
    assert objective_of(probe, X, y) < 1.05 * objective_of(best, X, y)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(y, before_y)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_one_sample_at_a_time(kind, number):
    X, y = data_of(kind, number, 60)
    probe = stream(kind(1e-2, standardize=True, random_state=0), X, y, n_chunks=60, n_times=3)
    assert np.isfinite(probe.coef_).all()
    nothing = kind(1e-2, random_state=0).fit(X, y)
    assert probe.score(X, y) > 0.5 * nothing.score(X, y)


@pytest.mark.parametrize(("kind", "number"), _CASES)
def test_a_failed_call_changes_nothing(kind, number):
    X, y = data_of(kind, number, 400)
    probe = stream(kind(random_state=0), X, y, n_times=1)
    same = pickle.loads(pickle.dumps(probe))
    with pytest.raises(ValueError):
        probe.partial_fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError):
        probe.partial_fit(X, y, sample_weight=-np.ones(len(X)))
    probe.partial_fit(X, y)
    same.partial_fit(X, y)
    np.testing.assert_array_equal(probe.coef_, same.coef_)


def test_a_class_that_had_no_weight_in_a_fit_is_learned_from_a_stream():
    X, y = classes_data(2000)
    probe = ElasticNetProbeClassifier(5e-3, random_state=0)
    with pytest.warns(UserWarning, match="never predicted"):
        probe.fit(X, y, sample_weight=(y != 1).astype(float))
    for _ in range(8):
        probe.partial_fit(X, y)
    assert np.isfinite(probe.intercept_).all()
    assert 1 in probe.predict(X)
