# SPDX-License-Identifier: BSD-3-Clause
"""Simulations: how often intervals cover, and how often equally good layers seem to differ."""

from itertools import product

import numpy as np
import pandas as pd
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from sklearn_neurox.evaluation import compare
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.utils._scores._outcomes import metric_scale
from sklearn_neurox.utils._scores._recorded_predictions import RecordedPredictions

_WORDS, _COLUMNS = 8, 6


def run(quick=False):
    """Run all simulations; return a table each."""
    return {
        "coverage of 95% intervals of the accuracy (texts of 3 to 24 words)": coverage(
            100 if quick else 5000, (10, 30) if quick else (10, 30, 100, 400)
        ),
        "coverage of 95% intervals of other metrics": coverage_of_metrics(20 if quick else 500),
        "share of p-values below .05 for two equally good layers": type_one_error(
            15 if quick else 1000, (10,) if quick else (10, 30, 100)
        ),
    }


def coverage(n_runs, n_groups):
    """Return how often the interval of the accuracy covers the accuracy of the population."""
    rows = []
    for accuracy, correlation in product((0.7, 0.9, 0.97), (0.0, 0.2, 0.4)):
        row = {"accuracy": accuracy, "correlation": correlation}
        for n in n_groups:
            rng = np.random.RandomState(n)
            found = []
            for _ in range(n_runs):
                right, sizes = _answers(rng, n, accuracy, correlation)
                _, low, high = mean_interval(right, np.arange(n), sizes=sizes, scale="logit")
                found.append((low <= accuracy <= high, high - low))
            row[f"{n} texts"], row[f"width, {n}"] = np.round(np.mean(found, axis=0), 3)
        rows.append(row)
    return pd.DataFrame(rows)


def _answers(rng, n_groups, accuracy, correlation):
    """Draw how many words of each text are predicted right, and how many there are."""
    sizes = rng.randint(3, 25, size=n_groups)
    own = np.full(n_groups, accuracy)
    if correlation:
        # A beta distribution of the accuracy of texts correlates the words of a text.
        strength = 1 / correlation - 1
        own = rng.beta(accuracy * strength, (1 - accuracy) * strength, size=n_groups)
    return rng.binomial(sizes, own).astype(float), sizes


def coverage_of_metrics(n_runs):
    """Return how often intervals of metrics that are no means over words cover their values."""
    rows = []
    for scoring in ("balanced_accuracy", "f1_macro", "matthews_corrcoef", "r2"):
        scorer, row = get_scorer(scoring), {"scoring": scoring}
        truth = _recorded(np.random.RandomState(0), 50_000, scorer).score()
        for n in (30, 100):
            rng, covered = np.random.RandomState(n), []
            for _ in range(n_runs):
                recorded = _recorded(rng, n, scorer)
                outcomes = recorded.outcomes(recorded.score())
                scale = metric_scale(scorer)
                _, low, high = mean_interval(outcomes, recorded.groups, scale=scale)
                covered.append(low <= truth <= high)
            row[f"{n} texts"] = round(np.mean(covered), 3)
        rows.append(row)
    return pd.DataFrame(rows)


def _recorded(rng, n_groups, scorer):
    """Draw labels of two classes, one of them rare, or targets, and their predictions."""
    groups = np.repeat(np.arange(n_groups), rng.randint(3, 25, size=n_groups))
    shared = rng.normal(size=(2, n_groups))[:, groups] * np.sqrt(0.3)
    latent, noise = shared + rng.normal(size=shared.shape) * np.sqrt(0.7)
    predicted, classes = latent + 0.6 * noise, None
    if scorer._score_func.__name__ != "r2_score":
        latent, predicted, classes = latent > 0.8, predicted > 0.9, np.array([False, True])
    return RecordedPredictions(
        {"predict": predicted}, latent, groups, classes=classes, scorer=scorer
    )


def type_one_error(n_runs, n_groups):
    """Return how often `compare` finds a difference between two layers of the same quality."""
    rows = []
    for n, correlation in product(n_groups, (0.0, 0.3)):
        rng, rejected = np.random.RandomState(n), []
        for _ in range(n_runs):
            layers, y, groups = _equal_layers(rng, 2 * n, correlation)
            half = groups < n
            few = [layer[half] for layer in layers], y[half], groups[half]
            single = _outcomes(layers, y, groups, [(np.flatnonzero(half), np.flatnonzero(~half))])
            folds = _outcomes(*few, GroupKFold(5).split(y[half], groups=groups[half]))
            seed = rng.randint(2**31)
            splits = GroupShuffleSplit(15, test_size=0.2, random_state=seed)
            splits = _outcomes(*few, splits.split(y[half], groups=groups[half]))
            a, b = (frame["outcome"] for frame in folds)
            p_values = {
                "single split": compare(*single),
                "5 folds": compare(*folds),
                "5 folds, as arrays": compare(a, b, folds[0]["group"]),
                "15 splits": compare(*splits, method="splits"),
            }
            rejected.append({name: one["p_value"] < 0.05 for name, one in p_values.items()})
        shares = pd.DataFrame(rejected).mean().round(3)
        rows.append({"texts": n, "correlation": correlation, **shares})
    return pd.DataFrame(rows)


def _equal_layers(rng, n_groups, correlation):
    """Draw two layers with the same signal, in which words of a text share part of the noise."""
    groups = np.repeat(np.arange(n_groups), _WORDS)
    y = rng.choice([-1.0, 1.0], size=len(groups))
    layers = []
    for _ in range(2):
        shared = rng.normal(size=(n_groups, _COLUMNS))[groups] * np.sqrt(correlation)
        own = rng.normal(size=(len(groups), _COLUMNS)) * np.sqrt(1 - correlation)
        layers.append(0.5 * y[:, np.newaxis] + shared + own)
    return layers, y, groups


def _outcomes(layers, y, groups, folds):
    """Return the outcomes of a ridge classifier on each layer, as evaluators return them."""
    folds = list(folds)
    frames = []
    for X in layers:
        Z = np.column_stack([X, np.ones(len(X))])
        parts = []
        for number, (train, test) in enumerate(folds):
            gram = Z[train].T @ Z[train] + np.eye(Z.shape[1])
            weights = np.linalg.solve(gram, Z[train].T @ y[train])
            own = {"row": test, "group": groups[test], "fold": number, "n_train": len(train)}
            parts.append(pd.DataFrame({**own, "outcome": (Z[test] @ weights > 0) == (y[test] > 0)}))
        frames.append(pd.concat(parts, ignore_index=True))
    return frames
