# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning

from sklearn_neurox.probes import LowRankProbeClassifier


def _data(n_samples=300, n_features=12, n_classes=5, rank=2, seed=0):
    """Return words whose classes differ along a few directions, on columns of unequal scales."""
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n_samples)
    centers = rng.randn(n_classes, rank) @ rng.randn(rank, n_features)
    X = 0.7 * centers[y] + rng.randn(n_samples, n_features)
    return X * np.geomspace(0.1, 10, n_features) + np.arange(n_features), y


def _objective(X, y, coef, intercept, alpha, weight=None):
    """Compute the objective at coefficients in units of X, with NumPy alone."""
    weight = np.ones(len(y)) if weight is None else weight
    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    losses = -log_softmax(X @ coef.T + intercept, axis=1)[np.arange(len(y)), y]
    norm = np.linalg.svd(coef * scale, compute_uv=False).sum()
    return np.average(losses, weights=weight) + alpha * norm


def _best_objective(X, y, alpha, n_classes):
    """Minimize over two factors, whose squared norms sum to twice the nuclear norm at the best."""
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    n_samples, n_features = Z.shape
    shapes = [(n_classes, n_classes), (n_classes, n_features), (n_classes,)]
    cuts = np.cumsum([np.prod(shape) for shape in shapes])[:-1]

    def value(flat):
        left, right, intercept = (
            part.reshape(shape) for part, shape in zip(np.split(flat, cuts), shapes, strict=True)
        )
        scores = Z @ (left @ right).T + intercept
        loss = -log_softmax(scores, axis=1)[np.arange(n_samples), y].mean()
        residual = (softmax(scores, axis=1) - np.eye(n_classes)[y]) / n_samples
        gradient = residual.T @ Z
        parts = gradient @ right.T + alpha * left, left.T @ gradient + alpha * right
        penalty = alpha / 2 * (np.square(left).sum() + np.square(right).sum())
        return loss + penalty, np.concatenate([p.ravel() for p in (*parts, residual.sum(axis=0))])

    start = np.random.RandomState(1).randn(sum(map(np.prod, shapes)))
    options = {"maxiter": 20000, "maxfun": 50000, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(value, start, jac=True, method="L-BFGS-B", options=options).fun


@pytest.mark.slow
def test_the_certified_bound_holds_for_an_independent_optimum():
    X, y = _data(150, 8)
    ranks = []
    for alpha in (0.2, 0.05, 0.01):
        best = _best_objective(X, y, alpha, 5)
        for tol in (1e-1, 1e-3, 1e-6):
            probe = LowRankProbeClassifier(alpha, tol=tol).fit(X, y)
            found = _objective(X, y, probe.coef_, probe.intercept_, alpha)
            assert probe.dual_gap_ <= tol * found * (1 + 1e-6)
            assert -1e-8 <= found - best <= probe.dual_gap_ + 1e-8
        values = np.linalg.svd(probe.coef_ * X.std(axis=0), compute_uv=False)
        assert probe.nuclear_norm_ == pytest.approx(values.sum())
        assert probe.rank_ == (values > 1e-9).sum() == np.linalg.matrix_rank(probe.coef_)
        ranks.append(probe.rank_)
    assert ranks[0] < ranks[-1] <= 4  # weights of five classes sum to zero
    np.testing.assert_allclose(probe.coef_.sum(axis=0), 0, atol=1e-6)


def test_the_conditions_of_optimality_hold():
    X, y = _data()
    alpha = 0.05
    probe = LowRankProbeClassifier(alpha, tol=1e-9, max_iter=5000).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    residual = probe.predict_proba(X) - np.eye(5)[y]
    gradient = residual.T @ Z / len(y)
    left, values, right = np.linalg.svd(probe.coef_ * X.std(axis=0), full_matrices=False)
    left, right = left[:, : probe.rank_], right[: probe.rank_]
    # In the directions that the probe reads, the gradient is alpha; in all others, at most that.
    np.testing.assert_allclose(left.T @ gradient @ right.T, -alpha * np.eye(probe.rank_), atol=1e-5)
    assert np.linalg.norm(gradient, ord=2) == pytest.approx(alpha, rel=1e-4)
    np.testing.assert_allclose(residual.sum(axis=0), 0, atol=1e-6)


@pytest.mark.slow
def test_two_classes_are_penalized_by_the_length_of_the_weights():
    X, y = _data(n_classes=2, rank=1)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    sign, alpha = 2 * y - 1, 0.02

    def value(flat):
        return np.logaddexp(0, -sign * (Z @ flat[1:] + flat[0])).mean() + alpha * np.linalg.norm(
            flat[1:]
        )

    best = minimize(value, np.full(13, 0.1), method="BFGS", options={"gtol": 1e-8})
    probe = LowRankProbeClassifier(alpha, tol=1e-8).fit(X, np.where(y, "yes", "no"))
    np.testing.assert_allclose(probe.coef_[0] * X.std(axis=0), best.x[1:], atol=1e-4)
    assert probe.rank_ == 1 and probe.coef_.shape == (1, 12)
    assert probe.nuclear_norm_ == pytest.approx(np.linalg.norm(best.x[1:]), rel=1e-4)


@pytest.mark.slow
def test_a_planted_rank_is_found():
    for rank in (1, 2, 3):
        rng = np.random.RandomState(rank)
        y = rng.randint(8, size=1500)
        corners = np.array([[1 - 2 * (c >> bit & 1) for bit in range(rank)] for c in range(8)])
        y = np.unique(corners, axis=0, return_inverse=True)[1].ravel()[y]
        corners = np.unique(corners, axis=0)
        directions = np.linalg.qr(rng.randn(40, rank))[0].T
        X = 6 * corners[y] @ directions + rng.randn(1500, 40)
        probe = LowRankProbeClassifier(0.05).fit(X, y)
        assert probe.rank_ == rank and probe.score(X, y) > 0.99


def test_from_alpha_max_upward_all_coefficients_are_zero():
    X, y = _data()
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    shares = np.bincount(y) / len(y)
    largest = np.linalg.norm((np.eye(5)[y] - shares).T @ Z / len(y), ord=2)
    with pytest.warns(UserWarning, match="All coefficients are zero, because alpha="):
        probe = LowRankProbeClassifier(largest * 1.001).fit(X, y)
    assert probe.rank_ == probe.nuclear_norm_ == 0 and not probe.coef_.any()
    assert probe.alpha_max_ == pytest.approx(largest)
    np.testing.assert_allclose(probe.predict_proba(X)[0], shares)
    assert LowRankProbeClassifier(largest * 0.99, tol=1e-8).fit(X, y).rank_ == 1
    with pytest.warns(UserWarning, match="zero, because no column of X is linearly related to y"):
        LowRankProbeClassifier().fit(X * 0, y)


@pytest.mark.slow
def test_a_larger_penalty_never_makes_the_norm_larger():
    X, y = _data()
    probe = LowRankProbeClassifier(1.0, tol=1e-7, warm_start=True, max_iter=5000)
    norms, steps = [], 0
    for alpha in np.geomspace(0.3, 3e-3, 8):
        norms.append(probe.set_params(alpha=alpha).fit(X, y).nuclear_norm_)
        steps += probe.n_iter_
        cold = LowRankProbeClassifier(alpha, tol=1e-7, max_iter=5000).fit(X, y)
        assert cold.nuclear_norm_ == pytest.approx(norms[-1], rel=1e-3)
        assert cold.rank_ == probe.rank_
        steps -= cold.n_iter_
    assert (np.diff(norms) > 0).all()
    assert steps < 0  # starting from the previous solution saves steps


@pytest.mark.slow
def test_units_and_kinds_of_input_do_not_matter():
    X, y = _data()
    X = X.astype(np.float16).astype(np.float64)
    plain = LowRankProbeClassifier(0.05, tol=1e-6).fit(X, y)
    given = {
        "units": X * np.geomspace(1, 1e4, 12) - 7,
        "float32": X.astype(np.float32),
        "float16": X.astype(np.float16),
        "sparse": sp.csr_matrix(X),
        "repeated": np.repeat(X, 2, axis=0),
    }
    for kind, values in given.items():
        labels = np.repeat(y, 2) if kind == "repeated" else y
        probe = LowRankProbeClassifier(0.05, tol=1e-6).fit(values, labels)
        assert probe.rank_ == plain.rank_, kind
        assert probe.nuclear_norm_ == pytest.approx(plain.nuclear_norm_, rel=1e-3), kind


@pytest.mark.slow
def test_weights_count_rows_and_classes():
    X, y = _data()
    counts = np.random.RandomState(0).randint(3, size=300)
    weighted = LowRankProbeClassifier(0.05, tol=1e-8).fit(X, y, sample_weight=counts)
    repeated = LowRankProbeClassifier(0.05, tol=1e-8).fit(np.repeat(X, counts, 0), y.repeat(counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-4)
    rare = np.where((y == 0) & (np.arange(300) > 40), 1, y)
    balanced = LowRankProbeClassifier(0.05, class_weight="balanced").fit(X, rare)
    plain = LowRankProbeClassifier(0.05).fit(X, rare)
    assert (balanced.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()
    with pytest.warns(UserWarning, match=r"classes \[4\] have no sample of positive weight"):
        absent = LowRankProbeClassifier(0.05).fit(X, y, sample_weight=(y < 4).astype(float))
    assert not absent.coef_[4].any() and absent.predict_proba(X)[:, 4].max() == 0


def test_a_fit_that_is_too_short_says_so():
    X, y = _data()
    with pytest.warns(ConvergenceWarning, match="did not converge in max_iter=3 steps"):
        LowRankProbeClassifier(1e-3, max_iter=3).fit(X, y)
    with pytest.raises(ValueError, match="'alpha' parameter of LowRankProbeClassifier"):
        LowRankProbeClassifier(0.0).fit(X, y)
