# SPDX-License-Identifier: BSD-3-Clause
"""Ablate neurons, and measure what is lost."""

from sklearn_neurox.ablation._ablate_model import ablate_model
from sklearn_neurox.ablation._ablator import NeuronAblator
from sklearn_neurox.ablation._causal_effect import causal_effect
from sklearn_neurox.ablation._curve import ablation_curve
from sklearn_neurox.ablation._table import ablation_table

__all__ = ["NeuronAblator", "ablate_model", "ablation_curve", "ablation_table", "causal_effect"]
