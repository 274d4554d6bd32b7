# SPDX-License-Identifier: BSD-3-Clause
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.probes import GaussianProbeClassifier


def _labeled(n_samples=300, n_features=6, n_classes=3, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n_samples)
    mixing = rng.randn(n_classes, n_features, n_features) / 2 + np.eye(n_features)
    noise = rng.randn(n_samples, n_features)
    X = np.einsum("ij,ijk->ik", noise, mixing[y]) + rng.randn(n_classes, n_features)[y]
    return X * np.logspace(-2, 2, n_features) + 5, np.array(["N", "V", "X", "D"])[y]


def _paper(X, k0=0.01, prior_size=1):
    """Compute the normal-inverse-Wishart update term by term."""
    n, d = X.shape
    mean = X.mean(axis=0)
    scatter = sum(np.outer(row, row) for row in X - mean)
    mu = (k0 * mean + n * mean) / (k0 + n)
    scale = prior_size * np.diag(np.diag(scatter / n))
    return mu, (scale + scatter) / ((d + 2) + n + d + 2)


@pytest.mark.parametrize("prior, prior_size", [("mean", 1), ("mode", (6 + 2) + 6 + 2)])
def test_moments_are_the_papers_but_for_the_lift_of_the_diagonal(prior, prior_size):
    X, y = _labeled()
    probe = GaussianProbeClassifier(covariance_prior=prior).fit(X, y)
    within = np.mean([(x - X[y == c].mean(axis=0)) ** 2 for x, c in zip(X, y, strict=True)], axis=0)
    for c, mean, covariance in zip(probe.classes_, probe.means_, probe.covariances_, strict=True):
        mu, sigma = _paper(X[y == c], prior_size=prior_size)
        np.testing.assert_allclose(mean, mu)
        lift = within / (y == c).sum() ** 2 + 1e-9 * X.var(axis=0)
        np.testing.assert_allclose(covariance, sigma + np.diag(lift), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(probe.priors_, [np.mean(y == c) for c in probe.classes_])


def test_probabilities_are_bayes_rule_with_scipys_densities():
    X, y = _labeled()
    X = X / X.std(axis=0)
    probe = GaussianProbeClassifier(priors=[0.2, 0.3, 0.5]).fit(X, y)
    joint = np.column_stack(
        [
            np.log(prior) + multivariate_normal(mean, covariance).logpdf(X)
            for prior, mean, covariance in zip(
                [0.2, 0.3, 0.5], probe.means_, probe.covariances_, strict=True
            )
        ]
    )
    np.testing.assert_allclose(probe.decision_function(X), joint)
    expected = joint - np.log(np.exp(joint).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(probe.predict_log_proba(X), expected, atol=1e-10)
    np.testing.assert_allclose(probe.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_array_equal(probe.predict(X), probe.classes_[joint.argmax(axis=1)])
    assert probe.score(X, y) == accuracy_score(y, probe.predict(X))


def test_two_classes_give_log_odds():
    X, y = _labeled(n_classes=2)
    probe = GaussianProbeClassifier().fit(X, y)
    log_proba = probe.predict_log_proba(X)
    np.testing.assert_allclose(probe.decision_function(X), log_proba[:, 1] - log_proba[:, 0])


def test_a_marginal_is_the_indexed_moments_not_a_refit():
    X, y = _labeled()
    probe = GaussianProbeClassifier().fit(X, y)
    chosen = [4, 0, 3]
    marginal = probe.subset(chosen)
    np.testing.assert_array_equal(marginal.means_, probe.means_[:, chosen])
    for ours, whole in zip(marginal.covariances_, probe.covariances_, strict=True):
        np.testing.assert_array_equal(ours, whole[np.ix_(chosen, chosen)])
    assert marginal.predict_proba(X[:, chosen]).shape == (300, 3)
    refit = GaussianProbeClassifier().fit(X[:, chosen], y)
    # A refit has three dimensions instead of six, so its denominator is smaller by six.
    n = probe.class_count_[0]
    off_diagonal = marginal.covariances_[0][0, 1] * (n + 16) / (n + 10)
    np.testing.assert_allclose(refit.covariances_[0][0, 1], off_diagonal)


def test_a_marginal_density_is_the_integral_of_the_joint_density():
    X, y = _labeled(n_features=2)
    X = X / X.std(axis=0)
    probe = GaussianProbeClassifier(priors=[0.5, 0.3, 0.2]).fit(X, y)
    grid = np.linspace(-40, 40, 8001) + X[:, 1].mean()
    at = X[0, 0]
    joint = probe.decision_function(np.column_stack([np.full_like(grid, at), grid]))
    integral = np.exp(joint).sum(axis=0) * (grid[1] - grid[0])
    np.testing.assert_allclose(np.exp(probe.subset([0]).decision_function([[at]]))[0], integral)


def test_subsets_by_name_by_mask_and_in_chains():
    X, y = _labeled()
    names = [f"hidden.{i}.{i}" for i in range(6)]
    probe = GaussianProbeClassifier().fit(pd.DataFrame(X, columns=names), y)
    part = probe.subset(["hidden.5.5", "hidden.2.2", "hidden.0.0"])
    assert part.feature_names_in_.tolist() == ["hidden.5.5", "hidden.2.2", "hidden.0.0"]
    chain = part.subset(["hidden.0.0", "hidden.5.5"])
    direct = probe.subset([0, 5])
    np.testing.assert_array_equal(chain.covariances_, direct.covariances_)
    mask = np.isin(np.arange(6), [0, 5])
    np.testing.assert_array_equal(probe.subset(mask).means_, direct.means_)
    frame = pd.DataFrame(X[:, [0, 5]], columns=["hidden.0.0", "hidden.5.5"])
    np.testing.assert_array_equal(chain.predict(frame), direct.predict(frame))
    with pytest.raises(ValueError, match="subset was given the neuron 'hidden.9.9'"):
        probe.subset(["hidden.9.9"])
    with pytest.raises(ValueError, match="the same neuron twice"):
        probe.subset([1, -5])
    with pytest.raises(ValueError, match="no neuron"):
        probe.subset([])


def test_weights_are_repetitions():
    X, y = _labeled()
    weights = np.random.RandomState(0).randint(4, size=len(y))
    weights[y == "X"] = 0
    weighted = GaussianProbeClassifier().fit(X, y, sample_weight=weights)
    repeated = GaussianProbeClassifier().fit(X.repeat(weights, axis=0), y.repeat(weights))
    assert weighted.classes_.tolist() == ["N", "V"]
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(weighted.priors_, repeated.priors_)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-8)


def test_any_sum_of_weights_is_finite():
    X, y = _labeled()
    for weight in [1e-300, 1e-3, 1e200, 1e300]:
        probe = GaussianProbeClassifier().fit(X, y, sample_weight=np.full(len(y), weight))
        assert np.isfinite(probe.predict_log_proba(X)).all()


def test_a_class_of_one_row_has_the_pooled_variance():
    X, y = _labeled()
    X, y = np.vstack([X, X[:1]]), np.append(y, "Z")
    probe = GaussianProbeClassifier().fit(X, y)
    codes = np.searchsorted(probe.classes_, y)
    pooled = np.mean((X - probe.means_[codes]) ** 2, axis=0)
    np.testing.assert_allclose(probe.covariances_[-1], np.diag(pooled), rtol=1e-6)
    # As wide as the others, it neither claims its surroundings nor loses its own row.
    log_proba = probe.predict_log_proba(X)
    assert np.isfinite(log_proba).all()
    assert (probe.predict(X) == y).mean() > 0.8


def test_dead_neurons_are_uninformative():
    X, y = _labeled()
    rows = np.r_[: len(y), [0] * 200]
    X, y = X[rows], np.append(y, ["Z"] + ["N"] * 199)
    dead = np.column_stack([X, np.full((len(X), 50), 0.1)])
    alone = GaussianProbeClassifier().fit(dead, y)
    expected = alone.subset(np.arange(6)).predict_log_proba(X)
    np.testing.assert_allclose(alone.predict_log_proba(dead), expected, atol=1e-8)
    dead[:, 6:] += 100
    np.testing.assert_allclose(alone.predict_log_proba(dead), expected, atol=1e-5)


def test_the_mode_keeps_the_variances_of_rare_classes():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], [1500, 30])
    X = rng.randn(1530, 100) * (1 + y)[:, np.newaxis]
    variances = {
        prior: np.diagonal(
            GaussianProbeClassifier(covariance_prior=prior).fit(X, y).covariances_[1]
        ).mean()
        for prior in ("mean", "mode")
    }
    assert variances["mode"] == pytest.approx(4, rel=0.1)
    assert variances["mean"] == pytest.approx(4 * 31 / 234, rel=0.1)
    probe = GaussianProbeClassifier(covariance_prior="mode").fit(X, y)
    assert probe.mutual_information(-X, y) > GaussianProbeClassifier().fit(X, y).mutual_information(
        -X, y
    )


