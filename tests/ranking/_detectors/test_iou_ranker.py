# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.metrics import jaccard_score

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.ranking import IoURanker


def _best_by_sklearn(X, y, weight):
    """Try each cut of each column."""
    return np.array(
        [
            [
                max(
                    jaccard_score(y == c, x >= cut, sample_weight=weight)
                    for cut in np.unique(x if weight is None else x[weight > 0])
                )
                for x in X.T
            ]
            for c in np.unique(y)
        ]
    )


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_values=st.sampled_from([1, 2, 5, 1000]),
    weighted=st.booleans(),
)
def test_best_is_the_best_of_all_cuts(seed, n_values, weighted):
    rng = np.random.RandomState(seed)
    y = np.append([0, 1, 2], rng.randint(3, size=20))
    X = rng.randint(-n_values, n_values, size=(23, 2)) / 8
    weight = np.append([1.0, 1, 1], rng.choice([0, 0.5, 3], size=20)) if weighted else None
    with config_context(assume_finite=True, skip_parameter_validation=True):  # takes half the time
        high, low = _best_by_sklearn(X, y, weight), _best_by_sklearn(-X, y, weight)
    ranker = IoURanker().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ranker.class_scores_, np.maximum(high, low))
    ranker = IoURanker(two_sided=False).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ranker.class_scores_, high)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("unit, threshold", [("quantile", 0.8), ("quantile", 0), ("value", 0.25)])
def test_given_thresholds(unit, threshold, weighted):
    rng = np.random.RandomState(0)
    X, y = rng.randint(-8, 8, size=(60, 5)) / 8, np.arange(60) % 3
    weight = rng.randint(1, 4, size=60) if weighted else np.ones(60, int)
    expected = np.zeros((2, 3, 5))
    for side, Z in enumerate([X, -X]):
        repeated = np.sort(Z.repeat(weight, axis=0), axis=0)
        place = max(int(np.ceil(threshold * len(repeated))) - 1, 0)
        cuts = repeated[place] if unit == "quantile" else np.full(5, threshold)
        for c in range(3):
            for j in range(5):
                selected = Z[:, j] > cuts[j]
                expected[side, c, j] = jaccard_score(y == c, selected, sample_weight=weight)
    ranker = IoURanker(threshold, unit=unit).fit(X, y, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(ranker.class_scores_, expected.max(axis=0))
    np.testing.assert_array_equal(ranker.class_signs_ == -1, expected[1] > expected[0] + 1e-12)


@pytest.mark.parametrize("params", [{}, {"threshold": 0.7}, {"threshold": 0.8, "unit": "value"}])
def test_finds_shifted_means_of_either_sign(params):
    planted = make_planted_neurons(1500, 60, n_informative=9, effect=2.0, random_state=0)
    ranker = IoURanker(**params, n_neurons=9).fit(planted.X, planted.y)
    np.testing.assert_array_equal(ranker.get_support(indices=True), planted.informative)


def test_does_not_see_pairs():
    planted = make_planted_neurons(
        2000, 60, kind="xor", n_classes=2, n_informative=8, effect=3.0, random_state=0
    )
    ranker = IoURanker().fit(planted.X, planted.y)
    # As good as selecting all words.
    assert ranker.scores_.max() < 0.52


def test_equivariance_and_class_symmetry():
    rng = np.random.RandomState(0)
    X, y = rng.randn(80, 7), np.arange(80) % 3
    columns = rng.permutation(7)
    for ranker in (IoURanker(), IoURanker(0.7)):
        scores = ranker.fit(X, y).class_scores_
        permuted = ranker.fit(X[:, columns], y).class_scores_
        np.testing.assert_array_equal(permuted, scores[:, columns])
        np.testing.assert_array_equal(ranker.fit(X, 2 - y).class_scores_, scores[::-1])
        np.testing.assert_array_equal(ranker.fit(-X, y).class_scores_, scores)


def test_a_quantile_lies_in_zero_to_one():
    with pytest.raises(ValueError, match=r'threshold=1\.5.*quantile must be in \[0, 1\).*"value"'):
        IoURanker(1.5).fit(np.eye(4), [0, 1, 0, 1])
