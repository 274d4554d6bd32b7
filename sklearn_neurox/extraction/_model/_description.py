# SPDX-License-Identifier: BSD-3-Clause
"""Describe everything in a live model that determines its numbers."""

import contextlib
import copy
import hashlib
import re
import sys
from array import array
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)

import numpy as np
import torch

from sklearn_neurox.extraction._model._code import digest_code, names_in
from sklearn_neurox.extraction._model._tensor_parts import parts_of

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.Size)
# What every module has: tensors and children are described separately, hooks and the training
# mode do not change what extraction reads.
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module()))
_INCIDENTAL = frozenset(
    "name_or_path _is_hf_initialized warnings_issued generation_config gradient_checkpointing "
    "_gradient_checkpointing_func _compiled_call_impl _hf_hook _old_forward _commit_hash "
    "_name_or_path transformers_version architectures hf_device_map _device_mesh "
    "_output_capturing_hooks_installed".split()
)
# Rotary embeddings that depend on the length of the input overwrite these at every pass.
_ROTARY = re.compile(r"(\w+_)?(inv_freq|long_inv_freq|max_seq_len_cached|attention_scaling)")
# Their objects are mere machinery, or have no contents in Python.
_MACHINERY = tuple(
    f"{name}."
    for name in "logging threading _thread weakref _weakref contextvars _contextvars builtins "
    "torch._C torch.cuda torch._dynamo torch.distributed".split()
)
# Libraries whose objects keep cached results beside their contents.
_CACHING = ("pandas.",)
# Values whose contents only their repr shows.
_BY_REPR: tuple = (np.generic, Enum, str, int, float, bytes, range, bytearray, array)
_BY_REPR += (Decimal, date, time, timedelta)
# These classes add no computation of their own to a model, but hundreds of methods.
_FRAMES = tuple(
    f"transformers.{name}"
    for name in ("modeling_utils", "generation", "utils", "integrations", "cache_utils")
)
_CODE_LIBRARIES = ("torch", "transformers", "numpy", "accelerate", "peft")


