# SPDX-License-Identifier: BSD-3-Clause
"""Compare ways of choosing k neurons: held-out loss, correlation with the labels, and CPU seconds.

abess runs in the interpreter that SKLEARN_NEUROX_ABESS points to, or in this one; without it, it is
left out.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, matthews_corrcoef

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.ranking import AveragePrecisionRanker, LCARanker, ProbelessRanker
from sklearn_neurox.selection import BestSubsetSelector
from sklearn_neurox.selection._best_subset._columns import Columns
from sklearn_neurox.selection._best_subset._losses import BinaryLoss
from sklearn_neurox.selection._best_subset._search import Clock, Search

_ALPHA = 1e-2
_WORKER = Path(__file__).with_name("_abess_worker.py")


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Choose neurons for one tag against all others.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use few sentences and sizes, and one tag.

    Returns
    -------
    tables : dict of DataFrame
        One row per method and number of neurons, for each tag.
    """
    words = benchmark_words(quick=quick)
    extractor, aggregator = ActivationExtractor(demo_model_path()), SubwordAggregator("last")
    X = aggregator.fit_transform(extractor.fit_transform(words))
    in_test = pd.factorize(words["text"])[0] % 3 == 2
    train, test = X[~in_test], X[in_test]
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0] = 1
    train, test = (train - mean) / scale, (test - mean) / scale
    sizes = [1, 2, 4] if quick else [1, 2, 4, 8, 16, 32]
    tables = {}
    for tag in ("NOUN",) if quick else ("NOUN", "VERB", "ADJ"):
        y = (words["upos"] == tag).to_numpy().astype(int)
        title = f"{tag}: {len(train)} words to train, {len(test)} held out, {X.shape[1]} neurons"
        tables[title] = _table(train, y[~in_test], test, y[in_test], sizes)
    return tables


def _table(train, y, test, y_test, sizes):
    rows = []
    for name, choose in _methods(train, y, sizes).items():
        for size in sizes:
            found = choose(size)
            if found is None:
                continue
            columns, seconds, gap = found
            probe = LogisticRegression(C=1 / (_ALPHA * len(y)), tol=1e-8, max_iter=1000)
            probe.fit(train[:, columns], y)
            p = probe.predict_proba(test[:, columns])[:, 1]
            loss = log_loss(y, probe.predict_proba(train[:, columns])[:, 1])
            penalized = loss + _ALPHA / 2 * np.square(probe.coef_).sum()
            mcc = matthews_corrcoef(y_test, p > 0.5)
            rows.append((name, size, penalized, log_loss(y_test, p), mcc, seconds, gap))
    names = ["method", "k", "penalized loss", "held-out loss", "held-out MCC", "CPU seconds", "gap"]
    return pd.DataFrame(rows, columns=names).round(4)


def _methods(train, y, sizes):
    rankers = {
        "order of LCARanker": LCARanker(),
        "order of ProbelessRanker": ProbelessRanker(),
        "order of AveragePrecisionRanker": AveragePrecisionRanker(),
    }
    return {
        "best subset": lambda size: _best_subset(train, y, size, compute_bound=False),
        "best subset with bound": lambda size: _best_subset(train, y, size, compute_bound=True),
        "forward steps": _forward(train, y),
        "abess": _abess(train, y, sizes),
        "lasso with k neurons": lambda size: _lasso(train, y, size),
        **{name: _order(ranker, train, y) for name, ranker in rankers.items()},
    }


def _best_subset(train, y, size, *, compute_bound):
    selector = BestSubsetSelector(size, alpha=_ALPHA, compute_bound=compute_bound)
    started = time.process_time()
    selector.fit(train, y)
    seconds = time.process_time() - started
    return selector.get_support(indices=True), seconds, selector.gap_


def _forward(train, y):
    def choose(size):
        started = time.process_time()
        shares = np.full(len(y), 1 / len(y))
        units = np.arange(train.shape[1])
        columns = Columns(train, shares, standardize=True, units=units)
        search = Search(columns, BinaryLoss(y, shares), _ALPHA, Clock(None))
        fit = search.grow(search.fit([]), size)
        return fit.columns, time.process_time() - started, np.nan

    return choose


def _order(ranker, train, y):
    started = time.process_time()
    order = ranker.fit(train, y).order_
    seconds = time.process_time() - started
    return lambda size: (order[:size], seconds, np.nan)


def _lasso(train, y, size):
    """Find the penalty with which the lasso keeps k neurons, or the nearest number below."""
    started, low, high = time.process_time(), 1e-4, 1.0
    best = np.zeros(0, dtype=int)
    for _ in range(14):
        alpha = np.sqrt(low * high)
        probe = ElasticNetProbeClassifier(alpha, 1.0, standardize=True, random_state=0)
        columns = np.flatnonzero(probe.fit(train, y).coef_)
        if len(columns) > size:
            low = alpha
        else:
            high = alpha
            best = max(best, columns, key=len)
        if len(columns) == size:
            break
    return (best, time.process_time() - started, np.nan) if len(best) else None


def _abess(train, y, sizes):
    python = os.environ.get("SKLEARN_NEUROX_ABESS", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, X=train, y=y, sizes=sizes)
        done = subprocess.run([python, _WORKER, source, target], capture_output=True, text=True)
        if "No module named 'abess'" in done.stderr:
            return lambda size: None
        done.check_returncode()
        with np.load(target) as file:
            found = {size: file[f"columns_{size}"] for size in sizes}
            seconds = dict(zip(sizes, file["seconds"], strict=True))
    return lambda size: (found[size], float(seconds[size]), np.nan)