def test_a_neuron_constant_within_classes():
    X, y = _labeled()
    label = (y == "N").astype(float)
    constant_in_one = np.where(y == "N", 0.0, X[:, 0])
    for column in (label, constant_in_one):
        Z = np.column_stack([X, column])
        probe = GaussianProbeClassifier().fit(Z, y)
        assert np.isfinite(probe.predict_log_proba(Z)).all()
        np.testing.assert_array_equal(probe.predict(Z) == "N", y == "N")
        assert np.isfinite(probe.predict_log_proba(Z + 1)).all()


def test_equal_columns_and_more_columns_than_rows():
    X, y = _labeled()
    twins = np.column_stack([X, X, -3 * X])
    assert GaussianProbeClassifier().fit(twins, y).score(twins, y) > 0.8
    wide = np.random.RandomState(0).randn(20, 60) + np.arange(20)[:, np.newaxis] % 2
    probe = GaussianProbeClassifier().fit(wide, np.arange(20) % 2)
    assert np.isfinite(probe.predict_log_proba(wide)).all()
    assert np.linalg.eigvalsh(probe.covariances_).min() > 0


def test_units_of_the_columns_do_not_matter():
    X, y = _labeled()
    units = np.logspace(-12, 12, 6)
    np.testing.assert_allclose(
        GaussianProbeClassifier().fit(X, y).predict_proba(X),
        GaussianProbeClassifier().fit(X * units, y).predict_proba(X * units),
        atol=1e-9,
    )


