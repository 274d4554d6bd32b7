# SPDX-License-Identifier: BSD-3-Clause
"""Tests of pairs of layers: known values, and error rates in simulations."""

import numpy as np
import pytest
from scipy.stats import binomtest, kstest, ttest_1samp

from sklearn_neurox.evaluation._layers._paired_tests import compare_pairs, holm
from sklearn_neurox.utils._scores._group_intervals import group_mean


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


def _compare(y, predictions, groups, inflation=1.0):
    outcomes = np.transpose([own == y for own in predictions]).astype(float)
    names = [f"{number}" for number in range(len(predictions))]
    return compare_pairs(names, outcomes, groups, inflation=inflation, confidence=0.95)


@pytest.mark.slow
def test_p_values_are_uniform_where_neither_is_better():
    rng = np.random.default_rng(1)
    p_values = [_compare(*_paired_answers(rng))["p_value"].item() for _ in range(1000)]
    assert kstest(p_values, "uniform").pvalue > 1e-3
    assert binomtest(int(np.sum(np.array(p_values) < 0.05)), 1000, 0.05).pvalue > 1e-3


def test_a_difference_is_found_and_pairing_helps():
    rng = np.random.default_rng(2)
    y, predictions, groups = _paired_answers(rng, n_groups=200, effect=0.1)
    pairs = _compare(y, predictions, groups).iloc[0]
    scores = [np.mean(own == y) for own in predictions]
    assert pairs["difference"] == pytest.approx(scores[0] - scores[1])
    assert pairs["high"] < 0 and pairs["p_holm"] < 0.01
    unpaired = np.hypot(*[group_mean(own == y, groups).error for own in predictions])
    assert pairs["std_error"] < 0.8 * unpaired


def test_equal_groups_give_the_paired_t_test():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(50), 10)
    y = np.zeros(500, dtype=int)
    predictions = [(rng.random(500) < 0.3).astype(int), (rng.random(500) < 0.36).astype(int)]
    pairs = _compare(y, predictions, groups).iloc[0]
    hits = [(own == y).reshape(50, 10).mean(axis=1) for own in predictions]
    expected = ttest_1samp(hits[0] - hits[1], 0)
    assert pairs["difference"] / pairs["std_error"] == pytest.approx(expected.statistic)
    inflated = _compare(y, predictions, groups, inflation=1.25).iloc[0]
    assert inflated["std_error"] == pytest.approx(np.sqrt(1.25) * pairs["std_error"])
    assert inflated["p_value"] > pairs["p_value"]


def test_differences_without_variance():
    y, groups = np.zeros(12, dtype=int), np.repeat(np.arange(4), 3)
    pairs = _compare(y, [y, y, 1 - y], groups)
    assert pairs["first"].tolist() == ["0", "0", "1"]
    # By the sign test, four groups all agree with probability 2 / 2^4.
    np.testing.assert_allclose(pairs["p_value"], [1, 0.125, 0.125])
    np.testing.assert_allclose(pairs["difference"], [0, 1, 1])
    assert pairs[["low", "high"]].isna().all(axis=None)
