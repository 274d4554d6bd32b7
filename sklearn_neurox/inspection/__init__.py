# SPDX-License-Identifier: BSD-3-Clause
"""What neurons respond to: tables, text views, plots and a report."""

from sklearn_neurox.inspection._ablation_curve_display import AblationCurveDisplay
from sklearn_neurox.inspection._class_scores_display import ClassScoresDisplay
from sklearn_neurox.inspection._highlight import Highlight, highlight
from sklearn_neurox.inspection._layer_profile_display import LayerProfileDisplay
from sklearn_neurox.inspection._neuron_distribution_display import NeuronDistributionDisplay
from sklearn_neurox.inspection._neuron_report import NeuronReport
from sklearn_neurox.inspection._ranking_agreement_display import RankingAgreementDisplay
from sklearn_neurox.inspection._regularization_path_display import RegularizationPathDisplay

__all__ = [
    "AblationCurveDisplay",
    "ClassScoresDisplay",
    "Highlight",
    "LayerProfileDisplay",
    "NeuronDistributionDisplay",
    "NeuronReport",
    "RankingAgreementDisplay",
    "RegularizationPathDisplay",
    "highlight",
]
