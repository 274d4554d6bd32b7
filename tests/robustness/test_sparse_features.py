# SPDX-License-Identifier: BSD-3-Clause
"""Rankers, selectors, ablation and tables take CSR, agree with dense, and never make it dense."""

import inspect
import json
import os

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags

from sklearn_neurox.ablation import NeuronAblator, ablation_curve, ablation_table
from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.inspection import NeuronReport, top_words
from sklearn_neurox.probes import ElasticNetProbeClassifier, MeanDifferenceProbeClassifier
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
from sklearn_neurox.selection import (
    CorrelationClusterSelector,
    LayerSelector,
    MinimalNeuronSelector,
    NeuronSelector,
)

_CV = GroupKFold(2)


def _probe():
    # At the default tolerance, the weights depend on the processor in the sixth digit.
    return LogisticRegression(max_iter=1000, tol=1e-8)


TAKE_SPARSE = [
    AveragePrecisionRanker(n_neurons=5),
    AveragePrecisionRanker(two_sided=False, average="weighted"),
    ConsensusRanker([("a", ProbelessRanker()), ("b", IoURanker())]),
    IoURanker(),
    IoURanker(0.9),
    IoURanker(0, unit="value"),
    LCARanker(_probe(), n_neurons=5),
    LCARanker(ElasticNetProbeClassifier(0.05, 1.0, tol=1e-7, random_state=0), importance="raw"),
    ProbelessRanker(n_neurons=5),
    ProbelessRanker(scale=True),
    RandomRanker(n_neurons=5, random_state=0),
    NeuronSelector([3, 1]),
    LayerSelector(1, n_layers=2),
    LayerSelector("auto", n_layers=2, estimator=_probe(), cv=_CV),
    MinimalNeuronSelector(_probe(), ranker=ProbelessRanker(), cv=_CV),
    NeuronAblator([1, 2]),
    NeuronAblator([1, 2], keep=True, fill="zero"),
    NeuronAblator([1, 20], fill="mean"),
    NeuronAblator([1, 20], fill=2.5),
    NeuronAblator([1, 20, 5], fill="resample", random_state=0),
]
REFUSE_SPARSE = [
    CrossModelRanker(),
    GaussianRanker(),
    CorrelationClusterSelector(),
    ConsensusRanker([("a", GaussianRanker())]),
]


def features(n_samples=90, n_features=24, seed=0):
    """Sparse features; one never on, one always, one constant."""
    rng = np.random.RandomState(seed)
    y = np.array(list("abc"))[rng.randint(3, size=n_samples)]
    X = rng.gamma(2, size=(n_samples, n_features))
    X *= rng.uniform(size=X.shape) < 0.15 + 0.5 * (y[:, None] == "a") * (np.arange(n_features) < 5)
    X[:, 20], X[:, 21], X[:, 22] = 0, 5 + rng.uniform(size=n_samples), 3
    return X, y


def fit(estimator, X, y):
    groups = np.arange(len(y)) % 10
    takes = "groups" in inspect.signature(estimator.fit).parameters
    return estimator.fit(X, y, **({"groups": groups} if takes else {}))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The default of:UserWarning")
def test_sparse_and_dense_agree():
    X, y = features()
    for estimator in TAKE_SPARSE:
        name = repr(estimator)
        assert get_tags(estimator).input_tags.sparse, name
        dense = fit(estimator, X, y)
        out, attributes = dense.transform(X), dict(vars(dense))
        for given in (sparse.csr_matrix(X), sparse.csc_array(X)):
            before = given.copy()
            found = fit(estimator, given, y)
            kept = found.transform(given)
            assert kept.format == "csr", name
            np.testing.assert_allclose(kept.toarray(), out, atol=1e-12, err_msg=name)
            assert (given != before).nnz == 0, name
            for key in ("scores_", "class_scores_", "fill_rows_"):
                if attributes.get(key) is not None:
                    own = getattr(found, key)
                    own = own.toarray() if sparse.issparse(own) else own
                    rtol = 1e-4 if isinstance(estimator, LCARanker) else 1e-9
                    np.testing.assert_allclose(
                        own, attributes[key], rtol=rtol, atol=1e-6 if rtol > 1e-9 else 1e-12
                    )


def test_what_needs_all_pairs_of_columns_refuses_sparse():
    X, y = features()
    for estimator in REFUSE_SPARSE:
        assert not get_tags(estimator).input_tags.sparse
        options = {"reference": X} if isinstance(estimator, CrossModelRanker) else {}
        with pytest.raises(TypeError, match=r"Sparse data was passed for X, but .* dense"):
            estimator.fit(sparse.csr_matrix(X), y, **options)


