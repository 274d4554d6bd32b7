# SPDX-License-Identifier: BSD-3-Clause
"""Simulations: how often selectors lose more than they promise, or miss the best subset."""

from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.selection import BestSubsetSelector, MinimalNeuronSelector

_NEURONS, _SIZES = 24, [1, 2, 3, 4, 6, 8, 12, 16]
_COLUMNS, _KEPT = 12, 3
# Rows, rows per text, and delta.
_SETTINGS = [
    *[(100, 1, 0.01), (200, 1, 0.01), (400, 1, 0.01), (2000, 1, 0.01)],
    *[(200, 20, 0.01), (400, 10, 0.01), (2000, 10, 0.01), (200, 1, 0.05), (400, 10, 0.05)],
]


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Run all simulations.

    Parameters
    ----------
    quick : bool, default=False
        Whether to draw few samples in few settings.

    Returns
    -------
    tables : dict of DataFrame
        How often `MinimalNeuronSelector` loses more than ``delta`` on unseen rows, with and without
        its guarantee; and how often `BestSubsetSelector` finds the best of all subsets.
    """
    n_runs = 5 if quick else 200
    settings = _SETTINGS[2:3] if quick else _SETTINGS
    promise = [losses(n_runs, signal, settings) for signal in ("many weak", "few strong")]
    promise = pd.concat(promise, ignore_index=True)
    title = f"share of {n_runs} searches that lose more than delta on unseen rows"
    subsets = best_subsets(3 if quick else 100, (100,) if quick else (100, 1000))
    return {title: promise, f"{_KEPT} of {_COLUMNS} columns, against all subsets": subsets}


def losses(n_runs, signal, settings):
    """Return how often a search loses more than ``delta``, and how many neurons it keeps."""
    rows = []
    for n, per_text, delta in settings:
        row = {"signal": signal, "rows": n, "rows per text": per_text, "delta": delta}
        for guarantee in (False, True):
            selector = MinimalNeuronSelector(
                _probe(), ranker=ProbelessRanker(), delta=delta, guarantee=guarantee, sizes=_SIZES
            )
            found = [_search(selector, seed, signal, n, per_text) for seed in range(n_runs)]
            lost_more, kept = np.mean(found, axis=0)
            name = "guarantee" if guarantee else "plain"
            row |= {f"{name}: lost more": round(lost_more, 3), f"{name}: neurons": round(kept, 1)}
        rows.append(row)
    return pd.DataFrame(rows)


def _probe():
    return LogisticRegression(C=0.1)


def _search(selector, seed, signal, n_rows, per_text):
    """Return whether the neurons kept lose more than ``delta`` on unseen rows, and their number."""
    shifts = 0.9 * 0.8 ** np.arange(_NEURONS)
    if signal == "few strong":
        shifts = np.repeat([0.8, 0.0], [4, _NEURONS - 4])
    X, y, groups = _sample(np.random.default_rng(seed), n_rows, shifts, per_text)
    kept = selector.fit(X, y, groups=groups).get_support()
    oracle = _accuracy(_probe().fit(X, y), shifts)
    score = _accuracy(_probe().fit(X[:, kept], y), shifts[kept])
    return score < oracle * (1 - selector.delta), kept.sum()


def _accuracy(probe, shifts):
    """Return the share of all possible rows that a probe gets right."""
    weights, intercept = probe.coef_[0], probe.intercept_[0]
    length = np.linalg.norm(weights)
    return (norm.cdf(-intercept / length) + norm.cdf((weights @ shifts + intercept) / length)) / 2


def _sample(rng, n_rows, shifts, per_text):
    """Draw neurons that shift with the label; rows of a text share a third of the noise."""
    groups = np.arange(n_rows) // per_text
    y = rng.integers(0, 2, n_rows)
    noise = rng.standard_normal((n_rows, _NEURONS))
    if per_text > 1:
        shared = rng.standard_normal((groups[-1] + 1, _NEURONS))[groups]
        noise = np.sqrt(2 / 3) * noise + np.sqrt(1 / 3) * shared
    return noise + np.outer(y, shifts), y, groups


def best_subsets(n_runs, n_rows):
    """Compare `BestSubsetSelector` with the best of all subsets, found by trying each."""
    rows = []
    for n, correlation, alpha in product(n_rows, (0.0, 0.9), (0.01, 0.1)):
        found = [_against_all(seed, n, correlation, alpha) for seed in range(n_runs)]
        row = {"rows": n, "correlation": correlation, "alpha": alpha}
        frame = pd.DataFrame(found)
        rows.append({**row, **frame.mean().round(3), "largest gap": frame["gap"].max().round(3)})
    return pd.DataFrame(rows)


def _against_all(seed, n_rows, correlation, alpha):
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n_rows, 1))
    noise = rng.standard_normal((n_rows, _COLUMNS))
    X = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * noise
    weights = np.zeros(_COLUMNS)
    weights[rng.permutation(_COLUMNS)[:5]] = rng.choice([-1, 1], 5)
    y = (rng.random(n_rows) < expit(X @ weights)).astype(int)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    best = _losses_of_all_subsets(X, y, alpha).min()
    selector = BestSubsetSelector(_KEPT, alpha=alpha).fit(X, y)
    quick = BestSubsetSelector(_KEPT, alpha=alpha, compute_bound=False).fit(X, y)
    # Both minimize the loss until its relative change is tiny, by different methods.
    least = best * (1 + 1e-6)
    return {
        "best found": selector.loss_ <= least,
        "best found without bound": quick.loss_ <= least,
        "bound holds": selector.lower_bound_ <= least,
        "gap": selector.gap_,
        "gap below 1%": selector.gap_ < 0.01,
    }


def _losses_of_all_subsets(X, y, alpha):
    """Minimize the penalized logistic loss on all subsets at once, by Newton's method."""
    subsets = np.array(list(combinations(range(_COLUMNS), _KEPT)))
    Z = np.concatenate([X[:, subsets], np.ones((len(X), len(subsets), 1))], axis=2)
    Z = Z.transpose(1, 0, 2)
    penalty = np.append(np.full(_KEPT, alpha), 0.0)
    weights = np.zeros((len(subsets), _KEPT + 1))
    for _ in range(25):
        p = expit(np.einsum("snk,sk->sn", Z, weights))
        gradient = np.einsum("snk,sn->sk", Z, p - y) / len(y) + penalty * weights
        curvature = np.einsum("snk,sn,snl->skl", Z, p * (1 - p), Z, optimize=True) / len(y)
        step = np.linalg.solve(curvature + np.diag(penalty), gradient[..., np.newaxis])[..., 0]
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    scores = np.einsum("snk,sk->sn", Z, weights)
    loss = np.mean(np.logaddexp(0, scores) - y * scores, axis=1)
    return loss + np.square(weights) @ penalty / 2
