# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor
from tests.probes.oracles import assert_certified, classes_data, numbers_data, objective_of

_KINDS = [(ElasticNetProbeClassifier, 2), (ElasticNetProbeClassifier, 3)]
_KINDS += [(ElasticNetProbeRegressor, None), (ElasticNetProbeRegressor, 2)]


def exact(kind, *args, **parameters):
    settings = {"tol": 1e-10, "max_iter": 20000, "random_state": 0, **parameters}
    return kind(*args, **settings)


def data_of(kind, number):
    if kind is ElasticNetProbeClassifier:
        return classes_data(n_classes=number)
    return numbers_data(n_outputs=number)


def assert_same(first, second, atol=2e-4):
    np.testing.assert_allclose(first.coef_, second.coef_, atol=atol)
    np.testing.assert_allclose(first.intercept_, second.intercept_, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), _KINDS)
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", ["auto", "saga", "fista"])
def test_a_weight_is_a_number_of_copies(kind, number, standardize, solver):
    X, y = data_of(kind, number)
    times = np.random.RandomState(0).randint(4, size=len(X))
    settings = {"standardize": standardize, "solver": solver, "tol": 1e-9}
    weighted = exact(kind, 0.02, 0.4, **settings).fit(X, y, sample_weight=times)
    X2, y2 = np.repeat(X, times, axis=0), np.repeat(y, times, axis=0)
    copied = exact(kind, 0.02, 0.4, **settings).fit(X2, y2)
    assert_same(weighted, copied, atol=1e-3)
    assert objective_of(weighted, X2, y2) == pytest.approx(objective_of(copied, X2, y2), rel=1e-8)
    assert weighted.alpha_max_ == pytest.approx(copied.alpha_max_)


@pytest.mark.parametrize(("kind", "number"), _KINDS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_samples_of_weight_zero_are_as_if_removed(kind, number, l1_ratio):
    X, y = data_of(kind, number)
    keep = np.random.RandomState(0).uniform(size=len(X)) < 0.7
    X[~keep] *= 1e4  # the moments must not see them either
    probe = exact(kind, 0.02, l1_ratio, standardize=True)
    weighted = probe.fit(X, y, sample_weight=keep.astype(float))
    removed = exact(kind, 0.02, l1_ratio, standardize=True).fit(X[keep], y[keep])
    assert_same(weighted, removed)
    assert weighted.dual_gap_ <= 1e-10 * objective_of(weighted, X[keep], y[keep])


@pytest.mark.parametrize(("kind", "number"), _KINDS)
def test_the_unit_of_weights_does_not_matter(kind, number):
    X, y = data_of(kind, number)
    weight = np.random.RandomState(0).uniform(0.1, 2, size=len(X))
    plain = exact(kind, 0.02).fit(X, y, sample_weight=weight)
    for unit in (1e-8, 1e8):
        assert_same(plain, exact(kind, 0.02).fit(X, y, sample_weight=weight * unit))
    equal = exact(kind, 0.02).fit(X, y, sample_weight=np.full(len(X), 7.0))
    assert_same(equal, exact(kind, 0.02).fit(X, y), atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0}, {0: 0.2, 1: 5.0}])
@pytest.mark.parametrize("with_samples", [False, True])
def test_class_weights_are_those_of_scikit_learn(n_classes, class_weight, with_samples):
    X, y = classes_data(n_classes=n_classes)
    weight = np.random.RandomState(0).uniform(0.2, 2, size=len(X)) if with_samples else None
    probe = exact(ElasticNetProbeClassifier, 0.02, 0.0, class_weight=class_weight)
    probe.fit(X, y, sample_weight=weight)
    logistic = LogisticRegression(class_weight=class_weight, tol=1e-10, max_iter=20000)
    given = np.ones(len(X)) if weight is None else weight
    # Its C multiplies the sum of weighted losses; here, alpha is added to their mean.
    total = (_class_weight(class_weight, y, weight) * given).sum()
    logistic.set_params(C=1 / (0.02 * total)).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(probe.predict_proba(X), logistic.predict_proba(X), atol=1e-4)
    np.testing.assert_allclose(probe.coef_, logistic.coef_, atol=1e-3)


