# SPDX-License-Identifier: BSD-3-Clause
"""Time the rankers and neuron clustering against NeuroX and other peers on the same matrix."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from benchmarks._gaussian_step import plain_step_seconds
from benchmarks._neurox_session import NeuroxSession
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
# The number of neurons in one layer of the demo model.
_N_CANDIDATES = 384


class _Contest(NamedTuple):
    ranker: object
    peer: Callable | None = None
    n_runs: int = 3
    # The measured seconds are divided by this: the number of steps of a greedy search.
    parts: int = 1


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Time the rankers.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use only a few sentences, once.

    Returns
    -------
    tables : dict of DataFrame
        Seconds on real activations, and their growth with rows and columns.
    """
    words = benchmark_words(quick=quick)
    extractor, aggregator = ActivationExtractor(demo_model_path()), SubwordAggregator("last")
    X = aggregator.fit_transform(extractor.fit_transform(words))
    y = words["upos"].to_numpy(dtype=str)
    title = f"{X.shape[0]} words, {X.shape[1]} neurons, {len(np.unique(y))} tags"
    with NeuroxSession() as neurox:
        against_peers = _against_peers(X, y, neurox, quick)
    growth = "seconds, and their growth factors when rows or neurons double"
    return {title: against_peers, growth: _growth(quick)}


def _against_peers(X, y, neurox, quick):
    rows = []
    for name, contest in _contests(X, y, neurox).items():
        ours, theirs = [], []
        for _ in range(1 if quick else contest.n_runs):
            ours.append(_seconds(contest.ranker, X, y) / contest.parts)
            if contest.peer is not None:
                theirs.append(contest.peer())
        # Alternating short runs exposes both sides to the same machine load.
        best = (np.min(ours), np.min(theirs, initial=np.inf))
        middle = (np.median(ours), np.median(theirs) if theirs else np.nan)
        rows.append((name, *best, *middle))
    columns = ["what", "ours, best", "peer, best", "ours, median", "peer, median"]
    table = pd.DataFrame(rows, columns=columns).replace(np.inf, np.nan)
    return table.assign(**{"peer / ours": table["peer, best"] / table["ours, best"]}).round(3)


def _contests(X, y, neurox):
    # NeuroX 1.0.9 has neither average precision nor Gaussian ranking.
    probe, steps = _probe(X, y), 50
    columns = np.arange(min(_N_CANDIDATES, X.shape[1]))
    gaussian = GaussianRanker(max_neurons=steps, candidates=columns)
    by_precision = AveragePrecisionRanker(n_jobs=_N_JOBS)
    return {
        "probeless; peer: NeuroX": _Contest(ProbelessRanker(), partial(neurox.probeless, X, y)),
        "order by weights; peer: NeuroX": _Contest(
            LCARanker(FrozenEstimator(probe), importance="raw"), partial(neurox.order, probe.coef_)
        ),
        "order by weights x standard deviation": _Contest(LCARanker(FrozenEstimator(probe))),
        "clusters; peer: NeuroX": _Contest(
            CorrelationClusterSelector(0.3), partial(neurox.clusters, X, threshold=0.3)
        ),
        "average precision of all tags; peer: sklearn's function, one tag": _Contest(
            by_precision, partial(_one_tag_seconds, X, y), n_runs=2
        ),
        "IoU at the best threshold, all tags": _Contest(IoURanker(n_jobs=_N_JOBS)),
        "IoU at a quantile, all tags": _Contest(IoURanker(0.95, n_jobs=_N_JOBS)),
        f"Gaussian, {len(columns)} candidates, one of {steps} steps; peer: torch, one by one": (
            _Contest(gaussian, partial(plain_step_seconds, X[:, columns], y), n_runs=2, parts=steps)
        ),
        "strongest correlation, another model of the same size": _Contest(CrossModelRanker()),
    }


def _probe(X, y):
    """Make a random probe of the right shape; its accuracy does not affect the timings."""
    probe = LogisticRegression()
    probe.classes_ = np.unique(y)
    probe.coef_ = np.random.RandomState(0).laplace(size=(len(probe.classes_), X.shape[1]))
    probe.intercept_ = np.zeros(len(probe.classes_))
    return probe


def _one_tag_seconds(X, y):
    is_noun = y == "NOUN"
    started = time.perf_counter()
    for column in X.T:
        average_precision_score(is_noun, column)
    return time.perf_counter() - started


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
    n_rows, n_neurons = (2_000, 250) if quick else (10_000, 1_000)
    n_doublings = 1 if quick else 2
    more_rows = [(n_rows * 2**k, n_neurons) for k in range(n_doublings + 1)]
    more_neurons = [(n_rows, n_neurons * 2**k) for k in range(1, n_doublings + 1)]
    sizes = more_rows + more_neurons
    table = pd.DataFrame([_growing(*size, n_runs=1 if quick else 2) for size in sizes]).T
    first, last = table[0], {"rows x 2": len(more_rows) - 1, "neurons x 2": len(sizes) - 1}
    doubled = {name: (table[place] / first) ** (1 / n_doublings) for name, place in last.items()}
    table.columns = [f"{rows:,} x {columns:,}" for rows, columns in sizes]
    table = table.assign(**doubled)
    return table.round(2).rename_axis("what").reset_index()


def _growing(n_samples, n_neurons, *, n_runs):
    data = make_planted_neurons(n_samples, n_neurons, n_classes=10, random_state=0)
    probe = _probe(data.X, data.y)
    gaussian = GaussianRanker(max_neurons=10, candidates=100)
    rankers = {
        "probeless": ProbelessRanker(),
        "order by weights x standard deviation": LCARanker(FrozenEstimator(probe)),
        "average precision": AveragePrecisionRanker(n_jobs=_N_JOBS),
        "IoU at the best threshold": IoURanker(n_jobs=_N_JOBS),
        "IoU at a quantile": IoURanker(0.95, n_jobs=_N_JOBS),
        "Gaussian, 10 steps, 100 candidates": gaussian,
        "Gaussian, 10 steps, all neurons as candidates": GaussianRanker(max_neurons=10),
        "strongest correlation, another model of the same size": CrossModelRanker(),
        "clusters": CorrelationClusterSelector(0.3),
    }
    return {
        name: min(_seconds(ranker, data.X, data.y) for _ in range(n_runs))
        for name, ranker in rankers.items()
    }
