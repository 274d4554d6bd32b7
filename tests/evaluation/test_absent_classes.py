# SPDX-License-Identifier: BSD-3-Clause
"""A class that a fold lacks, in everything that scores on folds."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import brier_score_loss, log_loss, make_scorer
from sklearn.model_selection import cross_validate

from sklearn_neurox.ablation import ablation_curve, ablation_table
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    SelectivityScorer,
    baseline_table,
    layer_profile,
    selectivity_score,
)
from sklearn_neurox.probes import ElasticNetProbeClassifierCV
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.selection import LayerSelector, MinimalNeuronSelector
from sklearn_neurox.words import words_frame

PROBE = LogisticRegression(solver="newton-cholesky")
RNG = np.random.RandomState(0)
LETTERS = np.array(["a", "b", "c"])
FOLDS = [(np.arange(60), np.arange(60, 90)), (np.arange(30, 90), np.arange(30))]


def _data(n_classes, *, absent_from_test):
    """Return rows whose first fold lacks the last class in its test or its training rows."""
    y = np.arange(90) % n_classes
    lacking = slice(60, 90) if absent_from_test else slice(0, 60)
    y[lacking] = np.arange(90)[lacking] % (n_classes - 1)
    X = np.random.RandomState(1).randn(90, 6)
    X[:, :n_classes] += np.eye(n_classes)[y]
    return X, LETTERS[y]


def _curve(X, y, scoring):
    options = {"n_draws": 0, "groups": np.arange(90), "cv": FOLDS, "retrain": False}
    curve = ablation_curve(PROBE, X, y, scoring=scoring, fractions=[0.5], **options)
    table = ablation_table(
        X, y, probes=[PROBE], rankings=[ProbelessRanker()], scoring=scoring, **options
    )
    scores = [part[part["which"] == "all"]["score"].to_numpy() for part in (curve, table)]
    np.testing.assert_array_equal(*scores)
    return scores[0]


def _layers(X, y, scoring):
    selector = LayerSelector("auto", n_layers=2, estimator=PROBE, cv=FOLDS, scoring=scoring)
    return selector.fit(X, y).oracle_scores_


def _minimal(X, y, scoring):
    selector = MinimalNeuronSelector(PROBE, cv=FOLDS, scoring=scoring)
    return selector.fit(X, y).oracle_scores_


def _baselines(X, y, scoring):
    words = words_frame([[f"w{i % 9}"] for i in range(90)])
    table = baseline_table(
        words, y, estimator=PROBE, X=X, cv=FOLDS, scoring=scoring, baselines=["probe", "majority"]
    )
    return table.set_index("name").loc["probe", ["fold_0", "fold_1"]].to_numpy(dtype=float)


def _selectivity(X, y, scoring):
    scores = selectivity_score(PROBE, X, y, y, cv=FOLDS, scoring=scoring)
    return scores["task"].to_numpy()


PLACES = {
    "ablation_curve": _curve,
    "LayerSelector": _layers,
    "MinimalNeuronSelector": _minimal,
    "baseline_table": _baselines,
    "selectivity_score": _selectivity,
}


def _by_hand(X, y, metric):
    """Score from the formulas: scikit-learn's metrics with the probe's classes."""
    scores = []
    for train, test in FOLDS:
        probe = LogisticRegression(solver="newton-cholesky").fit(X[train], y[train])
        proba = probe.predict_proba(X[test])
        column = np.searchsorted(probe.classes_, y[test])
        if metric == "neg_log_loss":
            scores.append(np.log(proba[np.arange(len(test)), column]).mean())
        else:
            distances = ((proba - np.eye(len(probe.classes_))[column]) ** 2).sum(axis=1).mean()
            scores.append(-distances / (2 if len(probe.classes_) == 2 else 1))
    return np.array(scores)


@pytest.mark.filterwarnings("ignore:.*given no groups:UserWarning")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_test_rows_without_a_class_are_scored(place, n_classes):
    X, y = _data(n_classes, absent_from_test=True)
    for scoring in ("neg_log_loss", "neg_brier_score"):
        scores = PLACES[place](X, y, scoring)
        np.testing.assert_allclose(scores, _by_hand(X, y, scoring), rtol=1e-10)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_penalty_path_scores_as_scikit_learn_does(n_classes):
    X, y = _data(n_classes, absent_from_test=True)
    alphas = [0.3, 0.03]
    options = {"scoring": "neg_log_loss", "cv": FOLDS, "tol": 1e-9, "max_iter": 20000}
    path = ElasticNetProbeClassifierCV(0.0, alphas=alphas, **options).fit(X, y)
    theirs = LogisticRegressionCV(
        # On 60 training rows, alpha * n = 1 / C.
        Cs=[1 / (alpha * 60) for alpha in alphas],
        cv=FOLDS,
        scoring="neg_log_loss",
        l1_ratios=(0.0,),
        tol=1e-10,
        max_iter=10000,
        use_legacy_attributes=False,
    ).fit(X, y)
    expected = theirs.scores_[:, 0, :]
    if n_classes == 2:  # the penalties of two classes differ: one row of weights, not two
        expected = [
            [
                -log_loss(y[test], _fitted(X[train], y[train], alpha, test, X), labels=["a", "b"])
                for alpha in alphas
            ]
            for train, test in FOLDS
        ]
    np.testing.assert_allclose(path.scores_[:, 0, :], expected, rtol=1e-4)


def _fitted(X_train, y_train, alpha, test, X):
    probe = LogisticRegression(C=1 / (alpha * len(X_train)), tol=1e-10, max_iter=10000)
    return probe.fit(X_train, y_train).predict_proba(X[test])


@pytest.mark.filterwarnings("ignore:.*labels that no training row has:UserWarning")
@pytest.mark.parametrize("place", PLACES)
def test_training_rows_without_a_class_are_named(place):
    X, y = _data(3, absent_from_test=False)
    with pytest.raises(ValueError, match=rf"Fold 0 of {place}.*\['c'\].*no training row") as error:
        PLACES[place](X, y, "neg_log_loss")
    assert "Use stratified folds" in str(error.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*labels that no training row has:UserWarning")
def test_a_profile_names_the_fold_and_the_class():
    X, y = _data(3, absent_from_test=False)
    options = {"n_layers": 2, "groups": np.arange(90), "cv": FOLDS}
    with pytest.raises(ValueError, match=r"Fold 0 of layer_profile.*\['c'\].*no training row"):
        layer_profile(PROBE, X, y, scoring="neg_log_loss", **options)
    X, y = _data(3, absent_from_test=True)
    profile = layer_profile(PROBE, X, y, scoring="neg_log_loss", **options)
    probability = []
    for train, test in FOLDS:
        probe = LogisticRegression(solver="newton-cholesky").fit(X[train, :3], y[train])
        of_rows = probe.predict_proba(X[test, :3])
        probability.append(of_rows[np.arange(30), np.searchsorted(probe.classes_, y[test])])
    expected = np.log(np.concatenate(probability)).mean()
    assert profile["score"].iloc[0] == pytest.approx(expected)


def test_selectivity_in_a_search_knows_the_classes():
    X, y = _data(3, absent_from_test=True)
    control = np.where(np.arange(90) % 2, "a", "b")
    with config_context(enable_metadata_routing=True):
        probe = ControlTaskClassifier(PROBE).set_fit_request(control_y=True)
        scores = cross_validate(
            probe, X, y, scoring=SelectivityScorer("neg_log_loss"), cv=FOLDS,
            params={"control_y": control}, error_score="raise",
        )["test_score"]  # fmt: skip
    expected = _by_hand(X, y, "neg_log_loss") - _by_hand(X, control, "neg_log_loss")
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


@pytest.mark.slow
def test_what_the_user_fixed_and_what_averages_over_classes_stays():
    X, y = _data(3, absent_from_test=True)
    fixed = make_scorer(
        log_loss, greater_is_better=False, response_method="predict_proba", labels=LETTERS
    )
    np.testing.assert_allclose(_curve(X, y, fixed), _by_hand(X, y, "neg_log_loss"), rtol=1e-10)
    # The mean over classes is over those that occur, as in cross_validate.
    for scoring in ("f1_macro", "accuracy"):
        right = cross_validate(PROBE, X, y, scoring=scoring, cv=FOLDS)["test_score"]
        np.testing.assert_array_equal(_curve(X, y, scoring), right)
    brier = make_scorer(
        brier_score_loss, greater_is_better=False, response_method="predict_proba", pos_label="b"
    )
    X, y = _data(2, absent_from_test=True)
    np.testing.assert_allclose(_curve(X, y, brier), _by_hand(X, y, "brier"), rtol=1e-10)


@pytest.mark.filterwarnings("ignore:.*is not defined:sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:Only one class is present in y_true")
def test_an_undefined_score_names_the_classes():
    X, y = _data(3, absent_from_test=True)
    for place in (_layers, _minimal):
        with pytest.raises(ValueError, match=r"fold 0 .* is nan \(.*lack the classes \['c'\]\)"):
            place(X, y, "roc_auc_ovr")


def test_errors_of_a_scorer_keep_their_words():
    X, y = _data(2, absent_from_test=True)

    def sulk(probe, X, y):
        raise ValueError("not today")

    with pytest.raises(ValueError, match=r"Fold 0 of ablation_curve cannot.*'b'.*not today"):
        _curve(X, y, sulk)
