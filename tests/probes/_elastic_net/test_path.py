# SPDX-License-Identifier: BSD-3-Clause
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNetCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
)
from tests.probes.oracles import Problem, assert_certified, classes_data, numbers_data

_PAIRS = [
    (ElasticNetProbeClassifierCV, ElasticNetProbeClassifier, 2),
    (ElasticNetProbeClassifierCV, ElasticNetProbeClassifier, 3),
    (ElasticNetProbeRegressorCV, ElasticNetProbeRegressor, None),
    (ElasticNetProbeRegressorCV, ElasticNetProbeRegressor, 2),
]
_KINDS = [ElasticNetProbeClassifierCV, ElasticNetProbeRegressorCV]


def data_of(kind, number=3, n_samples=150):
    if "Classifier" in kind.__name__:
        return classes_data(n_samples, n_classes=number)
    return numbers_data(n_samples, n_outputs=number)


def search(kind, *args, **parameters):
    settings = {"alphas": [0.3, 0.03, 0.003], "cv": KFold(3), "tol": 1e-8, "max_iter": 20000}
    return kind(*args, **{**settings, "random_state": 0, **parameters})


class RecordingSplitter(GroupKFold):
    """Records the groups it was given."""

    def split(self, X, y=None, groups=None):
        self.seen = None if groups is None else list(groups)
        return super().split(X, y, groups)


@pytest.fixture(params=["one by one", "together"])
def any_way(request, monkeypatch):
    """Solve the folds together or separately, whatever their size."""
    fewest = 0 if request.param == "together" else np.inf
    monkeypatch.setattr("sklearn_neurox.probes._elastic_net._path._FEWEST_SAMPLES", fewest)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:All coefficients are zero:UserWarning")
@pytest.mark.parametrize(("kind", "plain", "number"), _PAIRS)
@pytest.mark.parametrize(("standardize", "weighted"), [(False, False), (True, True)])
def test_scores_are_those_of_fits_by_hand(kind, plain, number, standardize, weighted, any_way):
    X, y = data_of(kind, number)
    weight = np.random.RandomState(0).choice([0.0, 1.0, 3.0], len(X)) if weighted else None
    scoring = "neg_log_loss" if plain is ElasticNetProbeClassifier else None
    folds = KFold(3, shuffle=True, random_state=0)
    cv = search(kind, [0.2, 1.0], standardize=standardize, cv=folds, scoring=scoring)
    cv.fit(X, y, sample_weight=weight)
    assert cv.scores_.shape == cv.n_nonzero_.shape == (3, 2, 3)
    for k, (train, test) in enumerate(folds.split(X)):
        for i, l1_ratio in enumerate([0.2, 1.0]):
            for j, alpha in enumerate([0.3, 0.03, 0.003]):
                probe = plain(alpha, l1_ratio, standardize=standardize, tol=1e-8, max_iter=20000)
                at = {} if weight is None else {"sample_weight": weight[train]}
                probe.fit(X[train], y[train], **at)
                score = get_scorer(scoring) if scoring else plain.score
                at = {} if weight is None else {"sample_weight": weight[test]}
                assert cv.scores_[k, i, j] == pytest.approx(
                    score(probe, X[test], y[test], **at), abs=1e-3
                )
                assert abs(cv.n_nonzero_[k, i, j] - np.count_nonzero(probe.coef_)) <= 1
    i, j = np.unravel_index(cv.scores_.mean(axis=0).argmax(), (2, 3))
    assert cv.alpha_ == [0.3, 0.03, 0.003][j]
    assert cv.l1_ratio_ == [0.2, 1.0][i]
    assert cv.alphas_.shape == (2, 3)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:All coefficients are zero:UserWarning")
