# SPDX-License-Identifier: BSD-3-Clause
from itertools import combinations

import numpy as np
import pytest

from sklearn_neurox.ranking import ProbelessRanker


def _labeled(seed=0, n_samples=200, n_features=12, n_classes=5):
    rng = np.random.RandomState(seed)
    y = np.concatenate([np.arange(n_classes), rng.randint(n_classes, size=n_samples - n_classes)])
    X = rng.randn(n_samples, n_features) + rng.randn(n_classes, n_features)[y]
    return X, y


def test_formula_pair_by_pair():
    X, y = _labeled()
    ranker = ProbelessRanker().fit(X, y)
    expected = np.zeros(X.shape[1])
    expected_by_class = np.zeros((5, X.shape[1]))
    for v, w in combinations(range(5), 2):
        distance = np.abs(X[y == v].mean(axis=0) - X[y == w].mean(axis=0))
        expected += distance
        expected_by_class[v] += distance
        expected_by_class[w] += distance
    np.testing.assert_allclose(ranker.scores_, expected)
    np.testing.assert_allclose(ranker.class_scores_, expected_by_class)
    np.testing.assert_allclose(ranker.class_scores_.sum(axis=0), 2 * ranker.scores_)
    np.testing.assert_array_equal(ranker.order_, np.argsort(-expected))
    np.testing.assert_array_equal(ranker.class_order_, np.argsort(-expected_by_class, axis=1))


def test_every_class_counts_alike_and_sign_does_not():
    X, y = _labeled()
    rows = np.concatenate([np.arange(len(y)), np.flatnonzero(y == 0).repeat(9)])
    reference = ProbelessRanker().fit(X, y).scores_
    np.testing.assert_allclose(ProbelessRanker().fit(X[rows], y[rows]).scores_, reference)
    np.testing.assert_allclose(ProbelessRanker().fit(-X, y).scores_, reference)


def test_scale_makes_units_irrelevant():
    X, y = _labeled()
    units = np.logspace(-3, 3, X.shape[1])
    plain = ProbelessRanker(scale=True).fit(X, y)
    np.testing.assert_allclose(ProbelessRanker(scale=True).fit(X * units, y).scores_, plain.scores_)
    pooled = np.sqrt(np.mean((X - np.stack([X[y == c].mean(axis=0) for c in y])) ** 2, axis=0))
    np.testing.assert_allclose(plain.scores_, ProbelessRanker().fit(X, y).scores_ / pooled)


@pytest.mark.parametrize("scale, expected", [(False, [0, 2]), (True, [0, np.inf])])
def test_constant_neurons(scale, expected):
    y = np.array([0, 0, 1, 1])
    X = np.column_stack([np.full(4, 0.1), 2.0 * y])
    np.testing.assert_array_equal(ProbelessRanker(scale=scale).fit(X, y).scores_, expected)


def test_blocks_and_half_precision_lose_nothing():
    rng = np.random.RandomState(0)
    # Many blocks of rows, and sums too large to accumulate in float16 or float32.
    X = (1000 + rng.randn(30_000, 40)).astype(np.float16)
    y = rng.randint(3, size=len(X))
    exact = ProbelessRanker().fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(ProbelessRanker().fit(X, y).scores_, exact.scores_)


def test_single_precision_rounds_no_more_than_the_data():
    rng = np.random.RandomState(0)
    X = (1000 + rng.randn(30_000, 40)).astype(np.float32)
    y = rng.randint(3, size=len(X))
    exact = ProbelessRanker().fit(X.astype(np.float64), y)
    single = ProbelessRanker().fit(X, y)
    # Numbers near a thousand are rounded to 3e-5 in float32.
    np.testing.assert_allclose(single.scores_, exact.scores_, atol=3e-6)


def test_labels_are_checked():
    X, y = _labeled(n_classes=2)
    with pytest.raises(ValueError, match="only 1 class: 'NOUN'"):
        ProbelessRanker().fit(X, np.full(len(X), "NOUN"))
    with pytest.raises(ValueError, match="2 of 200 labels are missing, the first at row 4"):
        ProbelessRanker().fit(X, [None if i in (4, 9) else "a" for i in range(200)])
    with pytest.raises(ValueError, match="[Uu]nknown label type|continuous"):
        ProbelessRanker().fit(X, np.linspace(0, 1, 200))


@pytest.mark.parametrize("scale", [False, True])
def test_weights_of_rows_are_repetitions(scale):
    X, y = _labeled()
    weight = np.random.RandomState(0).randint(3, size=len(y))
    weight[y == 2] = 0
    weighted = ProbelessRanker(scale=scale).fit(X, y, sample_weight=weight)
    repeated = ProbelessRanker(scale=scale).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert weighted.classes_.tolist() == [0, 1, 3, 4]
    np.testing.assert_allclose(weighted.class_scores_, repeated.class_scores_)


@pytest.mark.parametrize("scale", [False, True])
def test_a_first_row_far_from_all_others_costs_no_digits(scale):
    # Like the first token of a text. Here, it is a class of its own, which is left out.
    rng = np.random.RandomState(0)
    X = rng.normal(size=(3000, 5)).astype(np.float32)
    y = np.append(0, rng.randint(1, 4, size=2999))
    X[0] = 1e6
    ranker = ProbelessRanker(scale=scale, min_count=2).fit(X, y)
    means = np.array([X[y == label].astype(float).mean(axis=0) for label in range(4)])
    expected = sum(np.abs(means[a] - means[b]) for a, b in combinations(range(1, 4), 2))
    if scale:
        expected /= np.sqrt(np.mean((X - means[y]) ** 2, axis=0))
    np.testing.assert_allclose(ranker.scores_, expected, rtol=1e-5)
