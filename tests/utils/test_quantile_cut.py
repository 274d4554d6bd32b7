# SPDX-License-Identifier: BSD-3-Clause
"""Quantiles as thresholds, against integer arithmetic."""

import numpy as np
import pandas as pd

from sklearn_neurox.inspection import compositional_explanations
from sklearn_neurox.ranking import IoURanker
from sklearn_neurox.utils._quantile_cut import quantile_cut


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
