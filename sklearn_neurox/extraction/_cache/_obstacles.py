# SPDX-License-Identifier: BSD-3-Clause
"""Notice that a model changes while a cache is being filled."""

from itertools import chain

from sklearn_neurox.extraction._model._loading import loaded_model
from sklearn_neurox.extraction._model._obstacle import modules_of, obstacle_of


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
        model = loaded_model(self.spec)
        if model is None:
            return
        obstacle = obstacle_of(model)
        if obstacle is not None:
            raise ModelChangedError(obstacle)
        stamp = _stamp(model)
        self.stamp = self.stamp or stamp  # of a model that is loaded only now
        if stamp != self.stamp:
            raise ModelChangedError("The model was changed")
        if any(module.training for module in modules_of(model)):
            raise ModelChangedError("The model was put into training mode")

    def look_closely(self):
        """Do as `look`, and identify the weights once more."""
        self.look()
        if self.identify() != self.fingerprint:
            raise ModelChangedError("The weights of the model were changed")


def _stamp(model):
    """Describe the tensors of a model, and the edits that it has undergone."""
    from sklearn_neurox.extraction._model._hooks import count_edits

    modules = modules_of(model)
    # Models may renew non-persistent buffers while they run; the fingerprint covers their values.
    tensors = chain.from_iterable(
        (*module._parameters.values(), *_persistent_buffers(module)) for module in modules
    )
    return (
        count_edits(modules),
        [(id(module), type(module)) for module in modules],
        [(id(tensor), _version(tensor)) for tensor in tensors if _is_in_memory(tensor)],
    )


def _is_in_memory(tensor):
    # What a device map puts on the disk is loaded anew for each batch.
    return tensor is not None and tensor.device.type != "meta"


def _persistent_buffers(module):
    passing = module._non_persistent_buffers_set
    return [buffer for name, buffer in list(module._buffers.items()) if name not in passing]


def _version(tensor):
    """Return torch's count of the changes of a tensor; inference tensors have none."""
    return None if tensor.is_inference() else tensor._version
