# SPDX-License-Identifier: BSD-3-Clause
"""The objective of the elastic-net probes, its dual and its optimum, in plain float64 NumPy.

Written from the definitions alone, so that the tests do not rely on the code they test.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import entr, log_softmax, softmax


@dataclass
class Problem:
    """One penalized problem.

    ``Z`` has shape (n_samples, n_features) and holds the penalized columns. ``target`` has shape
    (n_samples, n_rows) and holds numbers or one-hot labels (for two classes, the second column
    only). ``weight`` has shape (n_samples,) and mean one.
    """

    Z: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    alpha: float
    l1_ratio: float
    kind: str
    mean: np.ndarray
    scale: np.ndarray
    fit_intercept: bool = True

    @classmethod
    def of(cls, probe, X, y, sample_weight=None, class_weight=1.0, alpha=None, l1_ratio=None):
        """Build the problem of a probe; ``class_weight`` has one entry per sample."""
        X = np.asarray(X, dtype=np.float64)
        moment = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        weight = moment * class_weight
        mean, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
        if probe.standardize:
            average = np.average(X, axis=0, weights=moment)
            scale = np.sqrt(np.average((X - average) ** 2, axis=0, weights=moment))
            scale[scale < 1e-12 * np.abs(average)] = 1.0
            scale[scale == 0] = 1.0
            mean = average * probe.fit_intercept
        kind, target = _targets(probe, y)
        return cls(
            (X - mean) / scale,
            target,
            weight / weight.mean(),
            probe.alpha if alpha is None else alpha,
            probe.l1_ratio if l1_ratio is None else l1_ratio,
            kind,
            mean,
            scale,
            probe.fit_intercept,
        )

    def inside(self, probe):
        """Return coefficients and intercepts of a fitted probe for the columns of Z."""
        coef, intercept = np.atleast_2d(probe.coef_), np.atleast_1d(probe.intercept_)
        return coef * self.scale, intercept + coef @ self.mean

    def objective(self, coef, intercept):
        loss = (self.weight * self._losses(self.Z @ coef.T + intercept)).mean()
        ridge = (1 - self.l1_ratio) / 2 * (coef**2).sum()
        return loss + self.alpha * (self.l1_ratio * np.abs(coef).sum() + ridge)

    def residual(self, coef, intercept):
        """Compute the derivatives of the losses in the scores, times the weights."""
        scores = self.Z @ coef.T + intercept
        if self.kind == "squared":
            value = scores
        elif self.kind == "binary":
            value = softmax(np.hstack([np.zeros_like(scores), scores]), axis=1)[:, 1:]
        else:
            value = softmax(scores, axis=1)
        return (value - self.target) * self.weight[:, None]

    def gap(self, coef, intercept, dual_scale=None):
        """Compute the objective minus the dual at the residual, for exact intercepts.

        Without ``dual_scale``, the residual is scaled by the best factor up to one.
        """
        residual = self.residual(coef, intercept)
        if self.fit_intercept:
            np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-5 * self._unit())
            residual = residual - np.outer(self.weight, residual.mean(axis=0))
        slope = residual.T @ self.Z / len(self.Z)
        objective = self.objective(coef, intercept)
        l1, l2 = self.alpha * self.l1_ratio, self.alpha * (1 - self.l1_ratio)
        most = 1.0 if l2 else min(1.0, l1 / max(np.abs(slope).max(), 1e-300))

        def at(scale):
            over = np.maximum(np.abs(slope) * scale - l1, 0)
            penalty = (over**2).sum() / (2 * l2) if l2 else 0.0
            return objective + self._conjugates(residual * scale) + penalty

        if dual_scale is not None:
            return at(min(dual_scale, most))
        best = minimize_scalar(at, bounds=(0, most), method="bounded", options={"xatol": 1e-12})
        return min(best.fun, at(most))

    def violation(self, coef, intercept):
        """Return the worst violation of optimality, over the largest slope at zero."""
        residual = self.residual(coef, intercept)
        slope = residual.T @ self.Z / len(self.Z) + self.alpha * (1 - self.l1_ratio) * coef
        l1 = self.alpha * self.l1_ratio
        wrong = np.where(coef == 0, np.maximum(np.abs(slope) - l1, 0), slope + l1 * np.sign(coef))
        worst = np.abs(wrong).max()
        if self.fit_intercept:
            worst = max(worst, np.abs(residual.mean(axis=0)).max())
        start = self.residual(np.zeros_like(coef), self.best_intercept(np.zeros_like(coef)))
        return worst / np.abs(start.T @ self.Z / len(self.Z)).max()

    def best_intercept(self, coef):
        """Return the optimal intercepts for these coefficients."""
        base = self.Z @ coef.T
        if not self.fit_intercept:
            return np.zeros(len(coef))
        if self.kind == "squared":
            return np.average(self.target - base, axis=0, weights=self.weight)
        if self.kind == "binary":
            return np.array([brentq(lambda b: self.residual(coef, b).mean(), -500, 500)])
        found = minimize(
            lambda b: (self.weight * self._losses(base + b)).mean(),
            np.zeros(len(coef)),
            jac=lambda b: self.residual(coef, b).mean(axis=0),
            options={"gtol": 1e-12},
        )
        return found.x

    def optimum(self):
        """Return the minimum of the objective, by L-BFGS-B on positive and negative parts."""
        n_rows, size = self.target.shape[1], self.target.shape[1] * self.Z.shape[1]
        l1 = self.alpha * self.l1_ratio

        def fun(v):
            coef, intercept = (v[:size] - v[size : 2 * size]).reshape(n_rows, -1), v[2 * size :]
            residual = self.residual(coef, intercept)
            slope = residual.T @ self.Z / len(self.Z) + self.alpha * (1 - self.l1_ratio) * coef
            value = self.objective(coef, intercept)
            value += l1 * (v[: 2 * size].sum() - np.abs(coef).sum())
            free = residual.mean(axis=0) * self.fit_intercept
            return value, np.concatenate([(slope + l1).ravel(), (l1 - slope).ravel(), free])

        bounds = [(0, None)] * (2 * size) + [(None, None)] * n_rows
        options = {"maxiter": 20000, "maxfun": 50000, "ftol": 1e-16, "gtol": 1e-11, "maxcor": 30}
        start = np.zeros(2 * size + n_rows)
        return minimize(fun, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun

    def _unit(self):
        return np.abs(self.target).max() if self.kind == "squared" else 1.0

    def _losses(self, scores):
        if self.kind == "squared":
            return ((scores - self.target) ** 2).sum(axis=1) / 2
        if self.kind == "binary":
            return np.logaddexp(0, scores[:, 0]) - scores[:, 0] * self.target[:, 0]
        return -(log_softmax(scores, axis=1) * self.target).sum(axis=1)

    def _conjugates(self, residual):
        """Compute the mean of the conjugate losses at the (weighted) residuals."""
        counts = self.weight > 0
        weight, target = self.weight[counts], self.target[counts]
        plain = residual[counts] / weight[:, None]
        if self.kind == "squared":
            value = (plain**2 / 2 + plain * target).sum(axis=1)
        else:
            chance = np.clip(plain + target, 0, 1)
            value = -entr(chance).sum(axis=1)
            if self.kind == "binary":
                value = value - entr(1 - chance)[:, 0]
        return (weight * value).sum() / len(self.weight)


def _targets(probe, y):
    if not hasattr(probe, "classes_"):
        return "squared", np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    hot = (np.asarray(y)[:, None] == probe.classes_).astype(np.float64)
    return ("binary", hot[:, 1:]) if len(probe.classes_) == 2 else ("multinomial", hot)


def objective_of(probe, X, y, **options):
    """Compute the objective of a fitted probe."""
    problem = Problem.of(probe, X, y, **options)
    return problem.objective(*problem.inside(probe))


def assert_certified(probe, X, y, **options):
    """Assert that ``dual_gap_`` is a valid gap, and at most the gap at the residual itself."""
    problem = Problem.of(probe, X, y, **options)
    point = problem.inside(probe)
    slack = 1e-10 * abs(problem.objective(*point)) + 1e-300
    least, plain = problem.gap(*point), problem.gap(*point, dual_scale=1.0)
    assert least * (1 - 1e-5) - slack <= probe.dual_gap_ <= plain * (1 + 1e-5) + slack


def violation_of(probe, X, y, **options):
    """Return how far a fitted probe is from its optimality conditions."""
    problem = Problem.of(probe, X, y, **options)
    return problem.violation(*problem.inside(probe))


def classes_data(n_samples=120, n_features=12, n_classes=3, seed=0):
    """Make columns of several scales and means, with labels drawn by a sparse linear model."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_samples, n_features)) * np.geomspace(0.3, 3, n_features) + 1
    W = rng.normal(size=(n_classes, n_features)) * (rng.uniform(size=n_features) < 0.5)
    scores = (X - X.mean(axis=0)) @ W.T / 2 + rng.gumbel(size=(n_samples, n_classes))
    return X, scores.argmax(axis=1)


def numbers_data(n_samples=120, n_features=12, n_outputs=None, seed=0):
    """Make the same columns with numeric targets."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n_samples, n_features)) * np.geomspace(0.3, 3, n_features) + 1
    W = rng.normal(size=(n_outputs or 1, n_features)) * (rng.uniform(size=n_features) < 0.5)
    y = X @ W.T + rng.normal(size=(n_samples, n_outputs or 1)) + 5
    return X, (y if n_outputs else y[:, 0])
