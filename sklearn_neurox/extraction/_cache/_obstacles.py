# SPDX-License-Identifier: BSD-3-Clause
"""Find what changes activations without changing the fingerprint, or while a cache is filled."""

import sys
from itertools import chain

from sklearn_neurox.extraction._model._loading import loaded_model
from sklearn_neurox.extraction._model._torch_model import TorchModel

# Their hooks only watch, and only during the call that set them.
_OURS = ("sklearn_neurox.extraction._model._hooks", "transformers.utils.output_capturing")


class ModelChangedError(RuntimeError):
    """The model changed while a cache was being filled, so what it has just read is not stored."""


class Watch:
    """Notices whatever changes a model from now on, until its activations are stored.

    Parameters
    ----------
    spec : ModelSpec

    identify : callable
        Returns the fingerprint of the current weights.
    """

    def __init__(self, spec, identify):
        self.spec, self.identify = spec, identify
        model = loaded_model(spec)
        self.stamp = None if model is None else _stamp(model)

    def identify_model(self):
        """Return the fingerprint of the weights as they have been since the watch began."""
        self.fingerprint = self.identify()
        return self.fingerprint

    def begin_again(self, spec):
        """Return a watch of the same weights in another process or thread."""
        watch = Watch(spec, self.identify)
        watch.fingerprint = self.fingerprint
        return watch

    def __getstate__(self):
        return {**self.__dict__, "stamp": None}

    def look(self):
        """Raise a ModelChangedError if the model reads differently than at the beginning.

        This is quick. It notices all but changes of tensors that bypass torch's count of them.
        """
        obstacle = find_obstacle(self.spec)
        if obstacle is not None:
            raise ModelChangedError(obstacle)
        model = loaded_model(self.spec)
        if model is None:
            return
        stamp = _stamp(model)
        self.stamp = self.stamp or stamp  # of a model that is loaded only now
        if stamp != self.stamp:
            raise ModelChangedError("The model was changed")
        if any(module.training for module in _modules(model)):
            raise ModelChangedError("The model was put into training mode")

    def look_closely(self):
        """Do as `look`, and identify the weights once more."""
        self.look()
        if self.identify() != self.fingerprint:
            raise ModelChangedError("The weights of the model were changed")


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


def _modules(model):
    return (model.module if isinstance(model, TorchModel) else model).modules()


def _has_foreign_hooks(model):
    if "torch" not in sys.modules:
        return False
    from torch.nn.modules import module as every_module

    hooks = [
        *every_module._global_forward_hooks.values(),
        *every_module._global_forward_pre_hooks.values(),
    ]
    for module in _modules(model):
        # Copies, as another thread may be adding hooks.
        hooks += [*module._forward_hooks.copy().values()]
        hooks += [*module._forward_pre_hooks.copy().values()]
    return not all(getattr(hook, "__module__", "").startswith(_OURS) for hook in hooks)


def _stamp(model):
    """Describe the tensors of a model, and the edits that it has undergone."""
    from sklearn_neurox.extraction._model._hooks import count_edits

    modules = list(_modules(model))
    # Models may renew non-persistent buffers while they run; the fingerprint covers their values.
    tensors = chain.from_iterable(
        (*module._parameters.values(), *_persistent_buffers(module)) for module in modules
    )
    return (
        count_edits(modules),
        [(id(module), type(module)) for module in modules],
        [(id(tensor), _version(tensor)) for tensor in tensors if tensor is not None],
    )


def _persistent_buffers(module):
    passing = module._non_persistent_buffers_set
    return [buffer for name, buffer in list(module._buffers.items()) if name not in passing]


def _version(tensor):
    """Return torch's count of the changes of a tensor; inference tensors have none."""
    return None if tensor.is_inference() else tensor._version
