# SPDX-License-Identifier: BSD-3-Clause
"""Labels that equal those of a fitted classifier, but have another type, are the same labels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.inspection import NeuronReport, neuron_summary, predictions_frame
from sklearn_neurox.ranking import LCARanker, ProbelessRanker
from sklearn_neurox.utils._labels import class_codes
from sklearn_neurox.words import words_frame

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X[:, 0] + 0.5 * RNG.normal(size=60) > 0
WORDS = words_frame([["one", "two", "three"]] * 20)
TYPES = {
    "bool": Y,
    "int": Y.astype(int),
    "uint8": Y.astype(np.uint8),
    "float": Y.astype(float),
    "object of bools": Y.astype(object),
    "object of ints": Y.astype(int).astype(object),
    "list": Y.tolist(),
    "boolean": pd.Series(Y, dtype="boolean"),
    "Int64": pd.Series(Y.astype(int), dtype="Int64"),
    "categories": pd.Series(Y.astype(int)).astype("category").cat.add_categories([7]),
}


def test_predictions_have_the_probability_of_the_gold_label():
    for fitted in ("bool", "int", "float", "boolean"):
        probe = LogisticRegression().fit(X, TYPES[fitted])
        gold = probe.predict_proba(X)[np.arange(60), Y.astype(int)]
        for name, labels in TYPES.items():
            frame = predictions_frame(probe, X, WORDS, labels)
            np.testing.assert_allclose(frame["gold_probability"], gold, err_msg=name)
            assert (frame["correct"] == (probe.predict(X) == Y)).all()


def test_strings_for_numbers_are_an_error():
    probe = LogisticRegression().fit(X, Y.astype(int))
    of_text = LogisticRegression().fit(X, Y.astype(str))
    for one, labels in ((probe, Y.astype(int).astype(str)), (of_text, Y)):
        with pytest.raises(ValueError, match="Pass labels like those that it was fitted on"):
            predictions_frame(one, X, WORDS, labels)
    # A label that the probe does not know is one that it cannot predict.
    frame = predictions_frame(of_text, X, WORDS, ["other"] * 60)
    assert not frame["correct"].any() and not frame["gold_probability"].any()


@pytest.mark.slow
def test_reports_and_tables_count_them():
    right = neuron_summary(ProbelessRanker().fit(X, Y), X, Y)
    probe = LogisticRegression().fit(X, Y)
    bottom = LCARanker(FrozenEstimator(probe)).fit(X, Y)
    for fitted in ("bool", "int", "float"):
        ranker = ProbelessRanker().fit(X, TYPES[fitted])
        frozen = FrozenEstimator(LogisticRegression().fit(X, TYPES[fitted]))
        for name, labels in TYPES.items():
            table = neuron_summary(ranker, X, labels)
            np.testing.assert_allclose(table["effect"], right["effect"], err_msg=name)
            if name == "object of bools":
                continue  # which scikit-learn takes for labels of an unknown type
            counts = NeuronReport(ranker, X, labels, WORDS)._data["class_counts"]
            assert list(counts) == [np.count_nonzero(~Y), np.count_nonzero(Y)]
            order = LCARanker(frozen).fit(X, labels).order_
            assert order.tolist() == bottom.order_.tolist()


def test_codes_are_those_of_equal_values():
    for labels in TYPES.values():
        for classes in (np.array([False, True]), np.array([0, 1]), np.array([0.0, 1.0])):
            np.testing.assert_array_equal(class_codes(labels, classes), Y)
    assert class_codes(["b", "x", "a"], np.array(["a", "b"])).tolist() == [1, -1, 0]
    assert class_codes([], np.array(["a", "b"])).tolist() == []
