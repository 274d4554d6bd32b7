# SPDX-License-Identifier: BSD-3-Clause
"""Probes find planted neurons, find nothing in noise, and survive serialization."""

import io
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.io import SKOPS_TRUSTED
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
)
from tests.probes.oracles import classes_data, numbers_data


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_planted_neurons_are_found(n_classes):
    planted = make_planted_neurons(
        1500, 150, n_classes=n_classes, n_informative=8, effect=2.0, random_state=0
    )
    probe = ElasticNetProbeClassifier(0.04, 1.0, standardize=True, random_state=0)
    probe.fit(planted.X, planted.y)
    found = np.flatnonzero(probe.coef_.any(axis=0))
    np.testing.assert_array_equal(found, planted.informative)


@pytest.mark.slow
def test_the_chosen_penalty_keeps_the_planted_neurons():
    planted = make_planted_neurons(
        900, 100, n_classes=3, n_informative=6, effect=2.0, random_state=1
    )
    probe = ElasticNetProbeClassifierCV(
        1.0,
        alphas=8,
        eps=1e-2,
        cv=KFold(3),
        selection="one_standard_error",
        standardize=True,
        random_state=0,
    ).fit(planted.X, planted.y)
    found = np.flatnonzero(probe.coef_.any(axis=0))
    assert set(planted.informative) <= set(found)
    assert len(found) < 30
    strongest = np.abs(probe.coef_).max(axis=0).argsort()[-6:]
    assert set(strongest) == set(planted.informative)


def test_planted_coefficients_of_numbers_are_found():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 80))
    true = np.zeros((2, 80))
    true[0, [3, 40]] = [2.0, -1.0]
    true[1, [7, 79, 40]] = [1.0, 1.5, -2.0]
    y = X @ true.T + 0.1 * rng.normal(size=(400, 2))
    probe = ElasticNetProbeRegressor(0.1, 1.0, random_state=0).fit(X, y)
    np.testing.assert_array_equal(probe.coef_ != 0, true != 0)
    np.testing.assert_allclose(probe.coef_, true, atol=0.15)


@pytest.mark.slow
def test_shuffled_labels_are_at_chance():
    planted = make_planted_neurons(600, 60, n_classes=3, effect=2.0, random_state=0)
    y = np.random.RandomState(1).permutation(planted.y)
    pipe = make_pipeline(StandardScaler(), ElasticNetProbeClassifier(1e-2, random_state=0))
    chance = cross_val_score(pipe, planted.X, y, cv=KFold(5)).mean()
    assert abs(chance - 1 / 3) < 0.06
    assert cross_val_score(pipe, planted.X, planted.y, cv=KFold(5)).mean() > 0.9


def test_shuffled_numbers_explain_nothing():
    X, y = numbers_data(400)
    y = np.random.RandomState(1).permutation(y)
    assert cross_val_score(ElasticNetProbeRegressor(0.3), X, y, cv=KFold(4)).mean() < 0.05


def fitted():
    X, y = classes_data()
    X2, y2 = numbers_data(n_outputs=2)
    y = np.array(["a", "b", "c"])[y]
    classes, folds = np.unique(y), [(np.arange(80), np.arange(80, 120))]
    grid = {"alphas": 2, "eps": 0.1, "cv": folds, "random_state": 0}
    return {
        "classifier": ElasticNetProbeClassifier().fit(X, y),
        "classifier of a stream": ElasticNetProbeClassifier().partial_fit(X, y, classes=classes),
        "classifier with a path": ElasticNetProbeClassifierCV([0.3, 1.0], **grid).fit(X, y),
        "regressor": ElasticNetProbeRegressor().fit(X2, y2[:, 0]),
        "regressor of a stream": ElasticNetProbeRegressor().partial_fit(X2, y2),
        "regressor with a path": ElasticNetProbeRegressorCV(**grid).fit(X2, y2),
    }


_NAMES = [
    "classifier",
    "classifier of a stream",
    "classifier with a path",
    "regressor",
    "regressor of a stream",
    "regressor with a path",
]


@pytest.fixture(scope="module")
def probes():
    return fitted()


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("way", ["pickle", "joblib", "skops"])
def test_fitted_probes_survive_serialization(probes, name, way):
    probe = probes[name]
    if way == "pickle":
        again = pickle.loads(pickle.dumps(probe))
    elif way == "joblib":
        buffer = io.BytesIO()
        joblib.dump(probe, buffer)
        buffer.seek(0)
        again = joblib.load(buffer)
    else:
        stored = skops.io.dumps(probe)
        assert not set(skops.io.get_untrusted_types(data=stored)) - set(SKOPS_TRUSTED)
        again = skops.io.loads(stored, trusted=SKOPS_TRUSTED)
    X = classes_data(seed=5)[0]
    np.testing.assert_array_equal(again.predict(X), probe.predict(X))
    assert vars(again).keys() == vars(probe).keys()
    assert again.dual_gap_ == probe.dual_gap_ or np.isnan(probe.dual_gap_)
    assert b"torch" not in pickle.dumps(probe)


@pytest.mark.parametrize("name", ["classifier of a stream", "regressor of a stream"])
def test_a_stream_continues_after_skops(probes, name):
    probe = pickle.loads(pickle.dumps(probes[name])).set_params(random_state=0)
    again = skops.io.loads(skops.io.dumps(probe), trusted=SKOPS_TRUSTED)
    X, y = numbers_data(n_outputs=2)
    if "classifier" in name:
        y = np.array(["a", "b", "c"])[classes_data()[1]]
    np.testing.assert_array_equal(again.partial_fit(X, y).coef_, probe.partial_fit(X, y).coef_)
