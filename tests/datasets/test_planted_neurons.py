# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_selection import f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from sklearn_neurox.datasets import make_planted_neurons


def _top(scores, n):
    return np.sort(np.argsort(scores)[-n:])


def test_mean_shift_is_what_an_f_test_finds():
    planted = make_planted_neurons(2000, 100, n_informative=9, random_state=0)
    F, _ = f_classif(planted.X, planted.y)
    assert_array_equal(_top(F, 9), planted.informative)


def test_each_class_is_told_by_its_own_neurons():
    planted = make_planted_neurons(3000, 60, n_classes=4, n_informative=8, random_state=1)
    for label, own in enumerate(planted.class_informative):
        F, _ = f_classif(planted.X[:, planted.informative], planted.y == label)
        assert_array_equal(planted.informative[_top(F, 2)], own)
    assert_array_equal(np.sort(np.concatenate(planted.class_informative)), planted.informative)


def test_variance_shows_in_squares_only():
    planted = make_planted_neurons(
        4000, 50, n_informative=6, kind="variance", effect=2.0, random_state=0
    )
    squares, _ = f_classif(planted.X**2, planted.y)
    assert_array_equal(_top(squares, 6), planted.informative)
    _, p = f_classif(planted.X, planted.y)
    assert p[planted.informative].min() > 1e-4


def test_xor_shows_in_products_only():
    planted = make_planted_neurons(
        4000, 20, n_classes=2, n_informative=2, kind="xor", effect=2.0, random_state=0
    )
    alone = planted.X[:, planted.informative].astype(np.float64)
    _, p = f_classif(np.column_stack([planted.X, planted.X**2]), planted.y)
    assert p.min() > 1e-4
    product = alone.prod(axis=1, keepdims=True)
    assert cross_val_score(LogisticRegression(), product, planted.y).mean() > 0.9
    assert cross_val_score(LogisticRegression(), alone, planted.y).mean() < 0.55


def test_noise_is_correlated_as_asked_and_independent_of_the_planted():
    planted = make_planted_neurons(
        20000, 8, n_informative=2, n_classes=2, correlation=0.6, dtype=float, random_state=0
    )
    noise = np.setdiff1d(np.arange(8), planted.informative)
    R = np.corrcoef(planted.X, rowvar=False)
    assert_allclose(R[np.ix_(noise, noise)][~np.eye(6, dtype=bool)], 0.6, atol=0.03)
    assert np.abs(R[np.ix_(noise, planted.informative)]).max() < 0.03
    assert_allclose(planted.X[:, noise].var(axis=0), 1.0, atol=0.05)


def test_redundant_neurons_are_rescaled_copies():
    planted = make_planted_neurons(200, 30, n_informative=4, n_redundant=5, random_state=0)
    assert not np.intersect1d(planted.redundant, planted.informative).size
    assert np.isin(planted.redundant_of, planted.informative).all()
    for copy, source in zip(planted.redundant, planted.redundant_of, strict=True):
        r = np.corrcoef(planted.X[:, copy], planted.X[:, source])[0, 1]
        assert_allclose(abs(r), 1.0, rtol=1e-6)


def test_effects_fill_the_informative_neurons_in_order():
    planted = make_planted_neurons(
        5000, 20, n_classes=2, n_informative=3, effect=[0.5, 1.0, 2.0], dtype=float, random_state=0
    )
    owner = [k for j in planted.informative for k in range(2) if j in planted.class_informative[k]]
    shift = [
        planted.X[planted.y == k, j].mean() - planted.X[planted.y != k, j].mean()
        for j, k in zip(planted.informative, owner, strict=True)
    ]
    assert_allclose(np.abs(shift), [0.5, 1.0, 2.0], atol=0.12)


def test_weights_set_the_counts():
    y = make_planted_neurons(1000, weights=[0.7, 0.2, 0.1], random_state=0).y
    assert_array_equal(np.bincount(y), [700, 200, 100])
    assert_array_equal(np.bincount(make_planted_neurons(10, random_state=0).y), [3, 4, 3])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_and_reproducibility(dtype):
    first, again = (make_planted_neurons(50, dtype=dtype, random_state=5) for _ in range(2))
    assert first.X.dtype == dtype
    assert_array_equal(first.X, again.X)
    assert not np.array_equal(first.X, make_planted_neurons(50, dtype=dtype, random_state=6).X)


def test_names_are_layer_major():
    names = make_planted_neurons(10, 20, n_layers=4, random_state=0).feature_names
    assert len(names) == 20 and names[4] == "hidden.0.4" and names[5] == "hidden.1.0"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_neurons": 5}, "do not fit"),
        ({"kind": "xor", "n_informative": 3}, "odd"),
        ({"n_layers": 3}, "does not divide"),
        ({"weights": [1, 2]}, "3 positive numbers"),
        ({"weights": [1, 1, 0]}, "3 positive numbers"),
        ({"weights": [1, 1, 1e-9]}, "Class 2 would get none"),
        ({"effect": [1.0, 2.0]}, "an array of 10"),
        ({"kind": "mode"}, "kind"),
        ({"correlation": 1.0}, "correlation"),
        ({"n_classes": 1}, "n_classes"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        make_planted_neurons(**params)
