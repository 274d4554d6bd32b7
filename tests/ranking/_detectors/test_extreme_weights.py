# SPDX-License-Identifier: BSD-3-Clause
"""Detectors with weights of many orders of magnitude, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from sklearn_neurox.ranking import AveragePrecisionRanker, IoURanker


def _cuts(column, hits, weight):
    """List the exact weights of the hits and of all rows at or above each value."""
    cuts = []
    for value in sorted(set(column), reverse=True):
        above = column >= value
        cuts.append((sum(weight[above & hits]), sum(weight[above])))
    return cuts


def _average_precision(column, hits, weight):
    total, before, result = sum(weight[hits]), 0, 0
    for found, everything in _cuts(column, hits, weight):
        result += (found - before) / total * found / everything
        before = found
    return result


def _best_iou(column, hits, weight):
    total = sum(weight[hits])
    return max(
        found / (total + everything - found) for found, everything in _cuts(column, hits, weight)
    )


@pytest.mark.parametrize(
    ("ranker", "oracle"),
    [(AveragePrecisionRanker(), _average_precision), (IoURanker(), _best_iou)],
    ids=["average precision", "iou"],
)
def test_small_weights_are_not_lost_beside_large_ones(ranker, oracle):
    rng = np.random.RandomState(0)
    for n_classes, is_rounded, spread in [(2, False, 8), (3, True, 12), (4, False, 3)]:
        y = np.append(np.arange(n_classes), rng.randint(n_classes, size=15))
        X = rng.normal(size=(len(y), 3))
        X = np.round(X) if is_rounded else X
        weight = 10.0 ** rng.uniform(-spread, spread, size=len(y))
        exact = np.array([Fraction(value) for value in weight])
        expected = [
            [
                float(max(oracle(column, y == label, exact), oracle(-column, y == label, exact)))
                for column in X.T
            ]
            for label in range(n_classes)
        ]
        scores = ranker.fit(X, y, sample_weight=weight).class_scores_
        np.testing.assert_allclose(scores, expected, rtol=1e-12)
        assert scores.max() <= 1


def test_equal_weights_do_not_move_a_quantile():
    for n_samples, quantile in [(10, 0.9), (15, 0.8), (20, 0.7), (100, 0.07)]:
        X = np.arange(float(n_samples))[:, np.newaxis]
        n_above = round(n_samples * (1 - quantile))
        y = np.arange(n_samples) >= n_samples - n_above
        for weight in [None, 0.1, 0.3, 1 / 3, 7.0]:
            weights = None if weight is None else np.full(n_samples, weight)
            ranker = IoURanker(quantile).fit(X, y, sample_weight=weights)
            assert ranker.class_scores_[1] == pytest.approx(1)
