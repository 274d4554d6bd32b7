# SPDX-License-Identifier: BSD-3-Clause
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.probes import ElasticNetProbeClassifierCV
from sklearn_neurox.ranking import LCARanker


class _GivenWeights(ClassifierMixin, BaseEstimator):
    def __init__(self, coef):
        self.coef = coef

    def fit(self, X, y):
        self.coef_ = np.asarray(self.coef, dtype=float)
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def _ranked(coef, seed=0, **params):
    """Rank by given weights on noise with unit variance."""
    coef = np.asarray(coef, dtype=float)
    rng = np.random.RandomState(seed)
    X = rng.randn(60, coef.shape[1])
    y = np.arange(60) % max(2, len(coef))
    return LCARanker(_GivenWeights(coef), importance="raw", **params).fit(X, y)


def _planted(n_classes=3, n_noise=20, n_samples=400, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n_samples)
    X = rng.randn(n_samples, n_classes + n_noise)
    X[np.arange(n_samples), y] += 3
    return X, y


def _walk(weights, n_steps):
    """Add neurons in percentage steps, as in the original method; return the step of each."""
    entered = np.full(weights.shape[1], np.inf)
    for step in range(n_steps + 1):
        for row in weights:
            mass, order = 0.0, np.argsort(-row)
            for neuron in order[row[order] > 0]:
                if mass > row.sum() * step / n_steps:
                    break
                entered[neuron] = min(entered[neuron], step / n_steps)
                mass += row[neuron]
    return entered


def test_known_shares():
    ranker = _ranked([[4, 3, 2, 1], [0, 0, 0, 5], [1, 1, 2, 0]])
    np.testing.assert_allclose(
        ranker.class_scores_,
        [[1, 1 - 4 / 10, 1 - 7 / 10, 1 - 9 / 10], [0, 0, 0, 1], [1 - 2 / 4, 1 - 2 / 4, 1, 0]],
    )
    np.testing.assert_allclose(ranker.scores_, [1, 0.6, 1, 1])
    # 0, 2 and 3 tie at 1; their largest shares of a class's mass are 0.4, 0.5 and 1.
    assert ranker.order_.tolist() == [3, 2, 0, 1]
    assert ranker.n_tied_ == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_is_the_limit_of_percentage_steps(seed):
    weights = np.random.RandomState(seed).gamma(0.5, size=(4, 30))
    weights[:, -5:] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranker = _ranked(weights)
    n_steps = 2000
    entered = _walk(weights, n_steps)
    with_weight = np.isfinite(entered)
    assert with_weight.sum() == 25 and ranker.n_tied_ == 5
    assert (ranker.scores_[~with_weight] == 0).all()
    late = entered[with_weight] - (1 - ranker.scores_[with_weight])
    assert (late >= -1e-12).all() and (late <= 1 / n_steps + 1e-12).all()


@pytest.mark.slow
@given(
    arrays(float, (3, 6), elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.7, 1e-30, 1e6])),
    st.permutations(range(6)),
)
@settings(max_examples=60, deadline=None)
def test_score_by_definition_and_equivariance(weights, permutation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranker = _ranked(weights)
        permuted = _ranked(weights[:, permutation])
    expected = np.zeros(6)
    for row in weights:
        for j, weight in enumerate(row):
            if weight > 0:
                expected[j] = max(expected[j], 1 - row[row > weight].sum() / row.sum())
    np.testing.assert_allclose(ranker.scores_, expected, atol=1e-12)
    np.testing.assert_array_equal(permuted.scores_, ranker.scores_[permutation])
    for row, scores in zip(weights, ranker.class_scores_, strict=True):
        for weight in row:
            assert len(set(scores[row == weight])) == 1
    # No zero-weight neuron ranks above one with nonzero weight.
    has_weight = weights.any(axis=0)[ranker.order_]
    assert (np.diff(has_weight.astype(int)) <= 0).all()
    assert ranker.n_tied_ == (~has_weight).sum()


def test_class_without_weight_is_left_out():
    ranker = _ranked([[3, 1, 0], [0, 0, 0], [1, 2, 0]])
    np.testing.assert_allclose(ranker.scores_, [1, 1, 0])
    assert (ranker.class_scores_[1] == 0).all()


def test_weightless_are_ordered_by_gradient_not_position():
    rng = np.random.RandomState(0)
    y = np.arange(300) % 2
    strengths = np.array([0.0, 0.3, 0.9, 0.6, 0.1])
    X = rng.randn(300, 5) * 0.1 + strengths * (y[:, np.newaxis] - 0.5)
    for columns in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0]):
        coef = (strengths[columns] == 0).astype(float)
        ranker = LCARanker(_GivenWeights([coef]), importance="raw").fit(X[:, columns], y)
        assert np.asarray(columns)[ranker.order_].tolist() == [0, 2, 3, 1, 4]
        assert (ranker.class_order_ == ranker.order_).all()
        assert ranker.n_tied_ == 4