@pytest.mark.parametrize(("kind", "plain", "number"), _PAIRS)
def test_large_folds_are_solved_together_to_the_same_scores(kind, plain, number, monkeypatch):
    X, y = data_of(kind, number, n_samples=2400)
    path = search(kind, alphas=[0.03, 0.003], standardize=True, tol=1e-6)
    together = path.fit(X.astype(np.float32), y).scores_
    monkeypatch.setattr("sklearn_neurox.probes._elastic_net._path._FEWEST_SAMPLES", np.inf)
    apart = path.fit(X.astype(np.float32), y).scores_
    np.testing.assert_allclose(together, apart, atol=2e-3 if number else 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_masks_and_repeated_rows_are_folds_too(kind, any_way):
    X, y = data_of(kind)
    rng = np.random.RandomState(0)
    drawn = rng.randint(100, size=200)
    rest = np.arange(100, 150)
    by_index = search(kind, cv=[(drawn, rest), (np.arange(100), rest)]).fit(X, y)
    weight = np.bincount(drawn, minlength=100).astype(float)
    plain = dict(zip(_KINDS, [ElasticNetProbeClassifier, ElasticNetProbeRegressor], strict=True))
    for place, alpha in enumerate(by_index.alphas_):
        by_hand = plain[kind](alpha, tol=1e-8, max_iter=20000, random_state=0)
        by_hand.fit(X[:100], y[:100], sample_weight=weight)
        expected = by_hand.score(X[rest], y[rest])
        assert by_index.scores_[0, 0, place] == pytest.approx(expected, abs=1e-5)
    mask = np.arange(150) < 100
    by_mask = search(kind, cv=[(mask, ~mask)]).fit(X, y)
    np.testing.assert_allclose(by_mask.scores_[0], by_index.scores_[1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "plain", "number"), _PAIRS)
def test_the_last_fit_is_that_of_a_plain_probe(kind, plain, number):
    X, y = data_of(kind, number)
    cv = search(kind, [0.3, 0.9], standardize=True).fit(X, y)
    probe = plain(cv.alpha_, cv.l1_ratio_, standardize=True, tol=1e-8, max_iter=20000)
    probe.fit(X, y)
    np.testing.assert_allclose(cv.coef_, probe.coef_, atol=1e-3)
    np.testing.assert_allclose(cv.intercept_, probe.intercept_, atol=1e-3)
    assert cv.alpha_max_ == pytest.approx(probe.alpha_max_)
    assert_certified(cv, X, y, alpha=cv.alpha_, l1_ratio=cv.l1_ratio_)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "plain", "number"), _PAIRS)
@pytest.mark.parametrize("standardize", [False, True])
def test_the_grid_starts_where_all_coefficients_vanish(kind, plain, number, standardize):
    X, y = data_of(kind, number)
    cv = search(kind, [0.1, 1.0], alphas=4, eps=1e-2, standardize=standardize, tol=1e-3).fit(X, y)
    problem = Problem.of(plain(standardize=standardize).fit(X, y), X, y)
    zeros = np.zeros((problem.target.shape[1], X.shape[1]))
    residual = problem.residual(zeros, problem.best_intercept(zeros))
    slope = np.abs(residual.T @ problem.Z).max() / len(X)
    expected = [np.geomspace(slope / r, 1e-2 * slope / r, 4) for r in (0.1, 1.0)]
    np.testing.assert_allclose(cv.alphas_, expected, rtol=1e-6)
    assert not cv.n_nonzero_[:, :, 0].all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_alphas_of_a_ridge_and_of_one_ratio(kind):
    X, y = data_of(kind)
    cv = search(kind, 0.0, alphas=5, eps=1e-3, tol=1e-3, standardize=True).fit(X, y)
    assert cv.alphas_.shape == (5,)
    assert (np.diff(cv.alphas_) < 0).all()
    assert cv.alphas_[-1] == pytest.approx(1e-3 * cv.alphas_[0])
    assert cv.scores_.shape == (3, 1, 5)
    given = search(kind, alphas=[0.01, 0.2, 0.1]).fit(X, y)
    np.testing.assert_array_equal(given.alphas_, [0.2, 0.1, 0.01])


def one_standard_error(cv):
    mean = cv.scores_.mean(axis=0)
    i, j = np.unravel_index(mean.argmax(), mean.shape)
    error = cv.scores_[:, i, j].std(ddof=1) / np.sqrt(len(cv.scores_))
    good = mean >= mean[i, j] - error
    return good, np.where(good, cv.n_nonzero_.mean(axis=0), np.inf)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_one_standard_error_takes_the_sparsest(kind, seed):
    X, y = data_of(kind)
    folds = KFold(4, shuffle=True, random_state=seed)
    settings = {"alphas": 6, "eps": 1e-2, "cv": folds, "tol": 1e-3, "standardize": True}
    cv = search(kind, [0.5, 1.0], selection="one_standard_error", **settings).fit(X, y)
    good, sparsity = one_standard_error(cv)
    chosen = np.argwhere((cv.alphas_ == cv.alpha_) & (np.array([[0.5], [1.0]]) == cv.l1_ratio_))
    (place,) = chosen
    assert good[tuple(place)]
    assert sparsity[tuple(place)] == sparsity.min()
    best = search(kind, [0.5, 1.0], **settings).fit(X, y)
    np.testing.assert_allclose(best.scores_, cv.scores_)
    assert np.count_nonzero(cv.coef_) <= np.count_nonzero(best.coef_)


