# SPDX-License-Identifier: BSD-3-Clause
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklearn_neurox import ElasticNetProbeClassifierCV
from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    SelectivityScorer,
    control_labels,
    selectivity_score,
)

GROUPS = np.arange(600) // 6


@pytest.fixture(scope="module")
def data():
    """Return embeddings of types with a task that is linear in them, and a control that is not."""
    rng = np.random.RandomState(0)
    types = rng.randint(100, size=600)
    X = rng.randn(100, 12)[types] + 0.1 * rng.randn(600, 12)
    y = np.where(X[:, 0] + 0.3 * X[:, 1] > 0, "yes", "no")
    return X, y, control_labels([f"t{t}" for t in types], y).to_numpy()


def _expected(estimator, data, scorer, weight=None, fit_weight=None):
    X, y, control = data
    weight = np.ones(len(y)) if weight is None else weight
    for train, test in GroupKFold(3).split(X, y, GROUPS):
        scores = []
        for labels in (y, control):
            given = {} if fit_weight is None else {"sample_weight": fit_weight[train]}
            probe = clone(estimator).fit(X[train], labels[train], **given)
            scores.append(scorer(probe, X[test], labels[test], sample_weight=weight[test]))
        yield scores[0] - scores[1]


def test_two_clones_each_with_its_labels(data):
    X, y, control = data
    probe = LogisticRegression()
    both = ControlTaskClassifier(probe).fit(X, y, control)
    assert not hasattr(probe, "coef_")
    task, other = clone(probe).fit(X, y), clone(probe).fit(X, control)
    np.testing.assert_array_equal(both.estimator_.coef_, task.coef_)
    np.testing.assert_array_equal(both.control_estimator_.coef_, other.coef_)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(both, method)(X), getattr(task, method)(X))
    assert both.score(X, y) == accuracy_score(y, task.predict(X))
    assert both.classes_.tolist() == ["no", "yes"] and both.n_features_in_ == 12
    assert SelectivityScorer()(both, X, y, control) == both.score(X, y) - other.score(X, control)
    again = pickle.loads(pickle.dumps(both))
    np.testing.assert_array_equal(again.predict(X), both.predict(X))


def test_the_control_may_have_other_classes(data):
    X, y, control = data
    both = ControlTaskClassifier(LogisticRegression()).fit(X, y, np.where(control == "no", 5, 7))
    assert both.control_estimator_.classes_.tolist() == [5, 7]
    assert set(both.predict(X)) == {"no", "yes"}


def test_what_the_probe_lacks_it_lacks(data):
    X, y, control = data
    both = ControlTaskClassifier(RidgeClassifier())
    assert not hasattr(both, "predict_proba") and hasattr(both, "decision_function")
    with pytest.raises(NotFittedError):
        both.predict(X)
    both.fit(pd.DataFrame(X, columns=[f"n{i}" for i in range(12)]), y, control)
    assert both.feature_names_in_[0] == "n0"
    assert not hasattr(both.fit(X, y, control), "feature_names_in_")


def test_weights_and_what_else_the_probe_takes_reach_both_fits(data):
    X, y, control = data
    weight = np.random.RandomState(0).rand(600)
    both = ControlTaskClassifier(LogisticRegression()).fit(X, y, control, sample_weight=weight)
    for probe, labels in ((both.estimator_, y), (both.control_estimator_, control)):
        np.testing.assert_array_equal(
            probe.coef_, LogisticRegression().fit(X, labels, sample_weight=weight).coef_
        )
    inner = ElasticNetProbeClassifierCV(alphas=2, eps=0.1, cv=2, random_state=0)
    both = ControlTaskClassifier(inner).fit(X, y, control, groups=GROUPS)  # else it would warn
    assert both.estimator_.alpha_ > 0 and both.control_estimator_.alpha_ > 0


@pytest.mark.parametrize("scoring", [None, "accuracy", "f1_macro"])
def test_selectivity_in_cross_validation(data, scoring):
    X, y, control = data
    probe = make_pipeline(StandardScaler(), LogisticRegression())
    with config_context(enable_metadata_routing=True):
        scores = cross_validate(
            ControlTaskClassifier(probe).set_fit_request(control_y=True),
            X,
            y,
            cv=GroupKFold(3),
            scoring={"task": "accuracy", "selectivity": SelectivityScorer(scoring)},
            params={"control_y": control, "groups": GROUPS},
        )
    scorer = get_scorer(scoring or "accuracy")
    np.testing.assert_allclose(
        scores["test_selectivity"], list(_expected(probe, data, scorer)), rtol=1e-12
    )
    task = cross_validate(probe, X, y, cv=GroupKFold(3), groups=GROUPS)["test_score"]
    np.testing.assert_array_equal(scores["test_task"], task)


