# SPDX-License-Identifier: BSD-3-Clause
"""Whether the lasso of several classes has one solution, and the warning where it has more."""

import warnings

import numpy as np
import pytest
from scipy.special import log_softmax

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
)
from sklearn_neurox.probes._elastic_net._free_shifts import has_free_shift

ALPHA = 5e-3


def planted(n_classes, seed=0):
    return make_planted_neurons(
        600, 20, n_classes=n_classes, n_informative=8, effect=1.0, random_state=seed
    )


def fit(n_classes, l1_ratio=1.0, seed=0, **options):
    """Fit a probe, and return it with the messages of its warnings."""
    data = planted(n_classes, seed)
    probe = ElasticNetProbeClassifier(ALPHA, l1_ratio, tol=1e-6, random_state=0, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        probe.fit(data.X, data.y)
    return probe, [str(warning.message) for warning in caught]


def shifts_of_equal_norm(weights):
    """Return the least and the greatest constant that keep the l1 norm; it is linear between."""
    norms = np.abs(weights - weights[:, np.newaxis]).sum(axis=1)
    same = np.append(-weights[np.isclose(norms, np.abs(weights).sum(), rtol=1e-9)], 0.0)
    return same.min(), same.max()


def objective(probe, X, y, coef):
    """Compute the objective of the lasso from its definition."""
    log_p = log_softmax(X @ coef.T + probe.intercept_, axis=1)
    return -log_p[np.arange(len(y)), y].mean() + ALPHA * np.abs(coef).sum()


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3, 4, 5, 6, 8])
def test_it_warns_exactly_if_weights_can_be_shifted_for_free(n_classes):
    seen = set()
    for seed in range(4):
        probe, messages = fit(n_classes, seed=seed)
        coef = probe.coef_
        ends = np.array([shifts_of_equal_norm(column) for column in coef.T])
        if n_classes == 2:
            ends[:] = 0  # a single row of weights, which no constant can be added to
        free = np.flatnonzero(ends[:, 0] != ends[:, 1])
        seen.add(len(free) > 0)
        assert len(messages) == (len(free) > 0)
        if len(free):
            assert f"in {len(free)} of 20 columns" in messages[0]
            data = planted(n_classes, seed)
            best = objective(probe, data.X, data.y, coef)
            for end in ends.T:
                other = objective(probe, data.X, data.y, coef + end)
                assert other == pytest.approx(best, rel=1e-12)
    # With six classes or more, half of the weights rarely have one sign.
    assert n_classes >= 6 or seen == {n_classes == 4}


def test_solutions_differ_only_where_it_warns():
    for l1_ratio, differ in ((1.0, True), (0.9, False)):
        first, messages = fit(4, l1_ratio)
        second, _ = fit(4, l1_ratio, solver="saga")
        assert bool(messages) == differ
        assert (np.abs(first.coef_ - second.coef_).max() > 0.01) == differ


def test_it_does_not_warn_where_classes_have_no_weights_to_shift():
    X, y = planted(4).X, planted(4).y
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Outputs of a regression are penalized on their own.
        targets = np.eye(4)[y]
        ElasticNetProbeRegressor(ALPHA, 1.0, random_state=0).fit(X, targets)
        ElasticNetProbeClassifier(0.0, 1.0, random_state=0).fit(X, y)
        ElasticNetProbeClassifierCV(
            1.0, alphas=[10.0, ALPHA], cv=3, random_state=0, scoring="accuracy"
        ).fit(X, y % 2, groups=np.arange(len(y)))


def test_absent_classes_do_not_count():
    X, y = planted(4).X, planted(4).y
    probe = ElasticNetProbeClassifier(ALPHA, 1.0, tol=1e-6, random_state=0)
    with pytest.warns(UserWarning) as caught:
        probe.fit(X, y, sample_weight=(y < 3).astype(float))
    assert [str(warning.message)[:15] for warning in caught] == ["The classes [3]"]


def test_a_search_warns_about_the_final_fit_only():
    X, y = planted(4).X, planted(4).y
    search = ElasticNetProbeClassifierCV(1.0, alphas=[ALPHA], cv=3, random_state=0)
    with pytest.warns(UserWarning, match="solution is not unique: in [0-9]+ of 20") as caught:
        search.fit(X, y, groups=np.arange(len(y)))
    assert len(caught) == 1


def test_a_free_shift_leaves_the_l1_norm_unchanged():
    rng = np.random.default_rng(0)
    for n_classes in (2, 3, 4, 6):
        coef = rng.integers(-2, 3, size=(n_classes, 300)) / 4
        norm = np.abs(coef).sum(axis=0)
        shifted = [np.abs(coef + step).sum(axis=0) == norm for step in (2.0**-6, -(2.0**-6))]
        np.testing.assert_array_equal(has_free_shift(coef), shifted[0] | shifted[1])
