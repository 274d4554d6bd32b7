# SPDX-License-Identifier: BSD-3-Clause
"""Generate words, neurons and models, and locate the demo model."""

from sklearn_neurox.datasets._demo_model import demo_model_path
from sklearn_neurox.datasets._planted_neurons import make_planted_neurons
from sklearn_neurox.datasets._tagged_words import make_tagged_words
from sklearn_neurox.datasets._tiny_models import make_tiny_model

__all__ = ["demo_model_path", "make_planted_neurons", "make_tagged_words", "make_tiny_model"]
