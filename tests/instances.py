# SPDX-License-Identifier: BSD-3-Clause
"""The numeric estimators, set up to be checked quickly, and why a check may fail."""

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from sklearn_neurox import (
    ElasticNetProbeClassifier,
    LayerSelector,
    LCARanker,
    NeuronAblator,
    ProbelessRanker,
    RandomRanker,
)
from sklearn_neurox.probes import (
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    GaussianProbeClassifier,
)
from sklearn_neurox.ranking import GaussianRanker


def numeric_estimators():
    """One or several instances of every estimator that takes a matrix."""
    return [
        ElasticNetProbeClassifier(),
        ElasticNetProbeClassifier(standardize=True, alpha=0.01, l1_ratio=1.0),
        ElasticNetProbeClassifierCV(alphas=2, eps=0.1, cv=StratifiedKFold(2)),
        ElasticNetProbeRegressor(),
        ElasticNetProbeRegressor(0.1, 0.0, standardize=True),
        ElasticNetProbeRegressorCV(alphas=2, eps=0.1, cv=KFold(2)),
        GaussianProbeClassifier(),
        GaussianProbeClassifier(0.9, covariance_prior="mode"),
        GaussianRanker(),
        GaussianRanker("accuracy", max_neurons=2, n_neurons=1),
        LCARanker(),
        LCARanker(LogisticRegression(), n_neurons=0.5, which="bottom"),
        ProbelessRanker(),
        ProbelessRanker(n_neurons=1, scale=True),
        RandomRanker(),
        LayerSelector(),
        LayerSelector(0, n_layers=1),
        NeuronAblator(),
        NeuronAblator([0], fill="zero"),
        NeuronAblator([0], fill="mean"),
        NeuronAblator([0], keep=True),
    ]


def expected_failures(estimator):
    """Checks that an estimator fails for a reason, by name."""
    return {}
