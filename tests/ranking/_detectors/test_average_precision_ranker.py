# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.ranking import AveragePrecisionRanker
from sklearn_neurox.ranking._detectors import _base_detector


def _by_sklearn(X, y, sample_weight=None):
    return np.array(
        [
            [average_precision_score(y == c, x, sample_weight=sample_weight) for x in X.T]
            for c in np.unique(y)
        ]
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n_samples=st.integers(4, 60),
    n_values=st.sampled_from([1, 2, 5, 1000]),
    weighted=st.booleans(),
)
def test_is_sklearns_column_by_column(seed, n_samples, n_values, weighted):
    rng = np.random.RandomState(seed)
    y = np.append([0, 1, 2], rng.randint(3, size=n_samples - 3))
    X = rng.randint(-n_values, n_values, size=(n_samples, 4)) / 8
    X[X == 0] *= -1  # some negative zeros, which equal the others
    weight = rng.choice([0, 0.5, 1, 3], size=n_samples) if weighted else None
    if weighted:
        weight[:3] = 1
    high, low = _by_sklearn(X, y, weight), _by_sklearn(-X, y, weight)
    one_sided = AveragePrecisionRanker(two_sided=False).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(one_sided.class_scores_, high)
    two_sided = AveragePrecisionRanker().fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(two_sided.class_scores_, np.maximum(high, low))
    np.testing.assert_allclose(two_sided.scores_, np.maximum(high, low).mean(axis=0))
    clear = np.abs(high - low) > 1e-9
    np.testing.assert_array_equal(two_sided.class_signs_[clear], np.where(high > low, 1, -1)[clear])


def test_average_by_share_of_the_class():
    planted = make_planted_neurons(200, 10, weights=[0.6, 0.3, 0.1], random_state=0)
    ranker = AveragePrecisionRanker(average="weighted").fit(planted.X, planted.y)
    np.testing.assert_allclose(ranker.scores_, [0.6, 0.3, 0.1] @ ranker.class_scores_)


def test_finds_shifted_means_of_either_sign_and_tells_the_sign():
    planted = make_planted_neurons(1500, 60, n_informative=9, effect=1.5, random_state=0)
    ranker = AveragePrecisionRanker(n_neurons=9).fit(planted.X, planted.y)
    np.testing.assert_array_equal(ranker.get_support(indices=True), planted.informative)
    for code, own in enumerate(planted.class_informative):
        assert set(ranker.class_order_[code, : len(own)]) == set(own)
        shifts = planted.X[planted.y == code][:, own].mean(axis=0)
        np.testing.assert_array_equal(ranker.class_signs_[code, own], np.sign(shifts))
    one_sided = AveragePrecisionRanker(two_sided=False).fit(planted.X, planted.y)
    low = ranker.class_signs_[np.arange(3).repeat(3), np.concatenate(planted.class_informative)] < 0
    behind = [
        one_sided.class_order_[code].tolist().index(neuron) >= 50
        for code, own in enumerate(planted.class_informative)
        for neuron in own
    ]
    np.testing.assert_array_equal(behind, low)
    assert low.any() and not low.all()


def test_does_not_see_pairs():
    planted = make_planted_neurons(
        2000, 60, kind="xor", n_classes=2, n_informative=8, effect=3.0, random_state=0
    )
    ranker = AveragePrecisionRanker().fit(planted.X, planted.y)
    # Chance level: the class frequency.
    assert ranker.scores_.max() < 0.56
    assert np.isin(ranker.order_[:8], planted.informative).sum() < 5


def test_permutation_of_columns_names_of_classes_and_increasing_functions_change_nothing():
    rng = np.random.RandomState(0)
    X, y = rng.randn(80, 7), np.arange(80) % 3
    reference = AveragePrecisionRanker().fit(X, y)
    columns = rng.permutation(7)
    permuted = AveragePrecisionRanker().fit(X[:, columns], y)
    np.testing.assert_array_equal(permuted.class_scores_, reference.class_scores_[:, columns])
    renamed = AveragePrecisionRanker().fit(X, 2 - y)
    np.testing.assert_allclose(renamed.class_scores_, reference.class_scores_[::-1])
    np.testing.assert_allclose(renamed.scores_, reference.scores_)
    warped = AveragePrecisionRanker().fit(np.arctan(X) - 3, y)
    np.testing.assert_array_equal(warped.class_scores_, reference.class_scores_)
    mirrored = AveragePrecisionRanker().fit(-X, y)
    np.testing.assert_allclose(mirrored.class_scores_, reference.class_scores_)
    np.testing.assert_array_equal(mirrored.class_signs_, -reference.class_signs_)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_blocks_threads_and_precision_change_nothing(dtype, monkeypatch):
    rng = np.random.RandomState(0)
    X, y = rng.randn(70, 13).astype(dtype), np.arange(70) % 4
    reference = AveragePrecisionRanker().fit(X.astype(np.float64), y)
    monkeypatch.setattr(_base_detector, "_BLOCK_BYTES", 70 * 4 * 2)
    ranker = AveragePrecisionRanker(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(ranker.class_scores_, reference.class_scores_)


@pytest.mark.slow
def test_many_classes():
    # More classes than one byte can encode.
    X = np.random.RandomState(0).randn(600, 2)
    y = np.arange(600) % 300
    ranker = AveragePrecisionRanker(two_sided=False).fit(X, y)
    np.testing.assert_allclose(ranker.class_scores_, _by_sklearn(X, y))


def test_bad_input_is_named():
    X = np.random.RandomState(0).randn(6, 2)
    with pytest.raises(ValueError, match="AveragePrecisionRanker.*only 1 class: 'NOUN'"):
        AveragePrecisionRanker().fit(X, ["NOUN"] * 6)
    with pytest.raises(ValueError, match="at least one non-zero"):
        AveragePrecisionRanker().fit(X, list("aabbcc"), sample_weight=np.zeros(6))
    with pytest.raises(ValueError, match="only 1 class"):
        AveragePrecisionRanker().fit(X, list("aabbcc"), sample_weight=[1, 1, 0, 0, 0, 0])
