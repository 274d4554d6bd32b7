# SPDX-License-Identifier: BSD-3-Clause
"""Inspect what neurons respond to: tables, highlighted text, plots and a report."""

from sklearn_neurox.inspection._compositions._compositional_explanations import (
    compositional_explanations,
)
from sklearn_neurox.inspection._displays._ablation_curve_display import AblationCurveDisplay
from sklearn_neurox.inspection._displays._class_scores_display import ClassScoresDisplay
from sklearn_neurox.inspection._displays._layer_profile_display import LayerProfileDisplay
from sklearn_neurox.inspection._displays._neuron_distribution_display import (
    NeuronDistributionDisplay,
)
from sklearn_neurox.inspection._displays._ranking_agreement_display import RankingAgreementDisplay
from sklearn_neurox.inspection._displays._regularization_path_display import (
    RegularizationPathDisplay,
)
from sklearn_neurox.inspection._displays._sparse_probing_display import SparseProbingDisplay
from sklearn_neurox.inspection._highlight._highlight import Highlight, highlight
from sklearn_neurox.inspection._report._neuron_report import NeuronReport
from sklearn_neurox.inspection._tables._neuron_summary import neuron_summary
from sklearn_neurox.inspection._tables._neuron_table import neuron_table
from sklearn_neurox.inspection._tables._predictions_frame import predictions_frame
from sklearn_neurox.inspection._tables._score_tokens import score_tokens
from sklearn_neurox.inspection._tables._top_contexts import top_contexts
from sklearn_neurox.inspection._tables._top_words import top_words

__all__ = [
    "AblationCurveDisplay",
    "ClassScoresDisplay",
    "Highlight",
    "LayerProfileDisplay",
    "NeuronDistributionDisplay",
    "NeuronReport",
    "RankingAgreementDisplay",
    "RegularizationPathDisplay",
    "SparseProbingDisplay",
    "compositional_explanations",
    "highlight",
    "neuron_summary",
    "neuron_table",
    "predictions_frame",
    "score_tokens",
    "top_contexts",
    "top_words",
]