def _class_weight(class_weight, y, weight):
    if class_weight != "balanced":
        return compute_sample_weight(class_weight, y)
    given = np.ones(len(y)) if weight is None else weight
    sums = np.bincount(y, weights=given)
    return (given.sum() / (len(sums) * sums))[y]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_class_weights_are_sample_weights_but_for_the_moments(n_classes):
    X, y = classes_data(n_classes=n_classes)
    by_class = {0: 4.0, 1: 0.5}
    settings = {"standardize": True, "class_weight": by_class}
    probe = exact(ElasticNetProbeClassifier, 0.02, **settings).fit(X, y)
    assert_certified(probe, X, y, class_weight=compute_sample_weight(by_class, y))
    named = np.array(["d", "b", "a", "c"])[y]
    renamed = exact(
        ElasticNetProbeClassifier, 0.02, standardize=True, class_weight={"d": 4.0, "b": 0.5}
    ).fit(X, named)
    np.testing.assert_allclose(
        renamed.predict_proba(X),
        probe.predict_proba(X)[:, np.argsort(np.array(["d", "b", "a", "c"][:n_classes]))],
        atol=1e-4,
    )


@pytest.mark.parametrize("how", ["sample_weight", "class_weight"])
def test_a_class_without_weight_is_never_predicted(how):
    X, y = classes_data(n_classes=4)
    names = np.array(["a", "b", "c", "d"])
    settings, fit = {}, {}
    if how == "sample_weight":
        fit["sample_weight"] = (y != 1).astype(float)
    else:
        settings["class_weight"] = {"b": 0.0}
    probe = exact(ElasticNetProbeClassifier, 0.01, **settings)
    with pytest.warns(UserWarning, match=r"\['b'\].*never predicted"):
        probe.fit(X, names[y], **fit)
    chances = probe.predict_proba(X)
    assert list(probe.classes_) == list(names)
    assert chances.shape == (len(X), 4)
    assert not chances[:, 1].any()
    assert probe.intercept_[1] == -np.inf
    assert not probe.coef_[1].any()
    assert "b" not in probe.predict(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    without = exact(ElasticNetProbeClassifier, 0.01).fit(X[y != 1], names[y[y != 1]])
    np.testing.assert_allclose(chances[:, [0, 2, 3]], without.predict_proba(X), atol=1e-4)


def test_of_three_classes_one_without_weight():
    # Two of three classes have weight: still one row of coefficients per class.
    X, y = classes_data(n_classes=3)
    probe = exact(ElasticNetProbeClassifier, 0.01, 0.0)
    with pytest.warns(UserWarning, match=r"\[2\].*never predicted"):
        probe.fit(X, y, sample_weight=(y != 2).astype(float))
    assert probe.coef_.shape == (3, 12)
    chances = probe.predict_proba(X)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert not chances[:, 2].any()
    assert not np.isnan(probe.decision_function(X)).any()
    # Two rows w and -w share the ridge penalty, so their difference has half the strength.
    twin = exact(ElasticNetProbeClassifier, 0.005, 0.0).fit(X[y != 2], y[y != 2])
    np.testing.assert_allclose(chances[:, 1], twin.predict_proba(X)[:, 1], atol=1e-4)


@pytest.mark.parametrize(("kind", "number"), _KINDS)
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (lambda n: np.r_[-1.0, np.ones(n - 1)], "[Nn]egative"),
        (lambda n: np.r_[np.nan, np.ones(n - 1)], "NaN"),
        (lambda n: np.r_[np.inf, np.ones(n - 1)], "infinity"),
        (lambda n: np.zeros(n), "zero"),
        (lambda n: np.ones(n - 1), "shape"),
        (lambda n: np.ones((n, 1)), "1D"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_weights(kind, number, weight, message, method):
    X, y = data_of(kind, number)
    options = {"classes": range(number)} if kind is ElasticNetProbeClassifier else {}
    fit = getattr(kind(), method)
    with pytest.raises(ValueError, match=message):
        fit(X, y, sample_weight=weight(len(X)), **(options if method == "partial_fit" else {}))


def test_one_class_that_counts():
    X, y = classes_data(n_classes=2)
    with pytest.raises(ValueError, match="at least 2 classes"):
        ElasticNetProbeClassifier().fit(X, y, sample_weight=(y == 0).astype(float))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [-2.0, np.nan, np.inf])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_class_weights(value, method):
    X, y = classes_data()
    # With solver="auto", backtracking would never end at a negative weight.
    probe = ElasticNetProbeClassifier(class_weight={0: value}, solver="saga", max_iter=2)
    options = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match="class_weight"):
        getattr(probe, method)(X, y, **options)