@pytest.mark.slow
def test_frames_of_words_are_cut_with_their_controls():
    words = make_tagged_words(100, random_state=0)
    control = control_labels(words, words["upos"])
    lookup = make_pipeline(
        FunctionTransformer(lambda frame: frame[["word"]]),
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(C=100),
    )
    with config_context(enable_metadata_routing=True):
        both = ControlTaskClassifier(lookup).set_fit_request(control_y=True)
        scores = cross_validate(
            both,
            words,
            words["upos"],
            cv=GroupKFold(2),
            scoring=SelectivityScorer(),
            params={"control_y": control, "groups": words["text"]},
        )["test_score"]
    plain = selectivity_score(lookup, words, words["upos"], control, cv=2, groups=words["text"])
    np.testing.assert_allclose(scores, plain["selectivity"])
    # Features that only identify the word allow task and control to be learned equally well.
    assert np.abs(scores).max() < 0.15


@pytest.mark.parametrize("fitted_with", [True, False])
def test_weights_are_routed_to_fit_and_to_scores(data, fitted_with):
    X, y, control = data
    weight = np.random.RandomState(0).randint(1, 9, size=600).astype(float)
    with config_context(enable_metadata_routing=True):
        probe = LogisticRegression().set_fit_request(sample_weight=fitted_with)
        both = ControlTaskClassifier(probe)
        options = {
            "cv": GroupKFold(3),
            "scoring": SelectivityScorer().set_score_request(sample_weight=True),
            "params": {"control_y": control, "groups": GROUPS, "sample_weight": weight},
        }
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            cross_validate(both.set_fit_request(control_y=True), X, y, **options)
        both.set_fit_request(sample_weight=fitted_with)
        scores = cross_validate(both, X, y, **options)["test_score"]
    expected = _expected(
        LogisticRegression(), data, get_scorer("accuracy"), weight, weight if fitted_with else None
    )
    np.testing.assert_allclose(scores, list(expected), rtol=1e-12)


@pytest.mark.slow
def test_a_search_by_selectivity_rejects_what_memorises(data):
    X, y, control = data
    grid = {"estimator": [KNeighborsClassifier(1), LogisticRegression(C=10)]}
    with config_context(enable_metadata_routing=True):
        both = ControlTaskClassifier(LogisticRegression()).set_fit_request(control_y=True)
        by_task, by_selectivity = (
            GridSearchCV(both, grid, cv=GroupKFold(3), scoring=scoring).fit(
                X, y, control_y=control, groups=GROUPS
            )
            for scoring in ("accuracy", SelectivityScorer())
        )
        assert isinstance(by_selectivity.best_params_["estimator"], LogisticRegression)
        memory, linear = by_selectivity.cv_results_["mean_test_score"]
        assert abs(memory) < 0.05 and linear > 0.2
        expected = list(_expected(grid["estimator"][1], data, get_scorer("accuracy")))
        assert linear == pytest.approx(np.mean(expected))
        assert by_selectivity.score(X, y, control_y=control) > 0.2
    assert by_task.best_score_ > 0.9


def test_without_routing_a_plain_call_works_and_the_rest_says_how(data):
    X, y, control = data
    both = ControlTaskClassifier(LogisticRegression())
    with pytest.raises(ValueError, match=r"needs the labels of the control task.*set_fit_request"):
        both.fit(X, y)
    both.fit(X, y, control_y=control)
    with pytest.raises(ValueError, match=r"needs the control labels of the rows it scores"):
        SelectivityScorer()(both, X, y)
    with pytest.raises(TypeError, match=r"got a Pipeline.*ControlTaskClassifier\(make_pipeline"):
        SelectivityScorer()(make_pipeline(both), X, y, control)


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (["a", None] * 300, "Input control_y contains NaN: 300 of 600 labels are missing"),
        (["a", "b"], "inconsistent numbers"),
        (np.linspace(0, 1, 600), "Unknown label type"),
    ],
)
def test_bad_controls(data, control, message):
    X, y, _ = data
    with pytest.raises(ValueError, match=message):
        ControlTaskClassifier(LogisticRegression()).fit(X, y, control)


def test_the_scorer_is_cloned_with_its_requests():
    scorer = SelectivityScorer("f1_macro")
    with config_context(enable_metadata_routing=True):
        scorer.set_score_request(control_y="control", sample_weight=True)
        requests = clone(scorer).get_metadata_routing().score.requests
    assert requests == {"control_y": "control", "sample_weight": True}
    assert clone(scorer).scoring == "f1_macro"
