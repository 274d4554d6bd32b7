# SPDX-License-Identifier: BSD-3-Clause
"""Selectors of layers and neurons that are not rankers."""

from sklearn_neurox.selection._best_subset_selector import BestSubsetSelector
from sklearn_neurox.selection._correlation_cluster_selector import CorrelationClusterSelector
from sklearn_neurox.selection._layer_selector import LayerSelector
from sklearn_neurox.selection._minimal_neuron_selector import MinimalNeuronSelector
from sklearn_neurox.selection._neuron_selector import NeuronSelector

__all__ = [
    "BestSubsetSelector",
    "CorrelationClusterSelector",
    "LayerSelector",
    "MinimalNeuronSelector",
    "NeuronSelector",
]
