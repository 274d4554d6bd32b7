# SPDX-License-Identifier: BSD-3-Clause
"""Intervals and outcomes of the probes of a Pareto curve."""

import inspect

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score, log_loss
from sklearn.model_selection import GroupKFold

from sklearn_neurox import ablation, evaluation
from sklearn_neurox.evaluation import compare, interval_table, pareto_curve
from sklearn_neurox.probes import LowRankProbeClassifier

RNG = np.random.default_rng(3)
GROUPS = np.repeat([f"text {i}" for i in range(21)], RNG.integers(4, 9, 21))
N = len(GROUPS)
Y = RNG.choice(["a", "b", "c"], N, p=[0.3, 0.3, 0.4])
MEANS = pd.DataFrame([[2, 0], [0, 2], [0, 0]], index=["a", "b", "c"]).loc[Y].to_numpy()
X = np.hstack([MEANS, np.zeros((N, 3))]) + RNG.normal(size=(N, 5))
PROBE = LowRankProbeClassifier(tol=1e-7, max_iter=5000)
ALPHAS = [0.2, 0.05]
OPTIONS = {"alphas": ALPHAS, "estimator": PROBE, "groups": GROUPS, "cv": 3, "return_words": True}
FOLDS = list(GroupKFold(3).split(X, Y, GROUPS))


def _bounds(outcomes, groups, scale, confidence):
    """Compute the bounds of the mean by the formulas in the notes of interval_table."""
    totals, sizes = {}, {}
    for outcome, group in zip(outcomes, groups, strict=True):
        totals[group] = totals.get(group, 0) + outcome
        sizes[group] = sizes.get(group, 0) + 1
    n, words = len(totals), len(outcomes)
    mean = sum(totals.values()) / words
    squares = np.array([(totals[g] - mean * sizes[g]) ** 2 for g in totals])
    error = np.sqrt(n / (n - 1) * squares.sum()) / words
    freedom = 2 * squares.sum() ** 2 / (np.sum(squares**2) - squares.sum() ** 2 / n)
    reach = error * stats.t.ppf((1 + confidence) / 2, min(max(freedom, 1), n - 1))
    if scale == "linear":
        return mean - reach, mean + reach
    logit, slope = np.log(mean / (1 - mean)), 1 / (mean * (1 - mean))
    return tuple(1 / (1 + np.exp(-(logit + sign * slope * reach))) for sign in (-1, 1))


def _fitted(alpha, train):
    """Return the probabilities of all words by a probe that is fitted by hand."""
    if np.isinf(alpha):
        return np.tile([np.mean(Y[train] == label) for label in "abc"], (N, 1))
    probe = LowRankProbeClassifier(alpha, tol=1e-7, max_iter=5000)
    return probe.fit(X[train], Y[train]).predict_proba(X)


