# SPDX-License-Identifier: BSD-3-Clause
"""Find the attributes that a model overwrites whenever it runs, such as the last attention map.

They are results, not part of what the model is.
"""

import contextlib
import weakref
from collections.abc import Mapping, Set

import torch

from sklearn_neurox.extraction._model._description import attributes_of
from sklearn_neurox.extraction._model._families import check_readable
from sklearn_neurox.extraction._model._torch_model import TorchModel

_names: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def overwritten_by(model, run):
    """Return a mapping from the modules of a model to the names that a pass overwrites in them.

    A model with modules that have not been seen before runs twice, the second time on a longer
    input: ``run`` is called with the model and the number of passes before. What only the first
    pass makes, such as a table that is computed when needed, is part of the model from then on.
    """
    module = model.module if isinstance(model, TorchModel) else model
    new = [part for part in module.modules() if part not in _names]
    if new:
        if module is model:
            # Before a pass, since Reformer then chooses the settings that it lacks.
            check_readable(model)
        # A model that cannot run like this says so when it is read.
        with contextlib.suppress(Exception):
            run(model, 0)
        before = _snapshots(new)
        with contextlib.suppress(Exception):
            run(model, 1)
        for part, old, after in zip(new, before, _snapshots(new), strict=True):
            _names[part] = frozenset(
                name for name in after if _identity_of(old, name) != after[name][0]
            )
    return _names


def _identity_of(snapshot, name):
    return snapshot[name][0] if name in snapshot else None


def _snapshots(parts):
    """Return an identity of each attribute and buffer of each module, and what it identifies.

    Keeping the objects prevents that their identities are given to others.
    """
    snapshots = []
    for part, attributes in zip(parts, attributes_of(parts), strict=True):
        held = {name: value for name, value in part._buffers.items() if value is not None}
        snapshots.append({name: _identify(value) for name, value in (attributes | held).items()})
    return snapshots


def _identify(value):
    if isinstance(value, torch.Tensor):
        return (id(value), None if value.is_inference() else value._version), value
    inside = ()
    if isinstance(value, Mapping):
        inside = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, Set)):
        inside = list(value)
    elif not isinstance(value, type):
        inside = list(getattr(value, "__dict__", {}).values())
    return (id(value), tuple(map(id, inside))), (value, inside)
