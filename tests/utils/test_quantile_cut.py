# SPDX-License-Identifier: BSD-3-Clause
"""Quantiles as thresholds, against integer arithmetic."""

from fractions import Fraction

import numpy as np
import pandas as pd

from sklearn_neurox.inspection import compositional_explanations
from sklearn_neurox.ranking import IoURanker
from sklearn_neurox.utils._quantile_cut import quantile_cut

_SHARES = ["0", "0.07", "0.1", "0.2", "0.28", "0.3", "0.57", "0.6", "0.7", "0.9", "0.95", "0.999"]


def test_a_share_of_the_rows_exceeds_the_cut():
    for n_rows in [*range(1, 60), 75, 100, 150, 175, 1000, 10_000]:
        values = np.arange(n_rows)
        for percent in range(0, 100, 1 if n_rows in (25, 50, 75, 100, 150, 175) else 7):
            n_active = n_rows * (100 - percent) // 100 if percent else n_rows - 1
            cut = quantile_cut(values, percent / 100)
            assert (values > cut).sum() == n_active, (n_rows, percent)
    values = np.random.default_rng(0).permuted(np.tile(np.arange(25), (3, 1)), axis=1)
    for weight in (None, np.ones(25), np.full(25, 0.1)):
        cut = quantile_cut(values, 0.28, axis=1, weight=weight)
        assert (values > cut).sum(axis=1).tolist() == [18, 18, 18]


def test_all_users_of_quantiles_agree():
    X = np.arange(25.0)[:, np.newaxis]
    is_high = np.arange(25) >= 7
    for weight in (None, np.ones(25)):
        ranker = IoURanker(threshold=0.28, two_sided=False).fit(X, is_high, sample_weight=weight)
        np.testing.assert_array_equal(ranker.class_scores_[:, 0], [0.0, 1.0])
    concepts = pd.DataFrame({"high": is_high})
    table = compositional_explanations(X, concepts, threshold=0.28, unit="quantile")
    assert table.loc[0, ["explanation", "iou", "n_active"]].tolist() == ["high", 1.0, 18]


def test_equal_weights_change_no_quantile():
    rng = np.random.RandomState(0)
    for n_values in [1, 2, 3, 7, 10, 15, 20, 50, 100]:
        values = rng.permutation(n_values).astype(float)
        for share in _SHARES:
            # The smallest k with k / n >= share, in exact arithmetic.
            count = next(k for k in range(1, n_values + 1) if k >= Fraction(share) * n_values)
            for weight in [None, 0.1, 1 / 3, 7, 1e-200, 1e200]:
                weights = None if weight is None else np.full(n_values, weight)
                assert quantile_cut(values, float(share), weight=weights) == count - 1


def test_many_equal_weights_change_no_quantile():
    values, weights = np.arange(1e5), np.full(100_000, 0.1)
    assert quantile_cut(values, 0.3, weight=weights) == 29_999


def test_integer_weights_are_repetitions():
    rng = np.random.RandomState(1)
    for _ in range(50):
        n_values = rng.randint(1, 20)
        values = np.round(rng.normal(size=(3, n_values)), 1)
        weights = rng.randint(1, 5, size=n_values)
        for share in _SHARES:
            expected = quantile_cut(values.repeat(weights, axis=1), float(share), axis=1)
            found = quantile_cut(values, float(share), axis=1, weight=weights)
            np.testing.assert_array_equal(found, expected)
