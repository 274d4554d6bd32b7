# SPDX-License-Identifier: BSD-3-Clause
"""Row weights in `ablation_curve` act like repeated rows."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.ranking import ProbelessRanker

PIPE = make_pipeline(StandardScaler(), LogisticRegression())
GROUPS = np.arange(300) // 3


def _planted():
    """Return neurons of different scales and offsets."""
    planted = make_planted_neurons(
        300, 20, n_informative=3, effect=3.0, dtype=np.float64, random_state=0
    )
    return planted.X * np.linspace(0.5, 2, 20) + np.linspace(-9, 9, 20), planted.y


def _weighted_and_repeated(estimator, weight, **options):
    """Measure with weights, and with each row repeated as often as its weight."""
    X, y = _planted()
    options = {"n_draws": 1, "fill": ["mean", -2.5], "random_state": 0, **options}
    rows = np.repeat(np.arange(300), weight)
    split = [(np.arange(200), np.arange(200, 300))]
    of_rows = [(np.flatnonzero(rows < 200), np.flatnonzero(rows >= 200))]
    return (
        ablation_curve(estimator, X, y, sample_weight=weight, cv=split, **options),
        ablation_curve(estimator, X[rows], y[rows], cv=of_rows, **options),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "options"),
    [
        ([0, 1], {}),
        ([1, 2], {"ranker": ProbelessRanker(scale=True)}),
        ([0, 1, 2, 5], {"scoring": "neg_log_loss", "retrain": True}),
    ],
)
def test_weights_are_repetitions_and_rows_without_are_not_there(values, options):
    weight = np.random.RandomState(0).choice(values, size=300)
    probe = LogisticRegression(solver="newton-cholesky", tol=1e-9)
    weighted, repeated = _weighted_and_repeated(probe, weight, **options)
    pd.testing.assert_frame_equal(weighted, repeated, rtol=1e-5)
    X, y = _planted()
    options = {"cv": [(np.arange(200), np.arange(200, 300))], "random_state": 0, **options}
    plain = ablation_curve(probe, X, y, n_draws=1, fill=["mean", -2.5], **options)
    assert not np.allclose(plain["score"], weighted["score"])


@pytest.mark.slow
def test_weights_reach_the_steps_that_ask_for_them():
    weight = np.random.RandomState(0).randint(4, size=300)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        probe = LogisticRegression(tol=1e-9, max_iter=5000)
        weighted, repeated = _weighted_and_repeated(make_pipeline(scaler, probe), weight)
        pd.testing.assert_frame_equal(weighted, repeated, rtol=1e-5)
        inner = clone(probe).set_fit_request(sample_weight=True)
        inner = make_pipeline(scaler, inner.set_score_request(sample_weight=True))
        options = {"ranker": ProbelessRanker()}
        pipe = make_pipeline(FunctionTransformer(), inner)
        weighted, repeated = _weighted_and_repeated(pipe, weight, **options)
        pd.testing.assert_frame_equal(weighted, repeated, rtol=1e-5)


def test_weights_that_cannot_be_used_are_an_error():
    X, y = _planted()
    weight = np.ones(300)
    options = {"groups": GROUPS, "n_draws": 0, "sample_weight": weight}
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no sample_weight in fit"):
        ablation_curve(KNeighborsClassifier(), X, y, ranker=ProbelessRanker(), **options)
    with pytest.raises(ValueError, match="SelectKBest takes no sample_weight in fit"):
        ablation_curve(PIPE, X, y, ranker=SelectKBest(), **options)
    with pytest.raises(ValueError, match=r"Pipeline takes no.*set_fit_request\(sample_weight=True"):
        nested = make_pipeline(FunctionTransformer(), PIPE)
        ablation_curve(nested, X, y, ranker=ProbelessRanker(), **options)
    with pytest.raises(ValueError, match="[Nn]egative"):
        ablation_curve(PIPE, X, y, **{**options, "sample_weight": -weight})
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(299,\)"):
        ablation_curve(PIPE, X, y, **{**options, "sample_weight": weight[1:]})
