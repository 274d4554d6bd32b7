# SPDX-License-Identifier: BSD-3-Clause
"""The solvers timed on the penalized problems: this package and its peers, with growing budgets."""

import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge

from benchmarks import _peers
from benchmarks._probe_problems import Problem
from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor

# Seconds, coefficients and intercepts.
Fit = tuple[float, np.ndarray, np.ndarray]


def ours(problem: Problem, tol: float):
    """Fit the probe to a certified duality gap; return the fit and the probe."""
    kind = ElasticNetProbeRegressor if problem.kind == "regression" else ElasticNetProbeClassifier
    probe = kind(problem.alpha, problem.l1_ratio, tol=tol, random_state=0)
    return *_timed(probe, problem.X, problem.y), probe


def peers(problem: Problem) -> dict[str, tuple[Callable[[float], Fit], Iterator[float]]]:
    """List the peers that can solve a problem, each with budgets from small to large."""
    tolerances = [10.0**-k for k in range(1, 11)]
    if problem.kind == "regression":
        found = {"ElasticNet": (lambda tol: _elastic_net(problem, tol), tolerances)}
        if not problem.l1_ratio:
            found = {"Ridge": (lambda _: _ridge(problem), [0.0])}
        skglm = _skglm_regression
    else:
        found = {"saga": (lambda n: _logistic(problem, "saga", n), _growing(2, 1.5))}
        if not problem.l1_ratio:
            found["lbfgs"] = (lambda n: _logistic(problem, "lbfgs", n), _growing(10, 1.4))
        skglm = _skglm_binary if problem.kind == "binary" else None
    if skglm is not None and problem.l1_ratio:
        found["skglm"] = (lambda tol: skglm(problem, tol), tolerances)
    found["cyanure"] = (lambda tol: _cyanure(problem, tol), tolerances[:6])
    return found


def neurox_epochs(problem: Problem, epochs: int, timeout: float) -> list[Fit]:
    """Train NeuroX's probe and return its state after every epoch.

    NeuroX's second penalty is the norm, not its square, so it is trained with the first one only.
    """
    regression = problem.kind == "regression"
    train = _peers.neurox_train_regression if regression else _peers.neurox_train
    result = train(
        problem.X,
        problem.y,
        l1=problem.alpha * problem.l1_ratio,
        epochs=epochs,
        trace=True,
        timeout=timeout,
    )
    steps = zip(
        result["epoch_seconds"], result["epoch_coef"], result["epoch_intercept"], strict=True
    )
    return [(float(seconds), coef, intercept) for seconds, coef, intercept in steps]


def _growing(first, factor):
    budget = first
    while True:
        yield int(budget)
        budget = max(budget * factor, budget + 1)


def _timed(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - start
    return seconds, model.coef_, model.intercept_


def _logistic(problem, solver, max_iter):
    model = LogisticRegression(
        C=1 / (problem.alpha * len(problem.X)),
        l1_ratio=problem.l1_ratio,
        solver=solver,
        max_iter=max_iter,
        tol=0.0,
        random_state=0,
    )
    return _timed(model, problem.X, problem.y)


def _elastic_net(problem, tol):
    model = ElasticNet(problem.alpha, l1_ratio=problem.l1_ratio, tol=tol, max_iter=100_000)
    # Its coordinate descent needs column-major data; passing that avoids timing a copy.
    return _timed(model, np.asfortranarray(problem.X), problem.y.astype(np.float32))


def _ridge(problem):
    return _timed(Ridge(problem.alpha * len(problem.X)), problem.X, problem.y.astype(np.float32))


def _cyanure(problem, tol):
    """Fit in the environment of the peers, where it runs with the threads of OMP_NUM_THREADS."""
    penalty = {"alpha": problem.alpha, "l1_ratio": problem.l1_ratio}
    fit = _peers.cyanure_fit(problem.X, problem.y, kind=problem.kind, tol=tol, **penalty)
    return fit["seconds"], fit["coef"], fit["intercept"]


def _skglm_binary(problem, tol):
    from skglm import SparseLogisticRegression

    model = SparseLogisticRegression(problem.alpha, problem.l1_ratio, tol=tol, max_iter=200)
    return _compiled(model, np.asfortranarray(problem.X), problem.y)


def _skglm_regression(problem, tol):
    import skglm

    model = skglm.ElasticNet(problem.alpha, problem.l1_ratio, tol=tol, max_iter=200)
    return _compiled(model, np.asfortranarray(problem.X), problem.y.astype(np.float32))


def _compiled(model, X, y):
    """Time a fit without the compilation that the first call triggers."""
    some = np.r_[:50, len(X) - 50 : len(X)]
    model.fit(np.asfortranarray(X[some][:, :10]), y[some])
    return _timed(model, X, y)
