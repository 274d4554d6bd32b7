# SPDX-License-Identifier: BSD-3-Clause
"""The neurons with the smallest weights that hold a share of the mass: NeuroX's bottom neurons."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator

from sklearn_neurox.inspection import neuron_table
from sklearn_neurox.ranking import LCARanker


class _Weights(ClassifierMixin, BaseEstimator):
    def __init__(self, coef):
        self.coef_ = np.array(coef, dtype=float)
        self.classes_ = np.arange(max(2, len(self.coef_)))
        self.n_features_in_ = self.coef_.shape[1]

    def fit(self, X, y):
        return self

    def decision_function(self, X):
        scores = X @ self.coef_.T
        return scores if len(self.coef_) > 1 else scores[:, 0]

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def __sklearn_is_fitted__(self):
        return True


def _kept(coef, mass):
    probe = _Weights(coef)
    X = np.random.RandomState(0).randn(12, probe.n_features_in_)
    y = np.arange(12) % len(probe.classes_)
    ranker = LCARanker(FrozenEstimator(probe), importance="raw", which="smallest", mass=mass)
    return ranker.fit(X, y)


def _by_hand(coef, mass):
    """Add the weights of a class from the smallest on until they hold the share."""
    kept = set()
    for row in np.abs(coef):
        order, held = np.argsort(row, kind="stable"), 0.0
        for neuron in order:
            kept.add(int(neuron))
            held += row[neuron]
            if held >= mass * row.sum():
                break
    return sorted(kept)


@pytest.mark.parametrize(
    ("coef", "mass", "neurons"),
    [
        ([[5, 4, 1], [10, 1, 1]], 0.1, [1, 2]),
        ([[5, 4, 1]], 0.1, [2]),
        ([[5, 4, 1]], 0.11, [1, 2]),
        ([[-5, 4, -1]], 0.5, [1, 2]),
        ([[5, 4, 1]], 1.0, [0, 1, 2]),
        ([[5, 4, 1], [1, 4, 5], [3, 3, 4]], 0.05, [0, 1, 2]),  # equal weights stay together
        ([[0, 0, 2, 8]], 0.1, [0, 1, 2]),  # no weight holds nothing
        ([[0, 0, 1, 9]], 0.1, [0, 1, 2]),
    ],
)
def test_known_answers(coef, mass, neurons):
    assert _kept(coef, mass).get_support(indices=True).tolist() == neurons


def test_random_weights_follow_the_procedure():
    rng = np.random.RandomState(3)
    for _ in range(50):
        coef, mass = rng.randn(rng.randint(3, 6), 30), rng.uniform(0.01, 0.9)
        assert _kept(coef, mass).get_support(indices=True).tolist() == _by_hand(coef, mass)


def test_it_differs_from_all_but_the_top():
    coef = [[5, 4, 1], [10, 1, 1]]
    smallest = _kept(coef, 0.1)
    others = _kept(coef, 0.1).set_params(which="bottom")
    assert smallest.get_support().tolist() == [False, True, True]
    assert others.get_support().tolist() == [False, True, True]
    wide = [[5, 4, 3, 2, 1, 1, 1]]
    assert _kept(wide, 0.1).get_support(indices=True).tolist() == [4, 5, 6]
    bottom = _kept(wide, 0.1).set_params(which="bottom")
    assert bottom.get_support(indices=True).tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="top neurons"):
        neuron_table(smallest, by="class", n_layers=3)


@pytest.mark.parametrize("cut", [{}, {"n_neurons": 2}, {"threshold": 0.5}])
def test_it_needs_a_mass(cut):
    probe = _Weights([[5, 4, 1]])
    ranker = LCARanker(FrozenEstimator(probe), which="smallest", **cut)
    with pytest.raises(ValueError, match="mass="):
        ranker.fit(np.random.RandomState(0).randn(6, 3), [0, 1] * 3)
