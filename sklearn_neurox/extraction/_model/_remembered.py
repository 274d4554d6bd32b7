# SPDX-License-Identifier: BSD-3-Clause
"""Remember facts about a live model only as long as it stays as it is."""

from sklearn_neurox.extraction._model._description import describe, place_of
from sklearn_neurox.extraction._model._overwritten import overwritten_by
from sklearn_neurox.extraction._model._torch_model import TorchModel

# Hooks that change nothing, or that are set only after the unchanged model was looked at.
_OURS = ("sklearn_neurox.", "transformers.utils.output_capturing")


def remembered(store, model, run):
    """Return what is known of a model, as a dict to look in and add to; empty if it has changed.

    Parameters
    ----------
    store : WeakKeyDictionary
        Where facts of one kind are kept, by model.

    model : PreTrainedModel or TorchModel

    run : callable
        Runs a model once, see `overwritten_by`.
    """
    module = model.module if isinstance(model, TorchModel) else model
    state, hooks = _state_of(model, module, run), _foreign_hooks(module)
    known = store.get(model)
    # Facts found under hooks are those of the hooks too.
    if known is None or known[0] != state or known[1] not in ((), hooks):
        store[model] = known = state, hooks, {}
    return known[2]


def _state_of(model, module, run):
    """Return a value that changes with the structure, the settings and the weights of a model.

    Weights changed behind the back of torch, through ``.data`` or NumPy, do not count: reading them
    all each time would cost too much, and what is remembered depends on them only when they are
    degenerate.
    """
    return describe(module, place_of, overwritten_by(model, run))


def _foreign_hooks(module):
    return tuple(
        id(hook)
        for part in module.modules()
        for hook in (*part._forward_hooks.values(), *part._forward_pre_hooks.values())
        if not (getattr(hook, "__module__", None) or "").startswith(_OURS)
    )