def test_information_is_entropy_less_cross_entropy():
    X, y = _labeled()
    probe = GaussianProbeClassifier().fit(X[:200], y[:200])
    X, y = X[200:], y[200:]
    shares = pd.Series(y).value_counts(normalize=True)
    entropy = -(shares * np.log2(shares)).sum()
    cross_entropy = log_loss(y, probe.predict_proba(X)) / np.log(2)
    bits = probe.mutual_information(X, y)
    np.testing.assert_allclose(bits, entropy - cross_entropy)
    np.testing.assert_allclose(probe.mutual_information(X, y, units="nats"), bits * np.log(2))
    for units in ("bits", "nats"):
        ratio = probe.mutual_information(X, y, units=units, normalize=True)
        np.testing.assert_allclose(ratio, bits / entropy)
    part = probe.mutual_information(X, y, neurons=[3, 1])
    np.testing.assert_allclose(part, probe.subset([3, 1]).mutual_information(X[:, [3, 1]], y))


def test_normalized_information_is_one_if_certain_and_negative_if_wrong():
    y = np.repeat([0, 1], 100)
    X = (np.random.RandomState(0).randn(200) + 100 * y)[:, np.newaxis]
    probe = GaussianProbeClassifier().fit(X, y)
    assert probe.mutual_information(X, y, normalize=True) == pytest.approx(1)
    assert probe.mutual_information(X, y) == pytest.approx(1)
    assert probe.mutual_information(X, 1 - y) < -100
    with pytest.raises(ValueError, match="only 1 class, so its entropy is zero"):
        probe.mutual_information(X[:100], y[:100], normalize=True)
    with pytest.raises(ValueError, match=r"1 of 200 labels were not seen in fit.*7 at row 3"):
        probe.mutual_information(X, np.where(np.arange(200) == 3, 7, y))


def test_no_information_in_noise():
    rng = np.random.RandomState(0)
    X, y = rng.randn(40_000, 3), rng.randint(2, size=40_000)
    probe = GaussianProbeClassifier().fit(X[:20_000], y[:20_000])
    assert abs(probe.mutual_information(X[20_000:], y[20_000:])) < 2e-3