def test_weights_count_as_repetitions_in_sparse_scores():
    X, y = features()
    weight = np.random.RandomState(0).randint(3, size=len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    for ranker in (ProbelessRanker(scale=True), AveragePrecisionRanker(), IoURanker(0.8)):
        weighted = ranker.fit(sparse.csr_matrix(X), y, sample_weight=weight).scores_
        repeated = ranker.fit(sparse.csr_matrix(X[rows]), y[rows]).scores_
        np.testing.assert_allclose(weighted, repeated, rtol=1e-9)


def test_a_fill_that_makes_a_sparse_matrix_dense_is_refused():
    X, y = features(60, 2000)
    X[:, 40:] = np.random.RandomState(0).uniform(size=(60, 1960)) < 0.01
    given = sparse.csr_matrix(X)
    for fill in ("mean", 1.0):
        ablator = NeuronAblator([0], keep=True, fill=fill).fit(given)
        with pytest.raises(ValueError, match="would store .* values in a sparse matrix that has"):
            ablator.transform(given)
    assert NeuronAblator([0], keep=True, fill="zero").fit_transform(given).nnz <= 60


@pytest.mark.slow
def test_top_words_and_layer_profile_agree_with_dense():
    X, y = features()
    words = np.array([f"w{i}" for i in np.random.RandomState(1).randint(8, size=len(y))])
    for neurons in ([0, 3, 21], None):
        options = {"neurons": neurons, "min_count": 2}
        if neurons is None:
            with pytest.warns(UserWarning, match="2 of 24 neurons are constant"):
                expected = top_words(X, words, **options)
            with pytest.warns(UserWarning, match="2 of 24 neurons are constant"):
                found = top_words(sparse.csr_matrix(X), words, **options)
        else:
            expected = top_words(X, words, **options)
            found = top_words(sparse.csr_matrix(X), words, **options)
        numbers = ["mean", "z", "std"]
        np.testing.assert_allclose(found[numbers], expected[numbers], atol=1e-6)
    options = {"groups": np.arange(len(y)) // 3, "n_layers": 2, "cv": GroupKFold(3)}
    expected = layer_profile(_probe(), X, y, **options)
    found = layer_profile(_probe(), sparse.csr_matrix(X), y, **options)
    np.testing.assert_allclose(found["score"], expected["score"], atol=0.02)


@pytest.mark.slow
def test_ablation_curve_and_table_agree_with_dense():
    X, y = features(120)
    probe = MeanDifferenceProbeClassifier()
    options = {"groups": np.arange(len(y)) // 3, "cv": GroupKFold(2), "random_state": 0}
    options |= {"fill": ["zero", "resample", "mean"], "fractions": [3, 1.0], "n_draws": 1}
    expected = ablation_curve(probe, X, y, **options)
    for given in (sparse.csr_matrix(X), sparse.coo_matrix(X), sparse.csc_array(X)):
        before = given.copy()
        found = ablation_curve(probe, given, y, **options)
        assert found.drop(columns="score").equals(expected.drop(columns="score"))
        np.testing.assert_allclose(found["score"], expected["score"], atol=0.017)  # one word
        assert (given != before).nnz == 0
    options |= {"rankings": [ProbelessRanker(), IoURanker()], "probes": {"own": probe}}
    options["sample_weight"] = np.random.RandomState(0).randint(1, 3, size=len(y))
    tables = [ablation_table(matrix, y, **options) for matrix in (X, sparse.csr_matrix(X))]
    np.testing.assert_allclose(tables[1]["score"], tables[0]["score"], atol=0.04)
    identity = FunctionTransformer(sparse.csr_matrix)  # CSR from the steps before a probe
    found = ablation_table(X, y, features=identity, **options)
    assert found.equals(tables[1])


@pytest.mark.slow
def test_a_curve_that_would_be_dense_is_refused_before_anything_is_fitted():
    X, y = features(60, 2000)
    X[:, 40:] = np.random.RandomState(0).uniform(size=(60, 1960)) < 0.01
    given, fitted = sparse.csr_matrix(X), []

    class Spy(LogisticRegression):
        def fit(self, X, y):
            fitted.append(type(X))
            return super().fit(X, y)

    options = {"cv": GroupKFold(2), "groups": np.arange(60), "n_draws": 1, "random_state": 0}
    for fill in ("mean", 1.0, ["zero", "mean"]):
        with pytest.raises(ValueError, match=r"ablation_curve\(fill=.*would store .*fill='zero'"):
            ablation_curve(Spy(), given, y, fill=fill, **options)
    assert not fitted
    assert len(ablation_curve(Spy(), given, y, fill="mean", retrain=True, **options)) > 0
    assert len(ablation_curve(Spy(), given, y, fill="zero", **options)) > 0
    assert all(issubclass(kind, sparse.csr_matrix) for kind in fitted)


def test_a_report_agrees_with_dense():
    X, y = features()
    words = np.array([f"w{i}" for i in np.random.RandomState(1).randint(8, size=len(y))])
    X = X.astype(np.float32)
    ranker, found = LCARanker(_probe()).fit(X, y), []
    for given in (X, sparse.csr_matrix(X), sparse.coo_array(X)):
        report = NeuronReport(ranker, given, y, words, min_count=2)
        assert report._repr_html_()
        arrays = dict(report._data["arrays"])
        del arrays["mean"]  # whose last bits depend on the layout of the memory
        found.append({**report._data, "arrays": arrays})
    assert found[0] == found[1] == found[2]


_MEASURE = """
import json, sys, warnings
import numpy as np
from scipy import sparse
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GroupKFold
import sklearn_neurox.ablation as ablation
import sklearn_neurox.evaluation as evaluation
import sklearn_neurox.inspection as inspection
import sklearn_neurox.probes as probes
import sklearn_neurox.ranking as ranking
import sklearn_neurox.selection as selection
warnings.simplefilter("ignore")

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name)) / 1024

def data(n, p):
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=n)
    own = (y * (p // 3))[:, None] * (rng.uniform(size=(n, 24)) < 0.3)
    places = np.repeat(np.arange(n), 24), (rng.randint(p // 3, size=(n, 24)) + own).ravel()
    values = rng.gamma(2, size=n * 24).astype(np.float32)
    return sparse.coo_matrix((values, places), shape=(n, p)).tocsr(), y

n, p = 6000, 24000
groups, words = np.arange(n) // 10, np.array([f"w{i % 500}" for i in range(n)])
cheap = {"max_iter": 3, "random_state": 0}
def lean(kind=probes.ElasticNetProbeClassifier, **options):
    return kind(**{"alpha": 0.02, **cheap, **options})

def grouped(estimator, X, y):
    return estimator.fit(X, y, groups=groups[: len(y)])

halves = GroupKFold(2)
cv_probe = probes.ElasticNetProbeClassifierCV(alphas=2, eps=0.5, cv=halves, **cheap)
layers = selection.LayerSelector("auto", estimator=lean(), n_layers=2, cv=halves)
few = selection.MinimalNeuronSelector(
    lean(), ranker=ranking.ProbelessRanker(), cv=halves, sizes=[0.5]
)
vote = ranking.ConsensusRanker([("a", ranking.ProbelessRanker())])
profile = {"n_layers": 2, "cv": halves}
ablate = ablation.NeuronAblator
curve = {"fractions": 0.1, "n_draws": 1, "cv": halves, "fill": ["zero", "resample"]}
jobs = {
    "classifier": lambda X, y: lean(standardize=True).fit(X, y).predict_proba(X),
    "two classes": lambda X, y: lean().fit(X, y > 0).predict(X),
    "regressor": lambda X, y: lean(probes.ElasticNetProbeRegressor).fit(X, y.astype(float)),
    "CV": lambda X, y: grouped(cv_probe, X, y),
    "LCA": lambda X, y: ranking.LCARanker(lean(), n_neurons=9).fit_transform(X, y),
    "probeless": lambda X, y: ranking.ProbelessRanker(scale=True, n_neurons=9).fit_transform(X, y),
    "AP": lambda X, y: ranking.AveragePrecisionRanker().fit(X[:, :600], y),
    "IoU": lambda X, y: ranking.IoURanker().fit(X[:, :600], y),
    "random": lambda X, y: ranking.RandomRanker().fit(X),
    "consensus": lambda X, y: vote.fit(X, y),
    "neurons": lambda X, y: selection.NeuronSelector([1, 5]).fit_transform(X),
    "layers": lambda X, y: grouped(layers, X, y),
    "minimal": lambda X, y: grouped(few, X, y),
    "drop": lambda X, y: ablate(range(99)).fit_transform(X),
    "zero": lambda X, y: ablate([5], keep=True, fill="zero").fit_transform(X),
    "mean": lambda X, y: ablate([5], fill="mean").fit_transform(X),
    "resample": lambda X, y: ablate([5], keep=True, fill="resample").fit_transform(X),
    "profile": lambda X, y: evaluation.layer_profile(
        lean(), X, y, groups=groups[: len(y)], **profile
    ),
    "top words": lambda X, y: inspection.top_words(X, words[: len(y)], range(300), min_count=1),
    "curve": lambda X, y: ablation.ablation_curve(
        lean(), X, y, groups=groups[: len(y)], **curve
    ),
    "table": lambda X, y: ablation.ablation_table(
        X,
        y,
        rankings=[ranking.ProbelessRanker()],
        probes=[lean()],
        groups=groups[: len(y)],
        **curve,
    ),
    "report": lambda X, y: inspection.NeuronReport(
        ranking.ProbelessRanker().fit(X, y), X, y, words[: len(y)], n_detailed=50
    ),
}
found = {}
small = data(600, 900)
for name, job in jobs.items():
    job(*small)  # one-time allocations of the libraries
X, y = data(n, p)
for name, job in jobs.items():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # resets the peak
    before = status("VmRSS")
    result = job(X, y)
    found[name] = status("VmHWM") - before
    del result
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="needs Linux's /proc")
def test_nothing_takes_the_memory_of_the_dense_matrix(run_fresh):
    """The dense matrix would take 576 MB in single precision; the CSR matrix takes 1.2 MB."""
    grown = json.loads(run_fresh(_MEASURE))
    assert len(grown) == 22
    # A block of the columns at a time, of 16 MB, in several forms.
    assert grown.pop("report") < 200
    # The coefficients of three classes in float64, of which solvers hold some dozens: 0.6 MB each.
    assert max(grown.values()) < 60, grown
