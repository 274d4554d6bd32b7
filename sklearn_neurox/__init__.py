# SPDX-License-Identifier: BSD-3-Clause
"""Find, rank, select and ablate neurons of transformer language models with scikit-learn."""

from sklearn_neurox import _interruption as _interruption
from sklearn_neurox._version import __version__
from sklearn_neurox.ablation import (
    ConceptEraser,
    NeuronAblator,
    ablate_model,
    ablation_curve,
    ablation_table,
    causal_effect,
    erasure_table,
)
from sklearn_neurox.evaluation import control_labels, layer_profile, selectivity_score
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    Activations,
    SparseAutoencoderEncoder,
    SubwordAggregator,
)
from sklearn_neurox.inspection import NeuronReport, highlight, top_words
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    GaussianProbeClassifier,
    MeanDifferenceProbeClassifier,
    StructuralProbe,
)
from sklearn_neurox.ranking import GaussianRanker, LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.selection import (
    CorrelationClusterSelector,
    LayerSelector,
    MinimalNeuronSelector,
    NeuronSelector,
)
from sklearn_neurox.words import annotate, pair_frame, read_conllu, read_parallel, words_frame

__all__ = [
    "ActivationCache",
    "ActivationExtractor",
    "Activations",
    "ConceptEraser",
    "CorrelationClusterSelector",
    "ElasticNetProbeClassifier",
    "ElasticNetProbeClassifierCV",
    "ElasticNetProbeRegressor",
    "ElasticNetProbeRegressorCV",
    "GaussianProbeClassifier",
    "GaussianRanker",
    "LCARanker",
    "LayerSelector",
    "MeanDifferenceProbeClassifier",
    "MinimalNeuronSelector",
    "NeuronAblator",
    "NeuronReport",
    "NeuronSelector",
    "ProbelessRanker",
    "RandomRanker",
    "SparseAutoencoderEncoder",
    "StructuralProbe",
    "SubwordAggregator",
    "__version__",
    "ablate_model",
    "ablation_curve",
    "ablation_table",
    "annotate",
    "causal_effect",
    "control_labels",
    "erasure_table",
    "highlight",
    "layer_profile",
    "pair_frame",
    "read_conllu",
    "read_parallel",
    "selectivity_score",
    "top_words",
    "words_frame",
]
