# SPDX-License-Identifier: BSD-3-Clause
"""Find, rank, select and ablate neurons of transformer language models, the scikit-learn way."""

from sklearn_neurox._version import __version__
from sklearn_neurox.ablation import NeuronAblator, ablation_curve, ablation_table
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    Activations,
    SubwordAggregator,
)
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    GaussianProbeClassifier,
)
from sklearn_neurox.ranking import GaussianRanker, LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.selection import (
    CorrelationClusterSelector,
    LayerSelector,
    MinimalNeuronSelector,
    NeuronSelector,
)
from sklearn_neurox.words import read_conllu, read_parallel, words_frame

__all__ = [
    "ActivationCache",
    "ActivationExtractor",
    "Activations",
    "CorrelationClusterSelector",
    "ElasticNetProbeClassifier",
    "ElasticNetProbeClassifierCV",
    "ElasticNetProbeRegressor",
    "ElasticNetProbeRegressorCV",
    "GaussianProbeClassifier",
    "GaussianRanker",
    "LCARanker",
    "LayerSelector",
    "MinimalNeuronSelector",
    "NeuronAblator",
    "NeuronSelector",
    "ProbelessRanker",
    "RandomRanker",
    "SubwordAggregator",
    "__version__",
    "ablation_curve",
    "ablation_table",
    "read_conllu",
    "read_parallel",
    "words_frame",
]
