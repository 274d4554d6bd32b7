# SPDX-License-Identifier: BSD-3-Clause
"""With sample weights, the means of the outcomes of words are the weighted scores."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ablation import ablation_curve, ablation_table
from sklearn_neurox.evaluation import compare, interval_table
from sklearn_neurox.ranking import ProbelessRanker

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 4))
Y = np.where(X[:, 0] + RNG.normal(size=N) > 0, "a", "b")
GROUPS = np.arange(N) // 4
WEIGHT = RNG.integers(0, 4, N).astype(float)
WEIGHT[GROUPS == 7] = 0
ROWS = np.arange(N)
SHARED = {
    "fractions": [1, 2],
    "n_draws": 1,
    "groups": GROUPS,
    "cv": [(ROWS[:60], ROWS[60:]), (ROWS[60:], ROWS[:60])],
    "sample_weight": WEIGHT,
    "return_words": True,
    "random_state": 0,
}


def _curve(**options):
    probe, ranker = LogisticRegression(), ProbelessRanker()
    return ablation_curve(probe, X, Y, ranker=ranker, retrain=False, **SHARED, **options)


def _table(**options):
    probes, rankings = {"probe": LogisticRegression()}, {"probeless": ProbelessRanker()}
    return ablation_table(
        X, Y, rankings=rankings, probes=probes, retrain=False, **SHARED, **options
    )


def _words(groups, outcomes, weight=None, **columns):
    columns = {"row": np.arange(len(outcomes)), "group": groups, "outcome": outcomes, **columns}
    return pd.DataFrame(columns if weight is None else {**columns, "weight": weight})


@pytest.mark.slow
def test_the_means_of_outcomes_are_the_scores():
    for measure, scoring in ((_curve, None), (_curve, "matthews_corrcoef"), (_table, None)):
        table, words = measure(scoring=scoring)
        np.testing.assert_array_equal(words["weight"], WEIGHT[words["row"]])
        by = [name for name in table if name not in ("score", "low", "high")]
        means = interval_table(words, by=by)
        for name in ("score", "low", "high") if scoring is None else ("score",):
            np.testing.assert_allclose(means[name], table[name], err_msg=str(scoring))


def test_weights_are_repetitions():
    """Each word counts as often as its weight says, and words of weight 0 are not there."""
    repeated = np.repeat(ROWS, WEIGHT.astype(int))
    right_a, right_b = (RNG.random((2, N)) < [[0.8], [0.6]]).astype(float)
    folds = {"fold": GROUPS % 2, "n_train": 50 + GROUPS % 2}
    for values in ((right_a, right_b), RNG.normal(size=(2, N))):
        a, b = (_words(GROUPS, one, WEIGHT) for one in values)
        found = interval_table(a)
        expected = interval_table(_words(GROUPS, values[0]).iloc[repeated])
        pd.testing.assert_frame_equal(found, expected)
        expected = compare(*(one[repeated] for one in values), GROUPS[repeated])
        expected["n_words"] = np.count_nonzero(WEIGHT)
        pd.testing.assert_series_equal(compare(a, b.sample(frac=1, random_state=0)), expected)
        a, b = (_words(GROUPS, one, WEIGHT, **folds) for one in values)
        split = compare(a, b, method="splits")
        difference = [
            np.average(values[0][own] - values[1][own], weights=WEIGHT[own])
            for own in (GROUPS % 2 == 0, GROUPS % 2 == 1)
        ]
        assert split["difference"] == pytest.approx(np.mean(difference))


def test_a_measurement_without_weight_keeps_its_place():
    """It was missing from the table."""
    weight = WEIGHT * (ROWS < 60)
    words = _words(GROUPS, np.ones(N), weight, half=np.where(ROWS < 60, "first", "second"))
    table = interval_table(words.iloc[::-1], by="half").set_index("half")
    assert table.index.tolist() == ["second", "first"]
    assert table.loc["second", ["score", "low", "high"]].isna().all()
    assert table.loc["second", ["n_words", "n_groups"]].tolist() == [0, 0]
    alone = interval_table(words[words["half"] == "first"], by="half").set_index("half")
    pd.testing.assert_frame_equal(table.loc[["first"]], alone)


def test_two_frames_need_the_same_weights():
    outcomes = RNG.normal(size=N)
    weighted = _words(GROUPS, outcomes, WEIGHT)
    for other in (_words(GROUPS, outcomes), _words(GROUPS, outcomes, WEIGHT[::-1])):
        for pair in ((weighted, other), (other, weighted)):
            with pytest.raises(ValueError, match="different weights"):
                compare(*pair)
    for wrong, message in ((-WEIGHT, "Negative"), (np.where(ROWS, WEIGHT, np.nan), "NaN")):
        with pytest.raises(ValueError, match=message):
            interval_table(_words(GROUPS, outcomes, wrong))
