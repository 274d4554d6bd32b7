# SPDX-License-Identifier: BSD-3-Clause
"""No ranker or selector copies or upcasts a whole half-precision file."""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ablation import NeuronAblator
from sklearn_neurox.probes._gaussian import _moments
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    ConsensusRanker,
    CrossModelRanker,
    GaussianRanker,
    IoURanker,
    LCARanker,
    ProbelessRanker,
    RandomRanker,
)
from sklearn_neurox.ranking._detectors import _base_detector
from sklearn_neurox.ranking._gaussian import _split
from sklearn_neurox.selection import (
    CorrelationClusterSelector,
    LayerSelector,
    MinimalNeuronSelector,
    NeuronSelector,
    _linkage,
)
from sklearn_neurox.utils import _correlations as column_correlations
from sklearn_neurox.utils import _row_blocks

# Large matrices.
pytestmark = pytest.mark.slow

SHAPE = (12_000, 250)
HALF = 2 * SHAPE[0] * SHAPE[1]


class _Probe(ClassifierMixin, BaseEstimator):
    """A linear probe that needs no memory and reads rows only when it must."""

    def fit(self, X, y, sample_weight=None):
        self.classes_, self.coef_ = np.unique(y), np.ones((2, X.shape[1]))
        return self

    def predict(self, X):
        return self.classes_[(X[:, 0] > 0).astype(int)]


def test_a_wide_matrix_is_not_copied_to_rank_by_the_weights_of_a_probe():
    """scikit-learn's linear models would make a float64 copy of the whole matrix."""
    X = np.random.RandomState(0).randn(1200, 20_000).astype(np.float32)
    for n_classes in (2, 3):
        y = np.arange(len(X)) % n_classes
        probe = LogisticRegression().fit(X[:, :5], y)
        probe.coef_ = np.random.RandomState(1).randn(len(probe.coef_), 20_000)
        probe.coef_[:, ::2], probe.n_features_in_ = 0, 20_000
        for importance in ("standardized", "raw"):
            tracemalloc.start()
            LCARanker(FrozenEstimator(probe), importance=importance).fit(X, y)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 0.6 * X.nbytes


def _frozen(X):
    probe = LogisticRegression()
    probe.classes_, probe.intercept_ = np.arange(3), np.zeros(3)
    probe.coef_ = np.random.RandomState(0).randn(3, X.shape[1])
    return FrozenEstimator(probe)


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """A half-precision file, and block sizes that are small relative to it."""
    for module, name, size in [
        (_row_blocks, "_BLOCK_BYTES", 200_000),
        (_base_detector, "_BLOCK_BYTES", 500_000),
        (_moments, "_BLOCK_BYTES", 200_000),
        (_split, "_CHUNK", 16),
        (_linkage, "_BLOCK_COLUMNS", 64),
        (column_correlations, "_BLOCK_ROWS", 64),
    ]:
        monkeypatch.setattr(module, name, size)
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", dtype=np.float16, shape=SHAPE)
    rng = np.random.RandomState(0)
    X[:] = rng.standard_normal(SHAPE)
    y = rng.randint(3, size=len(X))
    X[:, 0] += y
    X.flush()
    return np.load(tmp_path / "X.npy", mmap_mode="r"), y


def _peak(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "estimator",
    [
        AveragePrecisionRanker(),
        IoURanker(),
        IoURanker(0.9),
        ProbelessRanker(),
        ProbelessRanker(scale=True),
        RandomRanker(),
        "lca",
        ConsensusRanker([("a", ProbelessRanker()), ("b", RandomRanker())]),
        GaussianRanker(max_neurons=2, candidates=20),
        CrossModelRanker(),
        CrossModelRanker("svcca"),
        NeuronSelector([1]),
        LayerSelector(1, n_layers=2),
        CorrelationClusterSelector(),
        NeuronAblator([1], fill="mean"),
    ],
)
def test_a_fit_takes_a_fraction_of_the_file(estimator, mapped):
    X, y = mapped
    estimator = LCARanker(_frozen(X)) if estimator == "lca" else estimator
    metadata = {"reference": X} if isinstance(estimator, CrossModelRanker) else {}
    if isinstance(estimator, GaussianRanker):
        metadata["groups"] = np.arange(len(X)) // 10
    assert _peak(lambda: estimator.fit(X, y, **metadata)) < HALF / 2


@pytest.mark.parametrize(
    "selector",
    [
        LayerSelector("auto", n_layers=2, estimator=_Probe()),
        MinimalNeuronSelector(_Probe(), ranker=ProbelessRanker()),
    ],
)
def test_a_search_holds_the_rows_of_a_fold_in_half_precision(selector, mapped):
    X, y = mapped
    selector = selector.set_params(cv=[(np.arange(6000), np.arange(6000, 7000))])
    # The rows of the probe on all neurons, and on the selected ones.
    assert _peak(lambda: selector.fit(X, y)) < 1.5 * HALF


@pytest.mark.parametrize("fill", ["drop", "zero", "mean", "resample", 2.0])
def test_ablation_makes_one_copy_in_half_precision(fill, mapped):
    X, _ = mapped
    ablator = NeuronAblator(range(125), fill=fill, random_state=0).fit(X)
    copy = HALF / 2 if fill == "drop" else HALF
    assert copy < _peak(lambda: ablator.transform(X)) < 1.15 * copy
