# SPDX-License-Identifier: BSD-3-Clause
"""The simulations that the guide quotes can be run."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from benchmarks import _selection


@pytest.mark.slow
def test_the_accuracy_of_a_probe_is_that_on_many_rows():
    rng = np.random.default_rng(0)
    shifts = np.repeat([0.8, 0.0], [4, 20])
    X, y, groups = _selection._sample(rng, 200, shifts, 10)
    assert np.unique(groups, return_counts=True)[1].tolist() == [10] * 20
    probe = LogisticRegression().fit(X, y)
    unseen, labels, _ = _selection._sample(rng, 40_000, shifts, 1)
    expected = probe.score(unseen, labels)
    # Four standard errors of 40,000 independent rows.
    assert _selection._accuracy(probe, shifts) == pytest.approx(expected, abs=0.008)


@pytest.mark.slow
def test_the_least_loss_is_that_of_logistic_regression_on_each_subset():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12))
    y = (X[:, 2] + X[:, 7] + rng.standard_normal(60) > 0).astype(int)
    losses = _selection._losses_of_all_subsets(X, y, 0.1)
    subsets = list(combinations(range(12), 3))
    assert len(losses) == len(subsets)
    for place in (0, 57, 219):
        own = X[:, subsets[place]]
        probe = LogisticRegression(C=1 / (0.1 * 60), tol=1e-10, max_iter=1000).fit(own, y)
        p = probe.predict_proba(own)[np.arange(60), y]
        expected = -np.log(p).mean() + 0.05 * np.square(probe.coef_).sum()
        assert losses[place] == pytest.approx(expected, rel=1e-7)


@pytest.mark.slow
def test_the_simulations_run():
    table = _selection.losses(2, "few strong", [(200, 1, 0.05)])
    assert table["guarantee: neurons"].item() >= table["plain: neurons"].item()
    table = _selection.best_subsets(2, (100,))
    assert (table["bound holds"] == 1).all() and (table["best found"] == 1).all()
    assert (table["gap"] >= 0).all()
