# SPDX-License-Identifier: BSD-3-Clause
"""Find what changes the activations of a model only in this process, for the time being."""

from sklearn_neurox.extraction._model._loading import loaded_model
from sklearn_neurox.extraction._model._torch_model import TorchModel

# Their hooks only watch, and only during the call that set them.
_OURS = ("sklearn_neurox.extraction._model._hooks", "transformers.utils.output_capturing")


def find_obstacle(spec):
    """Return why a cache cannot be used for a model at the moment; None if it can."""
    return obstacle_of(loaded_model(spec))


def obstacle_of(model):
    """Do as `find_obstacle`, for a model that may be loaded (None if it is not)."""
    if model is None or not _has_foreign_hooks(model):
        return None
    if _modes():
        return "A mode of torch that changes or watches what models compute is on"
    return "The model has hooks that change or watch its activations"


def check_leaves_process(spec):
    """Raise an error if other processes would read a model without its ablation or other hooks.

    To be called when something that reads the model is pickled for a worker.
    """
    obstacle = find_obstacle(spec)
    if obstacle is not None:
        raise ValueError(
            f"{obstacle}, but other processes would read {spec.name} without this. Set "
            "n_jobs=None, or let threads do the work: "
            "with joblib.parallel_config(backend='threading')."
        )


def check_memorable(spec, what):
    """Raise an error if `joblib.Memory` would keep results of an ablation or of hooks.

    ``what`` names the results.
    """
    obstacle = find_obstacle(spec)
    if obstacle is not None:
        raise ValueError(
            f"{obstacle}. So memory= of a Pipeline, or another joblib.Memory, cannot keep {what}: "
            "set memory=None."
        )


def modules_of(model):
    """List the modules of a model."""
    return list((model.module if isinstance(model, TorchModel) else model).modules())


def _modes():
    """Return the torch modes that the user turned on, which may change what torch computes."""
    from torch.overrides import _get_current_function_mode_stack
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    modes = [*_get_current_function_mode_stack(), *_get_current_dispatch_mode_stack()]
    # Those of torch choose devices, count operations, and the like.
    return [mode for mode in modes if not type(mode).__module__.startswith("torch.")]


def _has_foreign_hooks(model):
    from torch.nn.modules import module as every_module

    if _modes():
        return True
    hooks = [
        *every_module._global_forward_hooks.values(),
        *every_module._global_forward_pre_hooks.values(),
    ]
    for module in modules_of(model):
        # Copies, as another thread may be adding hooks.
        hooks += [*module._forward_hooks.copy().values()]
        hooks += [*module._forward_pre_hooks.copy().values()]
    return not all(getattr(hook, "__module__", "").startswith(_OURS) for hook in hooks)
