# SPDX-License-Identifier: BSD-3-Clause
"""Notice functions of torch and transformers that a user has replaced for the whole process."""

import hashlib
import sys

# transformers looks these up by name whenever a model runs.
_REGISTRIES = (
    ("transformers.modeling_utils", "ALL_ATTENTION_FUNCTIONS"),
    ("transformers.masking_utils", "ALL_MASK_ATTENTION_FUNCTIONS"),
)
# The ways to compute attention that transformers may choose by itself.
_CHOSEN = frozenset(["eager", "sdpa"])


def replaced_functions(modules=()):
    """Return a list with a digest of the replaced functions; an empty list if there are none.

    Parameters
    ----------
    modules : iterable of Module, default=()
        The modules of a loaded model, whose configs may name ways to compute attention that the
        user has registered. Without modules, only replacements of existing functions count.
    """
    if "torch" not in sys.modules:
        return []
    found = {**_in_torch(), **_registered(_CHOSEN | _named_by(modules))}
    if not found:
        return []
    from sklearn_neurox.extraction._model._checksum import checksum
    from sklearn_neurox.extraction._model._description import describe

    return [describe(found, lambda _, tensor: hashlib.sha256(checksum(tensor)).hexdigest())]


def _in_torch():
    functions = vars(sys.modules["torch"].nn.functional)
    return {
        name: value
        for name, value in functions.items()
        if callable(value) and not isinstance(value, type) and _is_foreign(value)
    }


def _registered(names):
    found = {}
    for module, registry in _REGISTRIES:
        functions = getattr(sys.modules.get(module), registry, {})
        for name in sorted(names):
            if name in functions and _is_foreign(functions[name]):
                found[f"{registry} {name}"] = functions[name]
    return found


def _named_by(modules):
    configs = [getattr(module, "config", None) for module in modules]
    return {
        name
        for name in (getattr(config, "_attn_implementation", None) for config in configs)
        if isinstance(name, str)
    }


def _is_foreign(function):
    home = getattr(function, "__module__", None) or "torch"
    return home.partition(".")[0] not in ("torch", "transformers", "typing", "builtins")
