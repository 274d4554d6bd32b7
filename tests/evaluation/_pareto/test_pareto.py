# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

from sklearn_neurox.evaluation import pareto_curve, pareto_hypervolume
from sklearn_neurox.probes import LowRankProbeClassifier


def _data(n_samples=300, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.randint(4, size=n_samples)
    X = rng.randn(4, 2)[y] @ rng.randn(2, 10) + rng.randn(n_samples, 10)
    return X, np.array(list("abcd"))[y], rng.randint(40, size=n_samples)


@pytest.mark.slow
def test_a_curve_holds_probes_that_are_fitted_by_hand():
    X, y, groups = _data()
    probe = LowRankProbeClassifier(tol=1e-7, max_iter=5000)
    alphas = [0.1, 5.0, 0.4]
    curve = pareto_curve(X, y, alphas=alphas, estimator=probe, cv=3, groups=groups)
    assert curve["alpha"].tolist() == [np.inf, 5, 0.4, 0.1] * 3
    assert curve["fold"].tolist() == np.repeat([0, 1, 2], 4).tolist()
    for fold, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
        own = curve[curve["fold"] == fold].set_index("alpha")
        labels, counts = np.unique(y[train], return_counts=True)
        constant = (y[test] == labels[counts.argmax()]).mean()
        for alpha in (np.inf, 5.0):
            assert own.loc[alpha, ["rank", "nuclear_norm"]].tolist() == [0, 0]
            assert own.loc[alpha, "score"] == pytest.approx(constant)
        for alpha in (0.4, 0.1):
            fitted = LowRankProbeClassifier(alpha, tol=1e-7, max_iter=5000).fit(X[train], y[train])
            assert own.loc[alpha, "rank"] == fitted.rank_
            assert own.loc[alpha, "nuclear_norm"] == pytest.approx(fitted.nuclear_norm_, rel=1e-3)
            assert own.loc[alpha, "score"] == fitted.score(X[test], y[test])
        assert own["is_efficient"].tolist() == _efficient_by_hand(own["nuclear_norm"], own["score"])
    assert not probe.warm_start and not hasattr(probe, "coef_")
    again = pareto_curve(X, y, alphas=alphas, estimator=probe, cv=3, groups=groups, n_jobs=2)
    pd.testing.assert_frame_equal(curve, again)


def _efficient_by_hand(complexities, scores):
    points = list(zip(complexities, scores, strict=True))
    return [
        not any(
            other_c <= c and other_s >= s and (other_c, other_s) != (c, s)
            for other_c, other_s in points
        )
        for c, s in points
    ]


def test_ranks_and_other_scores_can_decide_what_is_efficient():
    X, y, groups = _data()
    (train, test), *_ = GroupKFold(3).split(X, y, groups)
    options = {"cv": [(train, test)], "groups": groups, "scoring": "neg_log_loss"}
    curve = pareto_curve(X, y, alphas=[0.3, 0.2, 0.1], complexity="rank", **options)
    assert curve["is_efficient"].tolist() == _efficient_by_hand(curve["rank"], curve["score"])
    shares = [(y[train] == label).mean() for label in "abcd"]
    prior = np.tile(shares, (len(test), 1))
    assert curve.loc[0, "score"] == pytest.approx(-log_loss(y[test], prior))


@pytest.mark.slow
def test_the_hypervolume_is_the_mean_over_a_fine_grid_of_budgets():
    rng = np.random.RandomState(0)
    for n_probes in (1, 2, 7):
        places, scores = rng.rand(n_probes).round(2) * 5, rng.rand(n_probes)
        for largest in (None, 3.0, 8.0):
            budgets = (
                (np.arange(20000) + 0.5) / 20000 * (places.max() if largest is None else largest)
            )
            best = [max(scores[places <= c], default=0.0) for c in budgets]
            found = pareto_hypervolume(places, scores, max_complexity=largest)
            assert found == pytest.approx(np.mean(best), abs=2e-3)


def test_the_hypervolume_by_hand():
    # A third of the budgets scores .2, a third .8; the worse and more complex probe is not used.
    assert pareto_hypervolume([0, 1, 2], [0.2, 0.8, 0.5]) == pytest.approx((0.2 + 0.8) / 2)
    assert pareto_hypervolume([0, 1, 2], [0.2, 0.8, 0.9], max_complexity=3) == pytest.approx(
        1.9 / 3
    )
    assert pareto_hypervolume([2], [0.9], max_complexity=3) == pytest.approx(0.3)
    # Of two probes of the same complexity, the better one counts, and negative scores do as well.
    assert pareto_hypervolume([0, 0, 1], [0.2, 0.4, 0.1]) == pytest.approx(0.4)
    assert pareto_hypervolume([0, 1], [-2.0, -1.0], max_complexity=2) == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y, g: pareto_curve(X, y, alphas=[0.1, 0], groups=g), "'alphas' .* positive"),
        (lambda X, y, g: pareto_curve(X, y, alphas=[], groups=g), "'alphas' .* positive numbers"),
        (
            lambda X, y, g: pareto_curve(X, y, alphas=["a"], groups=g),
            "'alphas' .* positive numbers",
        ),
        (lambda X, y, g: pareto_curve(X, X[:, 0], groups=g), "Unknown label type: continuous"),
        (
            lambda X, y, g: pareto_curve(X, y, groups=g, estimator=LowRankProbeClassifier(tol=-1)),
            "'tol' parameter of",
        ),
        (lambda X, y, g: pareto_curve(np.full_like(X, np.nan), y, groups=g), "contains NaN"),
        (lambda X, y, g: pareto_hypervolume([-1], [0.5]), "must not be negative, got -1"),
        (lambda X, y, g: pareto_hypervolume([0], [0.5]), "Pass 'max_complexity'"),
        (lambda X, y, g: pareto_hypervolume([1], [np.nan]), "'score' .* finite number per probe"),
        (lambda X, y, g: pareto_hypervolume([1, 2], [0.5]), "inconsistent numbers"),
    ],
)
def test_what_is_wrong_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call(*_data(60))


def test_a_probe_that_does_not_converge_warns():
    X, y, groups = _data()
    short = LowRankProbeClassifier(max_iter=1, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="did not converge in max_iter=1"):
        pareto_curve(X, y, alphas=0.01, estimator=short, cv=2, groups=groups)
