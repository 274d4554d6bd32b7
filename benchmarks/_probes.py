# SPDX-License-Identifier: BSD-3-Clause
"""Time the probes against alternative solvers at equal objective values."""

import time
import warnings
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GridSearchCV, KFold

from benchmarks._probe_contenders import neurox_epochs, ours, peers
from benchmarks._probe_problems import Problem, planted, real_problems
from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeClassifierCV
from sklearn_neurox.probes.solvers._saga import ProximalSAGA

# Relative distances from the optimum.
_ACCURACIES = (1e-2, 1e-3, 1e-4)
# A peer is stopped after this multiple of our time, or after this many seconds.
_PATIENCE, _LIMIT = 20, 120.0


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Time the probes.

    Parameters
    ----------
    quick : bool, default=False
        Whether to run small problems, once each.

    Returns
    -------
    tables : dict of DataFrame
        Seconds to reach given accuracies, growth of the time with the problem size, and the
        regularization path.
    """
    n_runs = 1 if quick else 3
    rows = [row for problem in _problems(quick) for row in accuracies(problem, n_runs)]
    return {
        "seconds to come within a relative distance of the optimum": pd.DataFrame(rows),
        "growth of the time with the problem size": growth(quick),
        "a regularization path over folds": path(quick),
    }


def _problems(quick):
    if quick:
        yield planted(2_000, 300)
        yield planted(2_000, 300, kind="binary")
        yield planted(2_000, 300, kind="regression")
        return
    yield from real_problems()
    for n_samples, n_features in ((5_000, 1_000), (20_000, 2_000), (100_000, 1_000)):
        yield planted(n_samples, n_features)
    yield planted(10_000, 10_000)
    for kind in ("binary", "regression"):
        yield planted(5_000, 1_000, kind=kind)
        yield planted(20_000, 2_000, kind=kind)
        yield planted(20_000, 2_000, kind=kind, l1_ratio=0.0)


def accuracies(problem: Problem, n_runs: int) -> list[dict]:
    """Find the budget each solver needs for each accuracy, then time them in turn."""
    exact = ours(problem, 1e-6)
    best = problem.objective(*exact[1:3])
    fits = {}
    for accuracy in _ACCURACIES:
        fits["ours", accuracy] = lambda accuracy=accuracy: ours(problem, accuracy)[0]
    seconds = {key: fit() for key, fit in fits.items()}
    limits = {a: min(_PATIENCE * seconds["ours", a], _LIMIT) for a in _ACCURACIES}
    bounds = {}
    for name, (fit, budgets) in peers(problem).items():
        for accuracy, (budget, spent) in _sweep(problem, fit, budgets, best, limits).items():
            if budget is None:
                bounds[name, accuracy] = spent
            else:
                seconds[name, accuracy] = spent
                fits[name, accuracy] = lambda fit=fit, budget=budget: fit(budget)[0]
    for _ in range(n_runs - 1):
        for key, fit in fits.items():
            seconds[key] = min(seconds[key], fit())
    table = [_row(problem, name, seconds, bounds) for name in ["ours", *peers(problem)]]
    table[0].update(_floor(problem, seconds["ours", 1e-3]))
    table.append(_neurox_row(problem, best))
    print(pd.DataFrame(table).to_string(index=False), flush=True)
    return table


def _sweep(problem, fit, budgets, best, limits):
    """Increase the budget until every accuracy is reached or its time limit is exceeded."""
    found = {}
    for budget in budgets:
        seconds, coef, intercept = fit(budget)
        excess = problem.objective(coef, intercept) / best - 1
        for accuracy in limits:
            if accuracy not in found and excess <= accuracy:
                found[accuracy] = budget, seconds
        left = [a for a in limits if a not in found]
        if not left or seconds * 1.3 > max(limits[a] for a in left):
            break
    return found | {a: (None, seconds) for a in limits if a not in found}


def _row(problem, name, seconds, bounds):
    row = {"problem": problem.name, "solver": name}
    for accuracy in _ACCURACIES:
        key = (name, accuracy)
        row[f"to {accuracy:g}"] = (
            f"{seconds[key]:.2f}" if key in seconds else f"> {bounds[key]:.1f}"
        )
        spent = seconds.get(key, bounds.get(key))
        sign = "" if key in seconds else "> "
        row[f"ratio {accuracy:g}"] = f"{sign}{spent / seconds['ours', accuracy]:.1f}"
    return row


def _floor(problem, seconds):
    """Time the two matrix products that every epoch must do, and whole epochs of SAGA."""
    with _timed_epochs() as epochs:
        probe = ours(problem, 1e-3)[-1]
    X = torch.from_numpy(problem.X)
    coef = torch.zeros(np.atleast_2d(probe.coef_).shape)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        for rows in X.split(128):
            scores = coef @ rows.T
            scores @ rows
        times.append(time.perf_counter() - start)
    floor = min(times)
    return {
        "epochs": probe.n_iter_,
        "floor s": round(floor, 4),
        # Small problems do not use SAGA.
        "epoch / floor": round(np.median(epochs) / floor, 2) if epochs else None,
        "time / floors": round(seconds / (floor * probe.n_iter_), 2),
    }


@contextmanager
def _timed_epochs():
    """Record how long every epoch of SAGA takes."""
    seconds, epoch = [], ProximalSAGA.epoch

    def timed(self):
        start = time.perf_counter()
        epoch(self)
        seconds.append(time.perf_counter() - start)

    with patch.object(ProximalSAGA, "epoch", timed):
        yield seconds


def _neurox_row(problem, best):
    """Time NeuroX's ten epochs and report how far from the optimum they end."""
    row = {"problem": problem.name, "solver": "NeuroX, 10 epochs"}
    try:
        fits = neurox_epochs(problem, 10, _LIMIT)
    except (RuntimeError, TimeoutError) as error:
        return {**row, "to 0.01": str(error).splitlines()[0][:40]}
    excesses = [problem.objective(coef, intercept) / best - 1 for _, coef, intercept in fits]
    for accuracy in _ACCURACIES:
        reached = [f[0] for f, e in zip(fits, excesses, strict=True) if e <= accuracy]
        row[f"to {accuracy:g}"] = f"{reached[0]:.2f}" if reached else f"> {fits[-1][0]:.1f}"
    return {**row, "ends above the optimum by": f"{excesses[-1]:.0%}"}


