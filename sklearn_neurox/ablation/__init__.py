# SPDX-License-Identifier: BSD-3-Clause
"""Ablate neurons, erase concepts, and measure what is lost."""

from sklearn_neurox.ablation._ablate_model import ablate_model
from sklearn_neurox.ablation._ablator import NeuronAblator
from sklearn_neurox.ablation._causal._causal_effect import causal_effect
from sklearn_neurox.ablation._curve import ablation_curve
from sklearn_neurox.ablation._erasure._concept_eraser import ConceptEraser
from sklearn_neurox.ablation._erasure._erasure_table import erasure_table
from sklearn_neurox.ablation._steer_model import steer_model
from sklearn_neurox.ablation._table import ablation_table

__all__ = [
    "ConceptEraser",
    "NeuronAblator",
    "ablate_model",
    "ablation_curve",
    "ablation_table",
    "causal_effect",
    "erasure_table",
    "steer_model",
]
