# SPDX-License-Identifier: BSD-3-Clause
"""The intervals of `erasure_table`, and the outcomes of the words, against predictions by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score

from sklearn_neurox.ablation import ConceptEraser, erasure_table
from sklearn_neurox.evaluation import compare, interval_table

RNG = np.random.default_rng(0)
N = 120
GROUPS = np.array([f"text {number}" for number in RNG.integers(20, size=N)])
Y = np.array(list("abc"))[RNG.integers(3, size=N)]
X = RNG.normal(size=(N, 5)) + 2 * np.eye(5)[np.unique(Y, return_inverse=True)[1]]
OTHER = X[:, 4] + RNG.normal(size=N)
ROWS = np.arange(N)
SPLITS = [(ROWS[40:], ROWS[:40]), (ROWS[:80], ROWS[:79:-1])]  # the last one from the end
KEYS = ["fold", "eraser", "draw", "n_directions", "distance", "target", "is_erased"]


def _erase(concept=Y, probe=None, **options):
    probe = LogisticRegression() if probe is None else probe
    shared = {"probe": probe, "cv": SPLITS, "groups": GROUPS, "n_draws": 1, "random_state": 0}
    return erasure_table(X, concept, **{**shared, "return_words": True, **options})


def test_outcomes_are_those_of_the_predictions_by_hand():
    table, words = _erase()
    assert table.columns.tolist() == [*KEYS, "score", "low", "high", "chance"]
    assert words.columns.tolist() == [*KEYS, "n_train", "row", "group", "chance", "outcome"]
    np.testing.assert_array_equal(words["group"], GROUPS[words["row"]])
    for number, (train, test) in enumerate(SPLITS):
        eraser = ConceptEraser().fit(X[train], Y[train])
        probe = LogisticRegression().fit(eraser.transform(X[train]), Y[train])
        own = words[(words["fold"] == number) & (words["eraser"] == "leace")]
        np.testing.assert_array_equal(own["row"], test)
        right = probe.predict(eraser.transform(X[test])) == Y[test]
        np.testing.assert_array_equal(own["outcome"], right)
        labels, counts = np.unique(Y[train], return_counts=True)
        np.testing.assert_array_equal(own["chance"], labels[counts.argmax()] == Y[test])
        assert (own["n_train"] == len(train)).all()
    before, after = (words[words["eraser"] == name] for name in ("none", "leace"))
    assert compare(before, after)["p_value"] < 1e-3


def test_intervals_are_those_of_the_outcomes():
    for probe, concept, scoring in (
        (None, Y, None),
        (None, Y, "neg_log_loss"),
        (Ridge(), OTHER, None),
        (Ridge(), OTHER, "neg_mean_squared_error"),
    ):
        options = {"scoring": scoring, "confidence": 0.8}
        table, words = _erase(concept, probe, **options)
        means = interval_table(words, by=KEYS, confidence=0.8)
        np.testing.assert_allclose(means["score"], table["score"])
        chance = interval_table(words, by=KEYS, outcome="chance")
        np.testing.assert_allclose(chance["score"], table["chance"], atol=1e-12)
        assert (table["low"] < table["score"]).all() and (table["score"] < table["high"]).all()
        if scoring is None and probe is None:
            np.testing.assert_allclose(means[["low", "high"]], table[["low", "high"]])
        alone = _erase(concept, probe, return_words=False, n_jobs=2, **options)
        pd.testing.assert_frame_equal(alone, table)


def test_without_groups_or_with_a_scorer_of_ones_own_bounds_are_missing():
    def own(estimator, X, y):
        return accuracy_score(y, estimator.predict(X))

    expected = _erase()[0]
    for options in ({"groups": None}, {"scoring": own}):
        table, words = _erase(**options)
        assert table[["low", "high"]].isna().all(axis=None)
        columns = [*KEYS, "score", "chance"]
        pd.testing.assert_frame_equal(table[columns], expected[columns])
    assert words["outcome"].isna().all()
    with pytest.raises(ValueError, match="'confidence' parameter of erasure_table"):
        _erase(confidence=1.0)