def describe(module, of_tensor, overwritten=None, *, known=()):
    """Describe a module: the types of its parts, their tensors, attributes and code.

    Parameters
    ----------
    module : torch.nn.Module or type
        Of a class, its code.

    of_tensor : callable or None
        Called with the name of a module that holds a tensor, and the tensor; returns a str. None
        for a class.

    overwritten : Mapping or None, default=None
        The names of the attributes of a module that every pass overwrites.

    known : sequence, default=()
        Objects that are described elsewhere, to which functions may refer.

    Returns
    -------
    digest : str
        Equal for equal models in all processes, if ``of_tensor`` is.
    """
    description = _Description(of_tensor, overwritten)
    description.seen = {id(one): (-1 - number, one) for number, one in enumerate(known)}
    description.add(module)
    text = "\n".join(description.parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def place_of(path, tensor):
    """Describe a tensor by where it is and how often it was changed, without reading it."""
    if tensor.device.type == "meta":
        return "meta"
    return f"{tensor.data_ptr()} {None if tensor.is_inference() else tensor._version}"


def attributes_of(modules):
    """Return the attributes of each module that are not those of every module."""
    return [
        {name: value for name, value in vars(module).items() if name not in _OF_EVERY_MODULE}
        for module in modules
    ]


def bare(module):
    """Return a module without the wrapper of `torch.compile`."""
    return module._orig_mod if type(module).__name__ == "OptimizedModule" else module


class _Description:
    """Collects the description of one value after the other in ``parts``."""

    def __init__(self, of_tensor, overwritten):
        self.of_tensor, self.overwritten = of_tensor, {} if overwritten is None else overwritten
        self.parts, self.path = [], ""
        # Keeping the objects prevents that another one gets the identity of one that is gone.
        self.seen = {}
        self.mentioned = set()
        self.defaults, self.copies = {}, []

    def add(self, value):
        kind = type(value)
        if kind in _PLAIN:
            self.parts.append(repr(value))
        elif id(value) in self.seen:
            self.parts.append(f"#{self.seen[id(value)][0]}")
        else:
            self.seen[id(value)] = len(self.seen), value
            self._add_new(value, kind)

    def _add_new(self, value, kind):
        if isinstance(value, torch.nn.Module):
            self._module(bare(value))
        elif isinstance(value, torch.Tensor):
            self._tensor(value)
        elif isinstance(value, Mapping):
            self._open(kind, len(value))
            self._items(value)
        elif isinstance(value, (list, tuple, deque)):
            self._open(kind, len(value))
            for one in value:
                self.add(one)
        elif isinstance(value, slice):
            self.add([value.start, value.stop, value.step])
        elif isinstance(value, re.Pattern):
            self.add([value.pattern, value.flags])
        elif isinstance(value, (set, frozenset)):
            self.parts.append(f"{_name(kind)} {sorted(map(repr, value))}")
        elif isinstance(value, np.ndarray):
            self._array(value, kind)
        elif isinstance(value, memoryview):
            self.add([value.format, value.shape, value.tobytes()])
        elif isinstance(value, _BY_REPR):
            self.parts.append(f"{_name(kind)} {value!r}")
        elif isinstance(value, type):
            self._class(value)
        else:
            self._callable_or_object(value, kind)

    def _callable_or_object(self, value, kind):
        compiled = getattr(value, "_torchdynamo_orig_callable", None)
        if compiled is not None:
            self.add(compiled)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, MethodType):
            self.add(value.__func__)
            self.add(value.__self__)
        elif isinstance(value, partial):
            for one in (value.func, value.args, value.keywords):
                self.add(one)
        elif isinstance(value, (BuiltinFunctionType, MethodWrapperType, ModuleType)):
            self.parts.append(f"{getattr(value, '__module__', '')} {value.__name__}")
            owner = getattr(value, "__self__", None)
            if not isinstance(owner, (type, ModuleType)):  # a method of what the owner holds
                self.add(owner)
        else:
            self._object(value, kind)

    def _open(self, kind, size):
        self.parts.append(f"{_name(kind)} of {size}")

    def _items(self, mapping, skip=frozenset()):
        for name in sorted(mapping, key=repr):
            if name not in skip:
                self.parts.append(repr(name) if type(name) in _PLAIN else str(name))
                self.add(mapping[name])

    def _object(self, value, kind):
        self._open(kind, 0)
        if f"{kind.__module__}.".startswith(_MACHINERY):
            return
        slots = [s for c in kind.__mro__ for s in _as_tuple(vars(c).get("__slots__", ()))]
        held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        held |= getattr(value, "__dict__", {})
        if not held or f"{kind.__module__}.".startswith(_CACHING):
            self._pickled(value)
        else:
            # Flags for one call of the model, and what the library records about itself.
            self._items(held, _INCIDENTAL | {"__dict__"})
        if callable(value):
            self._class(kind)

    def _pickled(self, value):
        """Add what a pickle of an object holds: compiled classes show their contents only there."""
        try:
            reduced = value.__reduce_ex__(4)
            if not isinstance(reduced, tuple):
                return
            _, args, *state = reduced
            held = [*args, *(list(s) if isinstance(s, Iterator) else s for s in state)]
        except MemoryError:
            raise
        except Exception:  # any class can refuse: then a pickle holds no contents of it
            return
        self.add(held)

    def _array(self, value, kind):
        if value.dtype.hasobject:
            self.add([value.shape, value.tolist()])
        else:
            digest = hashlib.sha256(np.ascontiguousarray(value)).hexdigest()
            self.parts.append(f"array {value.dtype} {value.shape} {digest}")
        if kind not in (np.ndarray, np.memmap):  # such as the mask of a masked array
            self._items(getattr(value, "__dict__", {}))

    # Modules

    def _module(self, module):
        kind = type(module)
        self.add(kind)
        if kind not in self.defaults:
            self.defaults[kind] = _defaults_of(kind)
        held = self.defaults[kind] | attributes_of([module])[0]
        skip = _INCIDENTAL | self.overwritten.get(module, frozenset())
        if _follows_length(module):
            skip |= {n for n in (*held, *module._buffers) if _ROTARY.fullmatch(n)}
        if "_hf_hook" in held:  # accelerate moves tensors to the device of the computation
            skip |= {"forward"}
            if getattr(held.get("_old_forward"), "__func__", None) is not kind.forward:
                self.add(held.get("_old_forward"))
        if _is_own(held.get("forward"), module):
            skip |= {"forward"}
        self._items(held, skip)
        for name, tensor in self._tensors_of(module):
            if name not in skip:
                self.parts.append(name)
                self.add(tensor)
        outer = self.path
        for name, child in module._modules.items():
            self.path = f"{outer}.{name}" if outer else name
            self.parts.append(f"module {self.path}")
            self.add(child)
        self.path = outer

    def _tensors_of(self, module):
        """Return the parameters and buffers of a module, packed ones too, without changing it."""
        found = {**module._parameters, **module._buffers}
        plainly = torch.nn.Module._save_to_state_dict
        if type(module)._save_to_state_dict is not plainly and not module._modules:
            own = module
            # bitsandbytes 4-bit layers repack lossily, so a copy is saved where possible.
            with contextlib.suppress(RuntimeError, TypeError, NotImplementedError):
                own = copy.deepcopy(module)
            own._save_to_state_dict(found, "", keep_vars=False)
            self.copies.append(own)  # what is found may share its memory
        return found.items()

    def _tensor(self, value):
        """Add a tensor, or the parts that it consists of."""
        if not value.is_nested:
            self.parts.append(f"tensor {tuple(value.shape)} {value.dtype}")
        parts = parts_of(value)
        if parts is None:
            self.parts.append(self.of_tensor(self.path, value))
        else:
            self.add(parts)

    # Code

    def _class(self, kind):
        """Add the code of a class, which may have been edited or replaced."""
        for own in kind.__mro__:
            name = f"{own.__module__}.{own.__qualname__}"
            self.parts.append(f"class {name}")
            if own is torch.nn.Module:
                return
            if own.__module__.startswith(_FRAMES) or not own.__flags__ & _HEAP:
                continue
            for name, value in sorted(vars(own).items()):
                value = getattr(value, "__func__", value)
                if isinstance(value, property):
                    value = value.fget
                if isinstance(value, FunctionType) or (
                    _is_users(own.__module__) and _is_setting(name, value, kind)
                ):
                    self.parts.append(name)
                    self.add(value)

    def _function(self, function):
        code = function.__code__
        self.parts.append(f"function {function.__qualname__} {digest_code(code)}")
        attributes = function.__dict__ if _is_users(function.__module__) else None
        for value in (function.__defaults__, function.__kwdefaults__, attributes or None):
            if value is not None:
                self.add(value)
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                self._mention(cell.cell_contents, function)
        for name in names_in(code):
            if name in function.__globals__:
                self._mention(function.__globals__[name], function)

    def _module_of_code(self, module, function):
        """Add what a function of the user takes from another module of the user."""
        if not _is_users(module.__name__) or (id(module), id(function)) in self.mentioned:
            return
        self.mentioned.add((id(module), id(function)))
        for name in names_in(function.__code__):
            if name in vars(module):
                self.parts.append(f"{module.__name__}.{name}")
                self._mention(vars(module)[name], function)

    def _mention(self, value, function):
        """Add what a function refers to; of a library, only what a user may have replaced."""
        home = function.__module__ or ""
        if home.partition(".")[0] not in _CODE_LIBRARIES:
            if isinstance(value, ModuleType):
                self._module_of_code(value, function)
            elif not isinstance(value, type) or _is_users(value.__module__):
                self.add(value)
        elif isinstance(value, FunctionType):
            if not (value.__module__ or "").startswith(("torch.", *_FRAMES)):
                self.add(value)
        elif type(value) in _PLAIN or isinstance(value, (torch.Tensor, torch.nn.Module)):
            self.add(value)


