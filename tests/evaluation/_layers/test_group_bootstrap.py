# SPDX-License-Identifier: BSD-3-Clause
"""Intervals and tests from resampled groups: known values, and error rates in simulations."""

import numpy as np
import pytest
from scipy.stats import binomtest, kstest, ttest_1samp
from sklearn.metrics import get_scorer

from sklearn_neurox.evaluation._layers._paired_tests import (
    compare_pairs,
    group_counts,
    holm,
    percentile_interval,
)
from sklearn_neurox.evaluation._recorded_predictions import RecordedPredictions


def test_holm_by_hand():
    # Steps 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04; corrected values may not decrease.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.5]), [1.0, 1.0])
    assert holm([]).shape == (0,)


def test_holm_rejects_what_the_step_down_procedure_rejects():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values, alpha = rng.random(8) ** 4, 0.05
        rejected = np.zeros(8, dtype=bool)
        for step, index in enumerate(np.argsort(p_values)):
            if p_values[index] > alpha / (8 - step):
                break
            rejected[index] = True
        np.testing.assert_array_equal(holm(p_values) <= alpha, rejected)


def test_holm_keeps_the_chance_of_any_false_rejection():
    rng = np.random.default_rng(0)
    any_rejected = [(holm(rng.random(10)) <= 0.05).any() for _ in range(2000)]
    assert abs(np.mean(any_rejected) - 0.05) < 0.015


def test_counts_are_of_whole_resamples():
    counts = group_counts(30, 500, np.random.RandomState(0))
    assert counts.shape == (500, 30) and (counts.sum(axis=1) == 30).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.2)
    np.testing.assert_allclose(counts.var(), 29 / 30, atol=0.05)


def test_many_groups_give_the_plain_percentiles():
    replicates = np.random.default_rng(0).normal(size=(4000, 1))
    many = percentile_interval(replicates, 100_000, 0.9)
    np.testing.assert_allclose(np.ravel(many), np.quantile(replicates, [0.05, 0.95]), atol=1e-3)
    few = percentile_interval(replicates, 5, 0.9)
    assert few[0] < many[0] and few[1] > many[1]


def _paired_answers(rng, *, n_groups=60, effect=0.0):
    """Two probes with correlated errors within a sentence; equally good if the effect is 0."""
    sizes = rng.integers(5, 30, size=n_groups)
    groups = np.repeat(np.arange(n_groups), sizes)
    difficulty = rng.beta(2, 1, size=n_groups)[groups]
    right = []
    for shift in (0, effect):
        own = difficulty + rng.normal(0, 0.2, size=n_groups)[groups] + shift
        right.append(rng.random(len(groups)) < own)
    y = rng.integers(2, size=len(groups))
    return y, [np.where(hit, y, 1 - y) for hit in right], groups


def _profile(y, predictions, groups, seed, n_bootstrap=400):
    recorded = [
        RecordedPredictions(
            {"predict": own}, y, groups, classes=np.unique(y), scorer=get_scorer("accuracy")
        )
        for own in predictions
    ]
    counts = group_counts(groups.max() + 1, n_bootstrap, np.random.RandomState(seed))
    scores = np.array([own.score() for own in recorded])
    return scores, np.stack([own.resampled_scores(counts) for own in recorded], axis=1)


@pytest.mark.slow
def test_groups_cover_at_their_rate_and_words_do_not():
    rng = np.random.default_rng(0)
    # The mean of the beta distribution from which the accuracy of each sentence is drawn.
    truth, n_runs = 2 / 3, 400
    by_group, by_word = [], []
    for seed in range(n_runs):
        groups = np.repeat(np.arange(40), rng.integers(5, 30, size=40))
        y = rng.integers(2, size=len(groups))
        hits = rng.random(len(y)) < rng.beta(2, 1, size=40)[groups]
        own = [np.where(hits, y, 1 - y)]
        _, replicates = _profile(y, own, groups, seed, 300)
        low, high = percentile_interval(replicates, 40, 0.95)
        by_group.append(low[0] <= truth <= high[0])
        if seed < 100:
            _, replicates = _profile(y, own, np.arange(len(y)), seed, 200)
            low, high = percentile_interval(replicates, len(y), 0.95)
            by_word.append(low[0] <= truth <= high[0])
    assert binomtest(sum(by_group), n_runs, 0.95).pvalue > 1e-3
    assert np.mean(by_word) < 0.8


@pytest.mark.slow
def test_p_values_are_uniform_where_neither_is_better():
    rng = np.random.default_rng(1)
    p_values = []
    for seed in range(300):
        y, predictions, groups = _paired_answers(rng)
        scores, replicates = _profile(y, predictions, groups, seed)
        pairs = compare_pairs(["a", "b"], scores, replicates, groups.max() + 1, 0.95)
        p_values.append(pairs["p_value"].item())
    assert kstest(p_values, "uniform").pvalue > 1e-3
    assert binomtest(int(np.sum(np.array(p_values) < 0.05)), 300, 0.05).pvalue > 1e-3


def test_a_difference_is_found_and_pairing_helps():
    rng = np.random.default_rng(2)
    y, predictions, groups = _paired_answers(rng, n_groups=200, effect=0.1)
    scores, replicates = _profile(y, predictions, groups, 0)
    pairs = compare_pairs(["a", "b"], scores, replicates, 200, 0.95).iloc[0]
    assert pairs["difference"] == pytest.approx(scores[0] - scores[1])
    assert pairs["high"] < 0 and pairs["p_holm"] < 0.01
    unpaired = np.hypot(*replicates.std(axis=0))
    assert pairs["std_error"] < 0.8 * unpaired


def test_equal_groups_give_the_paired_t_test():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(50), 10)
    y = np.zeros(500, dtype=int)
    predictions = [(rng.random(500) < 0.3).astype(int), (rng.random(500) < 0.36).astype(int)]
    scores, replicates = _profile(y, predictions, groups, 0, 20_000)
    pairs = compare_pairs(["a", "b"], scores, replicates, 50, 0.95).iloc[0]
    hits = [(own == y).reshape(50, 10).mean(axis=1) for own in predictions]
    expected = ttest_1samp(hits[0] - hits[1], 0)
    assert pairs["p_value"] == pytest.approx(expected.pvalue, rel=0.05)
    interval = expected.confidence_interval()
    np.testing.assert_allclose(pairs[["low", "high"]].tolist(), interval, atol=0.004)


def test_differences_without_variance():
    y, groups = np.zeros(12, dtype=int), np.repeat(np.arange(4), 3)
    scores, replicates = _profile(y, [y, y, 1 - y], groups, 0)
    pairs = compare_pairs(["a", "b", "c"], scores, replicates, 4, 0.95)
    assert pairs["first"].tolist() == ["a", "a", "b"]
    # By the sign test, four groups all agree with probability 2 / 2^4.
    np.testing.assert_allclose(pairs["p_value"], [1, 0.125, 0.125])
    np.testing.assert_allclose(pairs["difference"], [0, 1, 1])