def growth(quick: bool) -> pd.DataFrame:
    """Double the rows, the columns and the classes, one at a time."""
    base = {"n_samples": 2_000, "n_features": 200, "n_classes": 5}
    if not quick:
        base = {"n_samples": 10_000, "n_features": 1_000, "n_classes": 10}
    rows = []
    for what in base:
        before = None
        for factor in (1, 2) if quick else (1, 2, 4, 8):
            problem = planted(**{**base, what: base[what] * factor})
            seconds, *_, probe = min(
                (ours(problem, 1e-3) for _ in range(1 if quick else 2)), key=lambda fit: fit[0]
            )
            rows.append(
                {
                    "grows": what,
                    "to": base[what] * factor,
                    "seconds": round(seconds, 2),
                    "epochs": probe.n_iter_,
                    "factor": before and round(seconds / before, 2),
                }
            )
            before = seconds
    return pd.DataFrame(rows)


def path(quick: bool) -> pd.DataFrame:
    """Choose among ten penalties over five folds, with the path and with a grid search."""
    problem = planted(2_000, 200) if quick else planted(10_000, 1_000)
    folds = KFold(5)
    by_path = ElasticNetProbeClassifierCV(0.5, cv=folds, random_state=0)
    path_seconds, _ = _fitted(by_path, problem)
    grid = GridSearchCV(
        ElasticNetProbeClassifier(random_state=0), {"alpha": by_path.alphas_}, cv=folds
    )
    grid_seconds, _ = _fitted(grid, problem)
    return pd.DataFrame(
        [
            {
                "problem": problem.name,
                "path s": round(path_seconds, 2),
                "GridSearchCV s": round(grid_seconds, 2),
                "ratio": round(grid_seconds / path_seconds, 1),
                "alpha": f"{by_path.alpha_:.3g}",
                "GridSearchCV's": f"{grid.best_params_['alpha']:.3g}",
            }
        ]
    )


def _fitted(model, problem):
    start = time.perf_counter()
    with warnings.catch_warnings():
        # On some folds the largest alpha of the grid sets all coefficients to zero.
        warnings.filterwarnings("ignore", "All coefficients are zero", UserWarning)
        model.fit(problem.X, problem.y)
    return time.perf_counter() - start, model
