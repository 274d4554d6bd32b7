# SPDX-License-Identifier: BSD-3-Clause
"""Find the attributes that a model overwrites whenever it runs, such as the last attention map.

They are results, not part of what the model is.
"""

import weakref
from collections.abc import Mapping, Set

import torch

from sklearn_neurox.extraction._model._description import attributes_of
from sklearn_neurox.extraction._model._families import check_readable
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._torch import is_out_of_memory

_names: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_CONSTANT = (type(None), bool, int, float, complex, str, bytes)


def overwritten_by(model, run):
    """Return a mapping from the modules of a model to the names that a pass overwrites in them.

    A model with modules that have not been seen before runs twice, the second time on a larger
    input: ``run`` is called with the model and the number of passes before. What only the first
    pass makes, such as a table that is computed when needed, is part of the model from then on.
    """
    module = model.module if isinstance(model, TorchModel) else model
    new = [part for part in module.modules() if part not in _names]
    if new:
        if module is model:
            # Before a pass, since Reformer then chooses the settings that it lacks.
            check_readable(model)
        _run_if_possible(run, model, 0)
        before = _snapshots(new)
        _run_if_possible(run, model, 1)
        for part, old, after in zip(new, before, _snapshots(new), strict=True):
            _names[part] = frozenset(
                name for name in after if name not in old or _is_result(*old[name], *after[name])
            )
    return _names


def _run_if_possible(run, model, n_before):
    try:
        run(model, n_before)
    except Exception as error:  # a model that cannot run like this says so when it is read
        if is_out_of_memory(error):
            raise


def _is_result(identity, held, identity_after, held_after):
    """Return whether an attribute differs between passes, that is, depends on their inputs.

    A setting that every pass replaces by an equal one, such as a normalized vector, is no result.
    """
    return identity != identity_after and not _are_equal(held, held_after)


def _are_equal(one, other):
    """Return whether two values are equal; False if they are one object, which may have changed."""
    if one is other and not isinstance(one, _CONSTANT) or type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        alike = one.dtype == other.dtype and one.shape == other.shape
        return alike and one.layout is torch.strided and torch.equal(one, other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_are_equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_are_equal(one[k], other[k]) for k in one)
    return isinstance(one, _CONSTANT) and one == other


def _snapshots(parts):
    """Return an identity of each attribute and buffer of each module, and what it holds.

    Keeping the objects prevents their identities from being given to others.
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