@pytest.mark.slow
def test_equals_elastic_net_cv():
    X, y = numbers_data()
    ratios, folds = [0.2, 0.8, 1.0], KFold(4, shuffle=True, random_state=0)
    net = ElasticNetCV(l1_ratio=ratios, alphas=8, eps=1e-2, cv=folds, tol=1e-10, max_iter=100000)
    net.fit(X, y)
    cv = search(
        ElasticNetProbeRegressorCV,
        ratios,
        alphas=8,
        eps=1e-2,
        cv=folds,
        scoring="neg_mean_squared_error",
    ).fit(X, y)
    np.testing.assert_allclose(cv.alphas_, net.alphas_)
    np.testing.assert_allclose(np.moveaxis(-cv.scores_, 0, 2), net.mse_path_, rtol=1e-4)
    assert cv.alpha_ == pytest.approx(net.alpha_)
    assert cv.l1_ratio_ == net.l1_ratio_
    np.testing.assert_allclose(cv.coef_, net.coef_, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_groups_reach_the_splitter_and_are_never_split(kind):
    X, y = data_of(kind)
    groups = np.random.RandomState(0).randint(20, size=len(X))
    splitter = RecordingSplitter(3)
    search(kind, cv=splitter, tol=1e-3).fit(X, y, groups=groups)
    assert splitter.seen == list(groups)
    default = search(kind, cv=3, tol=1e-3).fit(X, y, groups=groups)
    given = search(kind, cv=GroupKFold(3), tol=1e-3).fit(X, y, groups=groups)
    np.testing.assert_array_equal(default.scores_, given.scores_)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_without_groups_folds_are_contiguous_with_a_warning(kind):
    X, y = data_of(kind)
    with pytest.warns(UserWarning, match="no groups"):
        default = search(kind, cv=None, tol=1e-3).fit(X, y)
    np.testing.assert_array_equal(
        default.scores_, search(kind, cv=KFold(5), tol=1e-3).fit(X, y).scores_
    )


def closeness(estimator, X, y):
    return -float(np.mean(np.asarray(estimator.predict(X)) != y))


@pytest.mark.slow
@pytest.mark.parametrize("scoring", ["neg_log_loss", "f1_macro", "roc_auc_ovr", closeness])
def test_any_scorer(scoring):
    X, y = classes_data(300)
    cv = search(ElasticNetProbeClassifierCV, scoring=scoring, cv=StratifiedKFold(3)).fit(X, y)
    train, test = next(StratifiedKFold(3).split(X, y))
    probe = ElasticNetProbeClassifier(0.03, tol=1e-8, max_iter=20000).fit(X[train], y[train])
    scorer = scoring if callable(scoring) else get_scorer(scoring)
    assert cv.scores_[0, 0, 1] == pytest.approx(scorer(probe, X[test], y[test]), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_threads_change_nothing(kind):
    X, y = data_of(kind)
    one, two = (search(kind, [0.3, 1.0], n_jobs=n, tol=1e-4).fit(X, y) for n in (None, 2))
    np.testing.assert_array_equal(one.scores_, two.scores_)
    np.testing.assert_array_equal(one.coef_, two.coef_)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_the_number_of_threads_does_not_decide_which_folds_share_a_pass(kind):
    X, y = data_of(kind, n_samples=2400)
    options = {"cv": KFold(5), "tol": 1e-3}
    searches = [search(kind, [0.3], n_jobs=n, **options).fit(X, y) for n in (None, 2, 5)]
    for one in searches[1:]:
        np.testing.assert_array_equal(one.scores_, searches[0].scores_)
        np.testing.assert_array_equal(one.coef_, searches[0].coef_)


def test_a_scorer_that_fails_says_in_which_fold():
    X, y = classes_data(150, n_classes=3)
    y[50:] = np.where(y[50:] == 2, 0, y[50:])
    y[:8] = 2

    def fails(probe, X, y):
        raise ValueError("three classes, please")

    # The test part lacks a class of the training part.
    cv = search(ElasticNetProbeClassifierCV, scoring=fails)
    folds = [(np.r_[0:100], np.r_[100:150])]
    with pytest.raises(ValueError, match=r"Fold 0 .* classes \['c'\] have no test row.*please"):
        cv.set_params(cv=folds).fit(X, np.array(["a", "b", "c"])[y])


@pytest.mark.slow
def test_a_class_that_is_absent_from_a_training_part_warns():
    X, y = classes_data(150)
    y = np.where(np.arange(150) < 50, 2, y % 2)
    with pytest.warns(UserWarning, match=r"classes \[2\].*fold 0.*never predicted"):
        cv = search(ElasticNetProbeClassifierCV).fit(X, y)
    np.testing.assert_array_equal(cv.scores_[0], 0)
    assert list(cv.classes_) == [0, 1, 2]


def test_a_fold_of_one_class_is_an_error():
    X, y = classes_data(150, n_classes=2)
    y = (np.arange(150) < 50).astype(int)
    with pytest.raises(ValueError, match="2 classes.*fold 0"):
        search(ElasticNetProbeClassifierCV).fit(X, y)


@pytest.mark.slow
def test_balanced_weights_are_those_of_the_training_part():
    X, y = classes_data(200)
    cv = search(ElasticNetProbeClassifierCV, class_weight="balanced", scoring="neg_log_loss")
    cv.fit(X, y)
    for k, (train, test) in enumerate(KFold(3).split(X)):
        probe = ElasticNetProbeClassifier(
            0.03, class_weight="balanced", tol=1e-8, max_iter=20000
        ).fit(X[train], y[train])
        expected = get_scorer("neg_log_loss")(probe, X[test], y[test])
        assert cv.scores_[k, 0, 1] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alphas": [-1.0, 1.0]}, "alphas"),
        ({"alphas": []}, "alphas"),
        ({"alphas": 0}, "alphas"),
        ({"l1_ratio": [0.5, 2.0]}, "l1_ratio"),
        ({"l1_ratio": 1.5}, "l1_ratio"),
        ({"l1_ratio": []}, "l1_ratio"),
        ({"eps": 0.0}, "eps"),
        ({"selection": "worst"}, "selection"),
        ({"scoring": "no such"}, "scoring"),
    ],
)
def test_bad_parameters(kind, parameters, message):
    X, y = data_of(kind)
    with pytest.raises(ValueError, match=message):
        search(kind).set_params(**parameters).fit(X, y)