@pytest.mark.slow
def test_first_weightless_neuron_is_the_next_to_enter():
    X, y = _planted(n_classes=3, n_noise=15, n_samples=300, seed=1)
    X = StandardScaler().fit_transform(X @ (np.eye(18) + 0.2))

    entries = []
    previous = None
    for C in 0.2 * 1.03 ** np.arange(25):
        model = LogisticRegression(l1_ratio=1, C=C, solver="saga", tol=1e-7, max_iter=20_000)
        ranker = LCARanker(model).fit(X, y)
        if previous is not None and ranker.n_tied_ == previous.n_tied_ - 1:
            new = np.setdiff1d(
                ranker.order_[: -ranker.n_tied_], previous.order_[: -previous.n_tied_]
            )
            entries.append(previous.order_[-previous.n_tied_] == new[0])
        previous = ranker
    assert len(entries) >= 3 and all(entries)


def test_binary_rows_are_shared():
    X, y = _planted(n_classes=2)
    ranker = LCARanker(LogisticRegression()).fit(X, np.array(["no", "yes"])[y])
    assert ranker.classes_.tolist() == ["no", "yes"]
    assert ranker.class_scores_.shape == (2, 22)
    np.testing.assert_array_equal(ranker.class_scores_, np.stack([ranker.scores_] * 2))
    np.testing.assert_array_equal(ranker.class_order_, np.stack([ranker.order_] * 2))


def test_planted_neurons_are_found_by_class():
    X, y = _planted(n_classes=4)
    ranker = LCARanker(LogisticRegression(), n_neurons=4).fit(X, y)
    assert ranker.get_support(indices=True).tolist() == [0, 1, 2, 3]
    assert ranker.class_order_[:, 0].tolist() == [0, 1, 2, 3]


def test_standardized_is_free_of_units_and_raw_is_not():
    X, y = _planted()
    units = np.logspace(-2, 2, X.shape[1])
    model = LogisticRegression(C=1e6, max_iter=5000, tol=1e-10)
    on_standardized = model.fit(StandardScaler().fit_transform(X), y).coef_
    stretched = _GivenWeights(on_standardized / (X.std(axis=0) * units))
    reference = LCARanker(_GivenWeights(on_standardized), importance="raw").fit(X, y)
    scale_free = LCARanker(stretched).fit(X * units, y)
    np.testing.assert_allclose(scale_free.scores_, reference.scores_)
    np.testing.assert_array_equal(scale_free.order_, reference.order_)
    raw = LCARanker(stretched, importance="raw").fit(X * units, y)
    assert (raw.order_ != reference.order_).any()


def test_constant_neuron_has_no_weight_when_standardized():
    X, y = _planted(n_noise=1)
    X[:, -1] = 0.1
    coef = np.ones((3, 4))
    assert LCARanker(_GivenWeights(coef)).fit(X, y).n_tied_ == 1
    assert LCARanker(_GivenWeights(coef), importance="raw").fit(X, y).n_tied_ == 0


def test_frozen_estimator_is_not_refitted():
    X, y = _planted()
    fitted = LogisticRegression().fit(X[:200], y[:200])
    ranker = LCARanker(FrozenEstimator(fitted)).fit(X[200:], y[200:])
    np.testing.assert_array_equal(ranker.estimator_.coef_, fitted.coef_)
    frame = pd.DataFrame(X).rename(columns=str)
    named = LogisticRegression().fit(frame[:200], y[:200])
    again = LCARanker(FrozenEstimator(named)).fit(frame[200:], y[200:])
    np.testing.assert_allclose(again.scores_, ranker.scores_)


