# SPDX-License-Identifier: BSD-3-Clause
"""The rankers and clusters of neurons against NeuroX and others, on the same matrix."""

import time

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from benchmarks import _peers
from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path, make_planted_neurons
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    CrossModelRanker,
    GaussianRanker,
    IoURanker,
    LCARanker,
    ProbelessRanker,
)
from sklearn_neurox.selection import CorrelationClusterSelector

_N_JOBS = 2


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Time the rankers.

    Parameters
    ----------
    quick : bool, default=False
        A few sentences, once.

    Returns
    -------
    tables : dict of DataFrame
        Seconds on real activations, and how they grow with rows and columns.
    """
    words = benchmark_words(quick=quick)
    extractor, aggregator = ActivationExtractor(demo_model_path()), SubwordAggregator("last")
    X = aggregator.fit_transform(extractor.fit_transform(words))
    y = words["upos"].to_numpy(dtype=str)
    n_runs = 1 if quick else 3
    # NeuroX 1.0.9 has no average precision and no Gaussian ranking.
    title = f"{X.shape[0]} words, {X.shape[1]} neurons, {len(np.unique(y))} tags"
    return {title: _against_peers(X, y, n_runs), "how the time grows": _growth(quick)}


def _against_peers(X, y, n_runs):
    probe = _probe(X, y)
    coef = probe.coef_
    contests = {
        "probeless": (ProbelessRanker(), lambda: _peers.neurox_probeless(X, y, classes=False)),
        "order by weights": (
            LCARanker(FrozenEstimator(probe), importance="raw"),
            lambda: _peers.neurox_order(coef),
        ),
        "clusters": (
            CorrelationClusterSelector(0.3),
            lambda: _peers.neurox_clusters(X, threshold=0.3),
        ),
        "average precision of all tags; peer: sklearn's function, one tag": (
            AveragePrecisionRanker(n_jobs=_N_JOBS),
            lambda: _one_tag(X, y),
        ),
        "IoU at the best cut, all tags": (IoURanker(n_jobs=_N_JOBS), None),
        "IoU beyond a quantile, all tags": (IoURanker(0.95, n_jobs=_N_JOBS), None),
        "Gaussian, 50 greedy neurons": (GaussianRanker(), None),
        "strongest correlation, as many neurons of another model": (CrossModelRanker(), None),
    }
    rows = []
    for name, (ranker, peer) in contests.items():
        ours, theirs = [], []
        for _ in range(n_runs):
            ours.append(_seconds(ranker, X, y))
            if peer is not None:
                theirs.append(peer()["seconds"])
        rows.append((name, min(ours), min(theirs, default=np.nan)))
    table = pd.DataFrame(rows, columns=["what", "ours s", "peer s"])
    return table.assign(**{"peer / ours": table["peer s"] / table["ours s"]}).round(3)


def _probe(X, y):
    """Make a probe of the shape that ranking needs; how good it is changes no time."""
    probe = LogisticRegression()
    probe.classes_ = np.unique(y)
    probe.coef_ = np.random.RandomState(0).laplace(size=(len(probe.classes_), X.shape[1]))
    probe.intercept_ = np.zeros(len(probe.classes_))
    return probe


def _one_tag(X, y):
    is_noun = y == "NOUN"
    started = time.perf_counter()
    for column in X.T:
        average_precision_score(is_noun, column)
    return {"seconds": time.perf_counter() - started}


def _seconds(ranker, X, y):
    metadata = {}
    if isinstance(ranker, GaussianRanker):
        metadata["groups"] = np.arange(len(y)) // 20
    if isinstance(ranker, CrossModelRanker):
        metadata["reference"] = np.random.RandomState(0).permutation(X)
    started = time.perf_counter()
    ranker.fit(X, y, **metadata)
    return time.perf_counter() - started


def _growth(quick):
    sizes = [(2_000, 250), (4_000, 250), (4_000, 500)]
    if not quick:
        sizes = [
            (10_000, 1_000),
            (20_000, 1_000),
            (40_000, 1_000),
            (10_000, 2_000),
            (10_000, 4_000),
        ]
    rows = []
    for n_samples, n_neurons in sizes:
        data = make_planted_neurons(n_samples, n_neurons, n_classes=10, random_state=0)
        rankers = {
            "probeless": ProbelessRanker(),
            "average precision": AveragePrecisionRanker(n_jobs=_N_JOBS),
            "IoU, quantile": IoURanker(0.95, n_jobs=_N_JOBS),
            "correlation with as many": CrossModelRanker(),
        }
        times = {name: _seconds(ranker, data.X, data.y) for name, ranker in rankers.items()}
        rows.append({"rows": n_samples, "neurons": n_neurons, **times})
    return pd.DataFrame(rows).round(3)
