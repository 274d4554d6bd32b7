# SPDX-License-Identifier: BSD-3-Clause
"""Take neurons away and see what is lost."""

from sklearn_neurox.ablation._ablator import NeuronAblator
from sklearn_neurox.ablation._curve import ablation_curve
from sklearn_neurox.ablation._table import ablation_table

__all__ = ["NeuronAblator", "ablation_curve", "ablation_table"]