def test_sparse_coefficients_and_missing_probabilities():
    X, y = _planted()
    sparse = SGDClassifier(penalty="l1", alpha=0.03, random_state=0).fit(X, y).sparsify()
    dense = SGDClassifier(penalty="l1", alpha=0.03, random_state=0).fit(X, y)
    rankings = [LCARanker(FrozenEstimator(model)).fit(X, y) for model in (sparse, dense)]
    np.testing.assert_array_equal(rankings[0].order_, rankings[1].order_)
    assert rankings[0].n_tied_ > 0
    assert LCARanker(RidgeClassifier(), n_neurons=3).fit(X, y).get_support()[:3].all()


def test_regressors_rank_without_classes():
    X, _ = _planted()
    single = LCARanker(ElasticNet(alpha=0.2)).fit(X, 5 * X[:, 2] - 3 * X[:, 7])
    assert single.order_[:2].tolist() == [2, 7]
    assert not hasattr(single, "class_scores_") and not hasattr(single, "classes_")
    assert single.to_frame().columns.tolist() == ["neuron", "layer", "unit", "score", "rank"]
    double = LCARanker(LinearRegression(), n_neurons=2).fit(X, X[:, [5, 9]])
    assert double.get_support(indices=True).tolist() == [5, 9]


def test_bottom_warns_when_it_divides_the_weightless():
    weights = [[3, 2, 1, 0, 0, 0]]
    with pytest.warns(UserWarning, match=r"All 2 bottom neurons.*the 3 \(of 6\)"):
        _ranked(weights, n_neurons=2, which="bottom")
    # All of those that tie are kept, whatever their order.
    _ranked(weights, n_neurons=3, which="bottom")
    _ranked(weights, n_neurons=4, which="bottom")
    _ranked(weights, which="bottom")
    _ranked(weights, n_neurons=4)
    _ranked([[3, 2, 1]], n_neurons=1, which="bottom")


def test_no_weight_at_all_warns_and_orders_by_gradient():
    X, y = _planted(n_classes=2, n_noise=3)
    with pytest.warns(
        UserWarning, match="All weights of the _GivenWeights are zero, so the 5 neurons"
    ):
        ranker = LCARanker(_GivenWeights(np.zeros((1, 5)))).fit(X, y)
    assert (ranker.scores_ == 0).all() and ranker.n_tied_ == 5
    assert set(ranker.order_[:2]) == {0, 1}