def _defaults_of(kind):
    """Return the plain class attributes of a module, which its own attributes override."""
    found = {}
    for own in reversed(kind.__mro__[: kind.__mro__.index(torch.nn.Module)]):
        if not own.__module__.startswith(_FRAMES):
            found |= {n: v for n, v in vars(own).items() if type(v) in _PLAIN and n[:2] != "__"}
    return found


def _is_users(name):
    """Return whether a module, by its name, belongs to the user, not to an installed library."""
    top = (name or "").partition(".")[0]
    if not top or top in sys.stdlib_module_names or top in _CODE_LIBRARIES:
        return top == "__main__"
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file


def _is_setting(name, value, kind):
    """Return whether an attribute of a class may change what its methods compute."""
    if name.startswith("__") or isinstance(value, (type, ModuleType)) or name == "_abc_impl":
        return False
    if issubclass(kind, torch.nn.Module) and type(value) in _PLAIN:
        return False  # see `_defaults_of`
    return not isinstance(value, (GetSetDescriptorType, MemberDescriptorType))


_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class is made by Python code


def _name(kind):
    return f"{kind.__module__}.{kind.__qualname__}"


def _as_tuple(slots):
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_own(forward, module):
    """Return whether a forward set on a module is the method that its class gives it anyway."""
    forward = getattr(forward, "_torchdynamo_orig_callable", forward)
    return (
        isinstance(forward, MethodType)
        and forward.__self__ is module
        and forward.__func__ is type(module).forward
    )


def _follows_length(module):
    kinds = getattr(module, "rope_type", ())
    kinds = kinds.values() if isinstance(kinds, dict) else [kinds]
    return any(isinstance(k, str) and ("dynamic" in k or k == "longrope") for k in kinds)