@pytest.mark.parametrize("kind", ["mean", "variance"])
def test_candidates_are_the_planted_neurons(kind):
    planted = make_planted_neurons(3000, 60, n_informative=6, kind=kind, effect=1.5, random_state=0)
    probe = GaussianProbeClassifier(6).fit(planted.X, planted.y)
    np.testing.assert_array_equal(probe.candidates_, planted.informative)
    assert probe.covariances_.shape == (3, 6, 6)
    narrow = GaussianProbeClassifier().fit(planted.X[:, planted.informative], planted.y)
    np.testing.assert_array_equal(
        probe.predict(planted.X), narrow.predict(planted.X[:, planted.informative])
    )
    assert GaussianProbeClassifier(0.1).fit(planted.X, planted.y).candidates_.tolist() == (
        planted.informative.tolist()
    )


def test_candidates_given_by_name():
    X, y = _labeled()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    probe = GaussianProbeClassifier(["e", "b"]).fit(frame, y)
    assert probe.candidates_.tolist() == [1, 4]
    np.testing.assert_array_equal(probe.subset(["e"]).covariances_, probe.covariances_[:, 1:, 1:])
    with pytest.raises(ValueError, match="neuron 0, which is not one of the 2 candidates"):
        probe.subset(["b", "a"])
    assert probe.mutual_information(frame, y, neurons=["e", "b"]) > 0
    with pytest.raises(ValueError, match="selects no columns"):
        GaussianProbeClassifier([]).fit(X, y)
    with pytest.raises(ValueError, match="candidates=7, but X has 6 columns"):
        GaussianProbeClassifier(7).fit(X, y)


def test_candidates_are_chosen_in_the_fold():
    rng = np.random.RandomState(0)
    X, y = rng.randn(120, 2000), rng.randint(2, size=120)
    probe = GaussianProbeClassifier(20)
    assert probe.fit(X, y).score(X, y) > 0.9
    assert cross_val_score(probe, X, y, cv=5).mean() < 0.62


def test_exceeding_the_memory_limit_fails_before_anything_is_allocated():
    X = np.zeros((34, 9984), dtype=np.float16)
    y = np.arange(34) % 17
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"13\.6 GB.*17 classes and 9984 .*candidates=7669"):
        GaussianProbeClassifier().fit(X, y)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert GaussianProbeClassifier(100).fit(X, y).covariances_.shape == (17, 100, 100)
    with pytest.raises(ValueError, match="candidates=85 or less"):
        GaussianProbeClassifier(100, max_memory=1e-3).fit(X, y)


@pytest.mark.slow
def test_half_precision_in_blocks_loses_nothing(tmp_path):
    rng = np.random.RandomState(0)
    X = (1000 + rng.randn(30_000, 300)).astype(np.float16)
    y = rng.randint(3, size=len(X))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    probe = GaussianProbeClassifier().fit(mapped, y)
    exact = np.cov(X[y == 1].astype(np.float64).T, bias=True)
    n, d = (y == 1).sum(), 300
    off = ~np.eye(d, dtype=bool)
    np.testing.assert_allclose(
        probe.covariances_[1][off], exact[off] * n / (n + 2 * d + 4), atol=1e-9
    )


def test_parameters_are_checked():
    X, y = _labeled()
    with pytest.raises(ValueError, match="only 1 class: 'NOUN'"):
        GaussianProbeClassifier().fit(X, np.full(len(X), "NOUN"))
    with pytest.raises(ValueError, match=r"shape \(2,\), but there are 3 classes"):
        GaussianProbeClassifier(priors=[0.5, 0.5]).fit(X, y)
    with pytest.raises(ValueError, match="sum to 1"):
        GaussianProbeClassifier(priors=[0.5, 0.5, 0.5]).fit(X, y)
    probe = GaussianProbeClassifier(priors=[0.5, 0.5, 0.0]).fit(X, y)
    assert "X" not in probe.predict(X)


def test_pickle_pipeline_and_search():
    X, y = _labeled()
    probe = GaussianProbeClassifier().fit(X, y)
    loaded = pickle.loads(pickle.dumps(probe))
    np.testing.assert_array_equal(loaded.predict_proba(X), probe.predict_proba(X))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), clone(probe)),
        {"gaussianprobeclassifier__candidates": [1, 6]},
    )
    assert search.fit(X, y).best_params_ == {"gaussianprobeclassifier__candidates": 6}