@pytest.mark.slow
def test_outcomes_and_bounds_are_those_of_probes_fitted_by_hand():
    place = (Y[:, np.newaxis] == list("abc")).argmax(axis=1)
    for scoring, scale, confidence, tolerance in (
        (None, "logit", 0.95, 1e-9),
        ("accuracy", "logit", 0.8, 1e-9),
        ("neg_log_loss", "linear", 0.95, 2e-3),
    ):
        curve, words = pareto_curve(X, Y, scoring=scoring, confidence=confidence, **OPTIONS)
        assert curve.columns.tolist() == [
            *["fold", "alpha", "rank", "nuclear_norm", "score", "low", "high", "is_efficient"]
        ]
        assert words.columns.tolist() == ["fold", "alpha", "n_train", "row", "group", "outcome"]
        assert len(words) == N * 3
        for row in curve.itertuples():
            train, test = FOLDS[row.fold]
            own = words[(words["fold"] == row.fold) & (words["alpha"] == row.alpha)]
            assert own["row"].tolist() == test.tolist()
            assert own["group"].tolist() == GROUPS[test].tolist()
            assert (own["n_train"] == len(train)).all()
            p = _fitted(row.alpha, train)
            outcomes = np.log(p[np.arange(N), place]) if scale == "linear" else p.argmax(1) == place
            outcomes = outcomes[test].astype(float)
            assert own["outcome"].tolist() == pytest.approx(outcomes, rel=tolerance)
            assert row.score == pytest.approx(outcomes.mean(), rel=tolerance)
            expected = _bounds(outcomes, GROUPS[test], scale, confidence)
            assert (row.low, row.high) == pytest.approx(expected, rel=tolerance)
        # Over all folds, and the difference of two probes on the same words.
        table = interval_table(words, "alpha", confidence=confidence)
        assert table["alpha"].tolist() == [np.inf, *ALPHAS]
        for row in table.itertuples():
            own = words[words["alpha"] == row.alpha]
            expected = _bounds(own["outcome"], own["group"], scale, confidence)
            assert (row.low, row.high) == pytest.approx(expected)
            assert (row.n_words, row.n_groups) == (N, 21)
        found = compare(words[words["alpha"] == 0.05], words[words["alpha"] == np.inf])
        means = words.groupby("alpha")["outcome"].mean()
        assert found["difference"] == pytest.approx(means[0.05] - means[np.inf])
        assert found["p_value"] < 0.01


@pytest.mark.slow
def test_scores_that_are_no_means_over_words_have_bounds_too():
    curve, words = pareto_curve(X, Y, scoring="f1_macro", **OPTIONS)
    means = words.groupby(["fold", "alpha"], sort=False)["outcome"].mean()
    assert curve["score"].tolist() == pytest.approx(means.to_numpy())
    assert (curve["low"] < curve["score"]).all() and (curve["score"] < curve["high"]).all()
    train, test = FOLDS[0]
    predicted = np.array(list("abc"))[_fitted(0.05, train)[test].argmax(axis=1)]
    own = curve[(curve["fold"] == 0) & (curve["alpha"] == 0.05)]
    assert own["score"].item() == pytest.approx(f1_score(Y[test], predicted, average="macro"))


def test_without_groups_or_a_scorer_of_scikit_learn_the_bounds_are_missing():
    def certainty(probe, X, y):
        return -log_loss(y, probe.predict_proba(X), labels=list("abc"))

    for changes, missing in (({"groups": None}, "group"), ({"scoring": certainty}, "outcome")):
        curve, words = pareto_curve(X, Y, **{**OPTIONS, "cv": FOLDS[:1], **changes})
        assert curve[["low", "high"]].isna().all(axis=None) and curve["score"].notna().all()
        assert words[missing].isna().all() and len(words) == 3 * len(FOLDS[0][1])


def test_the_interval_is_wider_with_more_confidence_and_the_rest_stays():
    options = {**OPTIONS, "cv": FOLDS[:1], "return_words": False}
    curves = [pareto_curve(X, Y, confidence=level, **options) for level in (0.5, 0.95, 0.999)]
    widths = [(curve["high"] - curve["low"]).to_numpy() for curve in curves]
    assert (widths[0] < widths[1]).all() and (widths[1] < widths[2]).all()
    for other in curves[1:]:
        bare = other.drop(columns=["low", "high"])
        pd.testing.assert_frame_equal(bare, curves[0].drop(columns=["low", "high"]))
    for confidence in (0, 1, "high"):
        with pytest.raises(ValueError, match="'confidence' parameter of pareto_curve"):
            pareto_curve(X, Y, confidence=confidence, **options)


def test_every_function_that_returns_words_has_a_confidence_level():
    functions = [vars(module)[name] for module in (ablation, evaluation) for name in module.__all__]
    parameters = {
        function.__name__: set(inspect.signature(function).parameters)
        for function in functions
        if inspect.isfunction(function)
    }
    names = {name for name, own in parameters.items() if "return_words" in own}
    assert "pareto_curve" in names
    assert all("confidence" in parameters[name] for name in names)
