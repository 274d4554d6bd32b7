# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.ranking import RandomRanker


def test_is_a_seeded_permutation_of_the_columns_only():
    rng = np.random.RandomState(0)
    first = RandomRanker(random_state=3).fit(rng.randn(4, 50))
    second = RandomRanker(random_state=3).fit(rng.randn(9, 50), rng.randint(2, size=9))
    np.testing.assert_array_equal(first.order_, second.order_)
    assert sorted(first.order_) == list(range(50))
    assert (first.order_ != RandomRanker(random_state=4).fit(np.zeros((2, 50))).order_).any()


def test_every_neuron_is_equally_likely_to_lead():
    random_state = np.random.RandomState(0)
    ranker = RandomRanker(random_state=random_state)
    leaders = [ranker.fit(np.zeros((1, 4))).order_[0] for _ in range(400)]
    assert np.bincount(leaders, minlength=4).min() > 70


def test_scores_are_equally_spaced_up_to_one():
    scores = RandomRanker(random_state=0).fit(np.zeros((2, 50))).scores_
    np.testing.assert_array_equal(np.sort(scores), np.arange(1, 51) / 50)