@pytest.mark.slow
def test_one_standard_error_of_nan_scores_is_an_error():
    X, y = classes_data(150)
    with pytest.raises(ValueError, match="gave nan"):
        search(ElasticNetProbeClassifierCV, scoring=lambda *a: float("nan")).fit(X, y)


@pytest.mark.parametrize("kind", _KINDS)
def test_too_few_epochs_warn_once(kind):
    X, y = data_of(kind)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search(kind, solver="saga", alphas=[1e-4, 1e-5], max_iter=2, tol=1e-9).fit(X, y)
    messages = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    assert sum("of the path did not converge" in message for message in messages) == 1


@pytest.mark.slow
def test_inside_a_pipeline_and_a_search():
    X, y = classes_data(150)
    pipe = make_pipeline(StandardScaler(), search(ElasticNetProbeClassifierCV, tol=1e-3))
    grid = GridSearchCV(
        pipe, {"elasticnetprobeclassifiercv__l1_ratio": [0.1, 0.9]}, cv=KFold(2)
    ).fit(X, y)
    assert grid.best_score_ > 0.5
    assert grid.best_estimator_[-1].scores_.shape == (3, 1, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_groups_are_routed(kind):
    X, y = data_of(kind)
    groups = np.arange(len(X)) // 5
    inner = search(kind, cv=GroupKFold(3), tol=1e-3)
    with sklearn.config_context(enable_metadata_routing=True):
        inner.set_fit_request(groups=True)
        done = cross_validate(
            make_pipeline(StandardScaler(), inner),
            X,
            y,
            cv=GroupKFold(2),
            params={"groups": groups},
            return_estimator=True,
        )
    assert len(done["estimator"]) == 2
    train = next(GroupKFold(2).split(X, y, groups))[0]
    scaled = StandardScaler().fit_transform(X[train])
    expected = clone(inner).fit(scaled, y[train], groups=groups[train])
    np.testing.assert_allclose(done["estimator"][0][-1].scores_, expected.scores_, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_any_list_of_alphas_will_do(kind, any_way):
    """Repeated, uneven and zero alphas, along which solutions cannot be extrapolated."""
    X, y = data_of(kind)
    alphas = [0.3, 0.1, 0.1, 0.1, 0.09, 0.001, 0.0]
    cv = search(kind, alphas=alphas, tol=1e-6).fit(X, y)
    alone = search(kind, alphas=alphas[-2:], tol=1e-6).fit(X, y)
    np.testing.assert_allclose(cv.scores_[:, 0, 1], cv.scores_[:, 0, 2], rtol=1e-3)
    np.testing.assert_allclose(cv.scores_[:, 0, -2:], alone.scores_[:, 0], atol=0.03)
