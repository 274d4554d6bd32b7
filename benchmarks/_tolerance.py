# SPDX-License-Identifier: BSD-3-Clause
"""Measure how rankings by weights depend on the tolerance of the probe, and on rare classes."""

import time
import warnings

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import AveragePrecisionRanker, LCARanker, ProbelessRanker

_PENALTIES = [(1e-3, 0.5), (3e-3, 1 / 3), (2.3e-3, 0.13)]
_TOLERANCES = [1e-3, 1e-4, 1e-5, 1e-6]
_TOP = 50
_LAYER = slice(768, 1152)
_MIN_COUNTS = [1, 5, 10, 20, 50]


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Measure the agreement of rankings.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use only a few sentences and one layer.

    Returns
    -------
    tables : dict of DataFrame
        The agreement of the best neurons, and the seconds of a fit, by tolerance; and by
        ``min_count``.
    """
    words = benchmark_words(quick=quick)
    H = SubwordAggregator("last").fit_transform(
        ActivationExtractor(demo_model_path()).fit_transform(words)
    )
    y = words["upos"].to_numpy(dtype=str)
    sentence = pd.factorize(words["sentence_id"])[0]
    train = sentence % 5 != 0
    X = np.ascontiguousarray(H[train][:, _LAYER] if quick else H[train])
    return {
        f"best {_TOP} of {X.shape[1]} neurons, {len(X)} words: agreement with the least tolerance, "
        "between two seeds, seconds": _by_tolerance(X, y[train]),
        f"best {_TOP} of layer 2 from a sample of sentences: agreement with all sentences, and how "
        "many owe their rank to classes with fewer than 10 words": _by_min_count(
            np.ascontiguousarray(H[:, _LAYER]), y, sentence, [50] if quick else [50, 100, 200, 400]
        ),
    }


def _by_tolerance(X, y):
    rows = []
    for alpha, l1_ratio in _PENALTIES:
        found = {
            (tol, seed): _ranked(X, y, alpha, l1_ratio, tol, seed)
            for tol in _TOLERANCES
            for seed in (0, 1)
        }
        exact = found[_TOLERANCES[-1], 0][0]
        for tol in _TOLERANCES:
            (first, seconds), (second, again) = found[tol, 0], found[tol, 1]
            agreement = np.mean([_jaccard(order, exact) for order in (first, second)])
            rows.append(
                {
                    "alpha": alpha,
                    "l1_ratio": round(l1_ratio, 2),
                    "tol": tol,
                    "agreement": round(agreement, 2),
                    "between seeds": round(_jaccard(first, second), 2),
                    "seconds": round((seconds + again) / 2, 1),
                }
            )
    return pd.DataFrame(rows)


def _ranked(X, y, alpha, l1_ratio, tol, seed):
    probe = ElasticNetProbeClassifier(alpha, l1_ratio, standardize=True, tol=tol, random_state=seed)
    started = time.process_time()
    probe.fit(X, y)
    seconds = time.process_time() - started
    return LCARanker(FrozenEstimator(probe)).fit(X, y).order_, seconds


def _by_min_count(X, y, sentence, sizes):
    rankers = {
        "probeless": ProbelessRanker(),
        "probeless, scaled": ProbelessRanker(scale=True),
        "average precision": AveragePrecisionRanker(),
        "LCA": LCARanker(),
    }
    rng = np.random.RandomState(0)
    samples = [
        (size, np.isin(sentence, rng.choice(sentence.max() + 1, size, replace=False)))
        for size in sizes
        for _ in range(3)
    ]
    rows = []
    with warnings.catch_warnings():
        # Those about the classes that this table is about.
        warnings.simplefilter("ignore")
        for name, ranker in rankers.items():
            whole = ranker.fit(X, y).order_
            for size, chosen in samples:
                labels = y[chosen]
                counts = pd.Series(labels).value_counts()
                own = ranker.set_params(min_count=1).fit(X[chosen], labels)
                best_for = own.classes_[own.class_scores_[:, own.order_[:_TOP]].argmax(axis=0)]
                row = {
                    "ranker": name,
                    "sentences": size,
                    "rare classes": (counts < 10).sum(),
                    "owed to them": (counts[best_for] < 10).sum(),
                }
                for min_count in _MIN_COUNTS:
                    ranker.set_params(min_count=min_count).fit(X[chosen], labels)
                    row[f"min_count={min_count}"] = _jaccard(ranker.order_, whole)
                ranker.set_params(min_count=1)
                rows.append(row)
    table = pd.DataFrame(rows)
    return table.groupby(["ranker", "sentences"], sort=False).mean().round(2).reset_index()


def _jaccard(first, second):
    shared = len(np.intersect1d(first[:_TOP], second[:_TOP]))
    return shared / (2 * _TOP - shared)
