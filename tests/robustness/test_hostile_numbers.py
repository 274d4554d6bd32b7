# SPDX-License-Identifier: BSD-3-Clause
"""Numbers, labels and names that cannot be computed with are refused, with what and where."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import layer_profile, online_codelength
from sklearn_neurox.extraction import Activations
from sklearn_neurox.inspection import NeuronReport, top_words
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    GaussianProbeClassifier,
)
from sklearn_neurox.ranking import LCARanker, ProbelessRanker
from sklearn_neurox.selection import CorrelationClusterSelector
from tests.instances import numeric_estimators

RNG = np.random.RandomState(0)
X, Y = RNG.randn(60, 6), np.arange(60) % 3
SQUARING = [
    ElasticNetProbeClassifier(),
    ElasticNetProbeClassifier(standardize=True),
    ElasticNetProbeClassifierCV(alphas=2, cv=2),
    ElasticNetProbeRegressor(),
    GaussianProbeClassifier(),
    CorrelationClusterSelector(),
]


def _is_finite(estimator):
    arrays = [value for value in vars(estimator).values() if isinstance(value, np.ndarray)]
    return all(np.isfinite(array).all() for array in arrays if array.dtype.kind == "f")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", SQUARING, ids=lambda one: type(one).__name__)
def test_values_whose_squares_overflow_are_named(estimator):
    for dtype, largest in ((np.float64, [1e155, 1e200, -1e307]), (np.float32, [1e18, -3e38])):
        for value in largest:
            Z = X.astype(dtype)
            Z[7, 2] = value
            with pytest.raises(ValueError, match=r"too large for float.*column 2, row 7 is -?\d"):
                clone(estimator).fit(Z, Y)
            frame = pd.DataFrame(Z, columns=list("abcdef"))
            with pytest.raises(ValueError, match=r"column 'c', row 7"):
                clone(estimator).fit(frame, Y)
    for scale in (1e100, 1e-100):
        assert _is_finite(clone(estimator).fit(X * scale, Y))


def test_a_variance_that_overflows_is_named():
    Z = X.copy()
    Z[:, 4] *= 1e200
    with pytest.raises(ValueError, match="column 4, row 0 is"):
        ProbelessRanker(scale=True).fit(Z, Y)


MIXED = [["a", 1, 2], [1, "a", 2.5], ["x", True, "y"]]


@pytest.mark.filterwarnings("ignore")
def test_mixed_labels_are_named():
    for labels in MIXED:
        mixed = np.empty(60, dtype=object)
        mixed[:] = [labels[i % 3] for i in range(60)]
        for estimator in numeric_estimators():
            if not getattr(estimator.__sklearn_tags__().target_tags, "required", False):
                continue
            if hasattr(estimator, "rankers") or is_regressor(estimator):
                continue
            for y in (mixed, pd.Series(mixed), mixed.tolist()):
                with pytest.raises(
                    ValueError, match=r"mixes strings and other types: .* at row \d.* at row \d"
                ):
                    clone(estimator).fit(X, y)
        for call in (
            lambda y: ablation_curve(ElasticNetProbeClassifier(), X, y, groups=Y),
            lambda y: layer_profile(ElasticNetProbeClassifier(), X, y, groups=Y, n_layers=2),
            lambda y: online_codelength(ElasticNetProbeClassifier(), X, y, groups=Y),
        ):
            with pytest.raises(ValueError, match="mixes strings and other types"):
                call(mixed)


class _Interrupt(Exception):
    pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_fit_leaves_no_mixture(monkeypatch):
    def stop(*args, **kwargs):
        raise _Interrupt

    for estimator in (ElasticNetProbeClassifier(), ElasticNetProbeClassifierCV(alphas=2, cv=2)):
        for earlier in (None, (X, Y), (X[:, :4], Y % 2)):
            probe = clone(estimator)
            if earlier is not None:
                probe.fit(*earlier)
            with monkeypatch.context() as patch:
                patch.setattr(
                    "sklearn_neurox.probes.solvers._certified.CertifiedSolver.solve", stop
                )
                with pytest.raises(_Interrupt):
                    probe.fit(X, np.array(["u", "v", "w"])[Y])
            for method in ("predict", "predict_proba", "decision_function"):
                with pytest.raises(NotFittedError, match="not fitted"):
                    getattr(probe, method)(X)
            assert set(probe.fit(X, Y).predict(X)) <= {0, 1, 2}


@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_ranker_or_selector_is_not_fitted(monkeypatch):
    for estimator in numeric_estimators():
        if not hasattr(type(estimator), "_set_by_fit"):
            continue
        fitted = clone(estimator).fit(X, Y)
        wrong = X.copy()
        wrong[0, 0] = np.nan
        with pytest.raises(ValueError, match="NaN"):
            fitted.fit(wrong, Y)
        with pytest.raises(NotFittedError):
            fitted.transform(X)


def test_repeated_names_are_named():
    frame = pd.DataFrame(X, columns=["a", "b", "b", "c", "d", "e"])
    for estimator in numeric_estimators():
        with pytest.raises(ValueError, match=r"several columns named 'b' \(\[1, 2\]\)"):
            clone(estimator).fit(frame, Y)
    words = make_tagged_words(20, random_state=0).head(60)
    with pytest.raises(ValueError, match="several columns named 'b'"):
        top_words(frame, words)


def test_stored_activations_must_be_finite():
    good, bad = np.ones((2, 3)), np.ones((1, 3))
    bad[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"arrays\[1\] contains NaN"):
        Activations.from_arrays([good, bad, good])
    bad[0, 1] = np.inf
    with pytest.raises(ValueError, match=r"arrays\[1\] contains infinity"):
        Activations.from_arrays([good, bad])


def test_a_title_must_be_text_that_a_file_can_hold():
    words = make_tagged_words(20, random_state=0).head(60)
    ranker = LCARanker(ElasticNetProbeClassifier(1e-3)).fit(X, Y)
    with pytest.raises(ValueError, match="'title' parameter of NeuronReport.*character 3 is half"):
        NeuronReport(ranker, X, Y, words, title="ok \ud83d")
    assert "😀" in NeuronReport(ranker, X, Y, words, title="ok 😀").title
