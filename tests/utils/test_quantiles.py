# SPDX-License-Identifier: BSD-3-Clause
from fractions import Fraction

import numpy as np

from sklearn_neurox.utils._quantile_cut import quantile_cut

_SHARES = ["0", "0.07", "0.1", "0.2", "0.28", "0.3", "0.57", "0.6", "0.7", "0.9", "0.95", "0.999"]


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