def test_unusable_estimators_are_named():
    X, y = _planted()
    with pytest.raises(ValueError, match="fitted GaussianNB has no attribute 'coef_'"):
        LCARanker(GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="fitted Pipeline has no attribute 'coef_'"):
        LCARanker(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(3, 4\), but X has 23 columns"):
        LCARanker(_GivenWeights(np.ones((3, 4)))).fit(X, y)
    with pytest.raises(ValueError, match="fitted _GivenWeights contains NaN or infinity"):
        LCARanker(_GivenWeights(np.full((3, 23), np.inf))).fit(X, y)
    with pytest.raises(ValueError, match=r"shape \(1, 23\).*3 classes"):
        LCARanker(_GivenWeights(np.ones((1, 23)))).fit(X, y)


def test_missing_labels_and_input_untouched():
    X, y = _planted()
    labels = pd.Series(np.array(["a", "b", "c"])[y], name="upos")
    before = X.copy()
    LCARanker(LogisticRegression()).fit(X, labels)
    np.testing.assert_array_equal(X, before)
    labels[5] = None
    with pytest.raises(ValueError, match=r"1 of 400 labels.*row 5.*dropna\(subset=\['upos'\]\)"):
        LCARanker(LogisticRegression()).fit(X, labels)


def test_the_default_probe_gives_the_same_ranking_again():
    X, y = _planted(n_noise=60)
    once, again = (LCARanker().fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(once.scores_, again.scores_)


def test_the_default_probe_predicts_numbers_where_labels_are_numbers():
    X, _ = _planted()
    ranker = LCARanker().fit(X, X[:, 4] + 0.01 * X[:, 0])
    assert ranker.order_[0] == 4
    assert not hasattr(ranker, "class_scores_")
    with pytest.raises(ValueError, match="1 of 400 labels are missing, the first at row 7"):
        LCARanker().fit(X, np.where(np.arange(400) == 7, np.nan, X[:, 4]))


def test_the_default_probe_is_sparse_and_standardized():
    X, y = _planted(n_noise=30)
    ranker = LCARanker(n_neurons=3).fit(X * np.logspace(-2, 2, 33), y)
    assert type(ranker.estimator_).__name__ == "ElasticNetProbeClassifier"
    assert ranker.get_support(indices=True).tolist() == [0, 1, 2]


@pytest.mark.slow
@given(
    arrays(float, (3, 6), elements=st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.7, 1e6])),
    st.sampled_from([0.01, 0.25, 0.5, 0.9, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_mass_and_threshold_by_definition(weights, cut):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranker = _ranked(weights, mass=cut)
    expected = np.zeros(6, dtype=bool)
    above = np.zeros(6, dtype=bool)
    for row in weights:
        for j in np.flatnonzero(row):
            expected[j] |= row[row > row[j]].sum() < cut * row.sum() * (1 - 1e-12)
            above[j] |= row[j] >= cut * row.max()
    np.testing.assert_array_equal(ranker.get_support(), expected)
    ranker.set_params(which="bottom")
    np.testing.assert_array_equal(ranker.get_support(), ~expected)
    ranker.set_params(which="top", mass=None, threshold=cut)
    np.testing.assert_array_equal(ranker.get_support(), above)


def test_mass_keeps_the_head_of_the_order():
    ranker = _ranked(np.random.RandomState(0).gamma(0.5, size=(4, 30)), mass=0.25)
    support = ranker.get_support()
    assert support[ranker.order_[: support.sum()]].all()
    assert 4 <= support.sum() < 30


def test_only_one_way_to_cut():
    with pytest.raises(ValueError, match=r"n_neurons=2 and mass=0\.25.*Set only one of them"):
        _ranked([[3, 2, 1]], n_neurons=2, mass=0.25)
    with pytest.raises(ValueError, match=r"mass=0\.25 and threshold=0\.5"):
        _ranked([[3, 2, 1]], mass=0.25, threshold=0.5)


def test_weights_of_rows_are_repetitions():
    X, y = _planted(n_samples=60, n_noise=3)
    weight = np.random.RandomState(1).randint(3, size=60)
    model = LogisticRegression(l1_ratio=1, C=0.05, solver="saga", tol=1e-9, max_iter=50_000)
    weighted = LCARanker(model).fit(X, y, sample_weight=weight)
    repeated = LCARanker(model).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(weighted.importances_, repeated.importances_, atol=1e-6)
    assert 0 < weighted.n_tied_ == repeated.n_tied_
    np.testing.assert_array_equal(weighted.order_, repeated.order_)


def test_a_probe_without_weights_is_named_and_a_frozen_one_needs_none():
    X, y = _planted(n_samples=60, n_noise=3)
    frozen = FrozenEstimator(LinearDiscriminantAnalysis().fit(X, y))
    weight = np.arange(60) % 3
    weighted = LCARanker(frozen).fit(X, y, sample_weight=weight)
    repeated = LCARanker(frozen).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(weighted.importances_, repeated.importances_)
    with pytest.raises(ValueError, match="LinearDiscriminantAnalysis takes no sample_weight"):
        LCARanker(LinearDiscriminantAnalysis()).fit(X, y, sample_weight=np.ones(60))


def test_groups_reach_a_probe_that_tunes_itself():
    X, y = _planted(n_samples=90, n_noise=3)
    probe = ElasticNetProbeClassifierCV(alphas=2, eps=0.1, cv=3)
    # Without groups it warns, which is an error here.
    LCARanker(probe).fit(X, y, groups=np.arange(90) // 3)
