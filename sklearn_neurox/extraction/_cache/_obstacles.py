# SPDX-License-Identifier: BSD-3-Clause
"""Find what changes activations without changing the fingerprint: autocast and hooks."""

import sys

from sklearn_neurox.extraction._model._loading import loaded_model
from sklearn_neurox.extraction._model._torch_model import TorchModel

# Their hooks only watch, and only during the call that set them.
_OURS = ("sklearn_neurox.extraction._model._hooks", "transformers.utils.output_capturing")


def find_obstacle(spec):
    """Return why a cache cannot be used for a model at the moment; None if it can."""
    if _is_autocast():
        return "Autocast is on, which changes the activations"
    model = loaded_model(spec)
    if model is None or not _has_foreign_hooks(model):
        return None
    return "The model has hooks that change or watch its activations"


def _is_autocast():
    # A setting of the current thread, which is not part of the fingerprint.
    torch = sys.modules.get("torch")
    return torch is not None and any(map(torch.is_autocast_enabled, ("cpu", "cuda", "mps")))


def _has_foreign_hooks(model):
    if "torch" not in sys.modules:
        return False
    from torch.nn.modules import module as every_module

    modules = (model.module if isinstance(model, TorchModel) else model).modules()
    hooks = [
        *every_module._global_forward_hooks.values(),
        *every_module._global_forward_pre_hooks.values(),
    ]
    for module in modules:
        hooks += (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    return not all(getattr(hook, "__module__", "").startswith(_OURS) for hook in hooks)
