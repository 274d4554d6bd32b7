# SPDX-License-Identifier: BSD-3-Clause
"""The numeric estimators, set up for fast checks, and the reasons why a check may fail."""

import numpy as np
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils.validation import _num_samples

from sklearn_neurox import (
    ElasticNetProbeClassifier,
    LayerSelector,
    LCARanker,
    NeuronAblator,
    ProbelessRanker,
    RandomRanker,
)
from sklearn_neurox.ablation import ConceptEraser
from sklearn_neurox.evaluation import ControlTaskClassifier
from sklearn_neurox.probes import (
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    GaussianProbeClassifier,
    LowRankProbeClassifier,
    MeanDifferenceProbeClassifier,
    StructuralProbe,
)
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    ConsensusRanker,
    CrossModelRanker,
    GaussianRanker,
    IoURanker,
)
from sklearn_neurox.selection import (
    BestSubsetSelector,
    CorrelationClusterSelector,
    MinimalNeuronSelector,
    NeuronSelector,
)


class _CrossModelRankerOfNoise(CrossModelRanker):
    """Compares with random noise, because scikit-learn's checks pass no other model."""

    def fit(self, X, y=None):
        """Rank the neurons, with noise as the reference."""
        reference = np.random.RandomState(0).randn(_num_samples(X), 3)
        return super().fit(X, y, reference=reference, reference_models=["a", "a", "b"])


class _ControlTaskClassifierOfReversal(ControlTaskClassifier):
    """Takes the reversed labels as control, because scikit-learn's checks pass none."""

    def fit(self, X, y, sample_weight=None):
        """Fit to the task and to its labels in reverse order."""
        control_y = None if y is None else np.asarray(y).ravel()[::-1]
        return super().fit(X, y, control_y=control_y, sample_weight=sample_weight)


def numeric_estimators():
    """List one or two instances of every estimator that takes a matrix.

    Two if parameters lead to different code: the solver with and without a ridge term, a
    correlation and a decomposition, all columns and some. `NeuronAblator` has three, of which one
    changes the width, one depends on weights and one on the order of rows.
    """
    return [
        ElasticNetProbeClassifier(),
        ElasticNetProbeClassifier(standardize=True, alpha=0.01, l1_ratio=0.9),
        ElasticNetProbeClassifierCV(alphas=2, eps=0.1, cv=StratifiedKFold(2)),
        ElasticNetProbeRegressor(),
        ElasticNetProbeRegressor(0.1, 0.0, standardize=True),
        ElasticNetProbeRegressorCV(alphas=2, eps=0.1, cv=KFold(2)),
        GaussianProbeClassifier(0.9, covariance_prior="mode"),
        LowRankProbeClassifier(1e-3),
        LowRankProbeClassifier(1e-2, class_weight="balanced", tol=1e-2),
        MeanDifferenceProbeClassifier(),
        MeanDifferenceProbeClassifier(0.1),
        MeanDifferenceProbeClassifier("auto"),
        StructuralProbe(tol=1e-2),
        StructuralProbe(2, alpha=0.1, tol=1e-2),
        _ControlTaskClassifierOfReversal(ElasticNetProbeClassifier()),
        AveragePrecisionRanker(n_neurons=0.5, two_sided=False, average="weighted", n_jobs=2),
        ConsensusRanker([("a", ProbelessRanker()), ("b", SelectKBest(k="all"))], weights=[1, 2]),
        _CrossModelRankerOfNoise("mincorr", n_neurons=0.5),
        _CrossModelRankerOfNoise("svcca", which="bottom"),
        GaussianRanker(),
        GaussianRanker("accuracy", max_neurons=2, n_neurons=1),
        IoURanker(0.8, n_neurons=0.5),
        IoURanker(0, unit="value", which="bottom"),
        LCARanker(LogisticRegression(), mass=0.5),
        LCARanker(threshold=0.5, importance="raw"),
        ProbelessRanker(n_neurons=1, scale=True),
        RandomRanker(),
        LayerSelector(0, n_layers=1),
        LayerSelector("auto", n_layers=1, estimator=LogisticRegression(), cv=StratifiedKFold(2)),
        NeuronSelector([-1]),
        BestSubsetSelector(1),
        BestSubsetSelector([1, 0.5], standardize=False, compute_bound=False),
        CorrelationClusterSelector(0.9),
        MinimalNeuronSelector(
            LogisticRegression(), ranker=ProbelessRanker(), delta=0.5, cv=StratifiedKFold(2)
        ),
        ConceptEraser(),
        ConceptEraser("inlp", n_directions=1, estimator=LogisticRegression()),
        ConceptEraser("mean", n_directions=1),
        ConceptEraser("random", random_state=0),
        NeuronAblator([0], keep=True),
        NeuronAblator([0], fill="mean"),
        NeuronAblator([0], fill="resample", random_state=0),
    ]


def expected_failures(estimator):
    """Map the checks that an estimator is expected to fail to the reasons."""
    if isinstance(estimator, NeuronAblator) and estimator.fill == "resample":
        reason = "a row is filled from a training row drawn for its position"
        return {
            "check_methods_sample_order_invariance": reason,
            "check_methods_subset_invariance": reason,
            **dict.fromkeys(
                [
                    "check_sample_weight_equivalence_on_dense_data",
                    "check_sample_weight_equivalence_on_sparse_data",
                ],
                "weights make rows likelier to be drawn: the same distribution, not the same rows",
            ),
        }
    is_held_out = isinstance(estimator, GaussianRanker) and estimator.n_neurons is not None
    if is_held_out or (isinstance(estimator, ConceptEraser) and estimator.method == "inlp"):
        reason = "the last rows of each class are held out, which the check shuffles"
        return {"check_sample_weight_equivalence_on_dense_data": reason}
    return {}
