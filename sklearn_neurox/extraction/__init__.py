# SPDX-License-Identifier: BSD-3-Clause
"""Extract activations of language models: from words in their sentences to a matrix."""

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._aggregator import SubwordAggregator
from sklearn_neurox.extraction._cache._activation_cache import ActivationCache
from sklearn_neurox.extraction._chat_frame import chat_frame
from sklearn_neurox.extraction._extractor import ActivationExtractor
from sklearn_neurox.extraction._model._loading import clear_loaded_models
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._token_frame import token_frame

__all__ = [
    "ActivationCache",
    "ActivationExtractor",
    "Activations",
    "SubwordAggregator",
    "TorchModel",
    "chat_frame",
    "clear_loaded_models",
    "token_frame",
]
