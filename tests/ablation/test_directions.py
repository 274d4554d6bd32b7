# SPDX-License-Identifier: BSD-3-Clause
"""Directions from everything that holds them, with errors for everything that does not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.ablation import ConceptEraser
from sklearn_neurox.ablation._directions import align_directions, as_directions
from sklearn_neurox.probes import ElasticNetProbeClassifier, MeanDifferenceProbeClassifier

_NAMES = [f"hidden.3.{unit}" for unit in range(5)]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=90)
    X = rng.normal(size=(90, 5)) + 2 * rng.normal(size=(3, 5))[y]
    return pd.DataFrame(X, columns=_NAMES), np.array(list("abc"))[y]


def _read(source):
    return as_directions(source, caller="steer_model")


def test_all_sources_give_names_and_a_matrix(data):
    X, y = data
    values = np.arange(10.0).reshape(2, 5) + 1
    frame = pd.DataFrame(values, columns=_NAMES, index=["to a", "to b"])
    binary = y == "a"
    three, two = (MeanDifferenceProbeClassifier().fit(X, label) for label in (y, binary))
    elastic = ElasticNetProbeClassifier(alpha=0.01, random_state=0).fit(X, y)
    ridge = Ridge().fit(X, np.column_stack([X.iloc[:, 0], X.iloc[:, 1]]))
    flat = Ridge().fit(X, X.iloc[:, 0])
    gap = X[binary].mean() - X[~binary].mean()
    for source, matrix, labels in (
        (frame, values, ["to a", "to b"]),
        (frame.iloc[0], values[:1], ["to a"]),
        (pd.Series(values[0], index=_NAMES), values[:1], [0]),
        (gap, gap.to_numpy()[np.newaxis], [0]),
        (frame.astype(int), values, ["to a", "to b"]),
        (three, three.coef_, ["a", "b", "c"]),
        (two, two.coef_, [True]),
        (two, gap.to_numpy()[np.newaxis], [True]),
        (elastic, elastic.coef_, ["a", "b", "c"]),
        (LogisticRegression().fit(X, y).sparsify(), None, ["a", "b", "c"]),
        (ridge, ridge.coef_, [0, 1]),
        (flat, flat.coef_[np.newaxis], [0]),
    ):
        directions = _read(source)
        assert directions.names.tolist() == _NAMES
        assert directions.labels == labels
        assert directions.readouts is directions.center is None
        if matrix is not None:
            np.testing.assert_allclose(directions.matrix, matrix)


def test_an_eraser_keeps_what_it_reads(data):
    X, y = data
    for method in ("leace", "mean", "random"):
        eraser = ConceptEraser(method, random_state=0).fit(X, y)
        found = _read(eraser)
        values = X.to_numpy()
        erased = values - (values - found.center) @ found.readouts.T @ found.matrix
        np.testing.assert_allclose(erased, eraser.transform(X), atol=1e-12)
    nothing = ConceptEraser().fit(eraser.fit_transform(X, y), y)
    nothing.directions_ = nothing.readouts_ = np.zeros((0, 5))
    nothing.feature_names_in_ = np.array(_NAMES, dtype=object)
    assert _read(nothing).matrix.shape == (0, 5)


def test_directions_follow_the_order_of_the_neurons(data):
    X, y = data
    shuffled = X[_NAMES[::-1]]
    eraser = ConceptEraser().fit(shuffled, y)
    found = align_directions(_read(eraser), _NAMES, caller="steer_model")
    values = X.to_numpy()
    erased = values - (values - found.center) @ found.readouts.T @ found.matrix
    np.testing.assert_allclose(erased, eraser.transform(shuffled)[:, ::-1], atol=1e-12)
    probe = _read(MeanDifferenceProbeClassifier().fit(shuffled, y))
    found = align_directions(probe, _NAMES, caller="steer_model")
    np.testing.assert_array_equal(found.matrix, probe.matrix[:, ::-1])


def test_bad_sources_are_named(data):
    X, y = data
    one = pd.Series(1.0, index=_NAMES)
    broken = MeanDifferenceProbeClassifier().fit(X, y)
    broken.coef_ = broken.coef_[:, :4]
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2).fit(X, y)
    for source, error, message in (
        (np.ones(5), TypeError, r"Got ndarray.*pd.Series\(values, index=names\)"),
        (ConceptEraser, TypeError, "is the class ConceptEraser. Pass a fitted instance"),
        (MeanDifferenceProbeClassifier(), ValueError, "is not fitted"),
        (GaussianNB().fit(X, y), ValueError, "GaussianNB, which has neither coef_"),
        (LogisticRegression().fit(X.to_numpy(), y), ValueError, "fitted on columns without names"),
        (ConceptEraser().fit(X.to_numpy(), y), ValueError, "fitted on columns without names"),
        (
            make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y),
            ValueError,
            "is a Pipeline, whose last step may have seen columns.*standardize=True",
        ),
        (search, ValueError, "is a GridSearchCV. Pass its best_estimator_"),
        (broken, ValueError, r"shape \(3, 4\), but names 5 neurons"),
        (one.reset_index(drop=True), ValueError, "must have names of neurons.*but has 0"),
        (pd.concat([one, one]), ValueError, "the neuron 'hidden.3.0' more than once"),
        (one.astype(str) + "x", ValueError, "values that are not numbers"),
        (one.where(one.index != "hidden.3.2"), ValueError, "is nan at the neuron 'hidden.3.2'"),
        (one * 0, ValueError, "a direction of length zero: 0"),
        (pd.DataFrame(columns=_NAMES, dtype=float), ValueError, "has no direction"),
    ):
        with pytest.raises(error, match=message) as caught:
            _read(source)
        assert "steer_model" in str(caught.value) or "is not fitted" in message


def test_other_widths_and_layers_are_named():
    one = _read(pd.Series(1.0, index=_NAMES))
    for names, message in (
        (_NAMES[:4], "over 5 neurons, but block hidden.3 has 4; it has 'hidden.3.4', which"),
        (
            [*_NAMES, "hidden.3.5"],
            "over 5 neurons, but block hidden.3 has 6; it lacks 'hidden.3.5'",
        ),
        ([f"hidden.4.{unit}" for unit in range(5)], "it has 'hidden.3.0', which is not among them"),
    ):
        with pytest.raises(ValueError, match=message):
            align_directions(one, names, caller="steer_model", of="block hidden.3")
