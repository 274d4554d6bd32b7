# SPDX-License-Identifier: BSD-3-Clause
"""A compiled model runs as it is written for a while: compiled code passes by new hooks."""

import contextlib
import sys
import threading

import torch

_lock = threading.Lock()
# How many need compiled code out of the way now; what the first of them set, the last one ends.
_users = 0
_stance = None


@contextlib.contextmanager
def uncompiled(model):
    """Run a model, where it or any part of it was compiled, without the compiled code.

    Parameters
    ----------
    model : Module
    """
    if not _is_compiled(model):
        yield
        return
    _begin()
    try:
        yield
    finally:
        _end()


def _begin():
    global _users, _stance
    with _lock:
        if not _users:
            _stance = torch.compiler.set_stance("force_eager")
        _users += 1


def _end():
    global _users
    with _lock:
        _users -= 1
        if not _users:
            _stance.__exit__(None, None, None)


def _is_compiled(model):
    # Nothing is compiled before this module is there, which takes seconds to import.
    if "torch._dynamo" not in sys.modules:
        return False
    wrapper = sys.modules["torch._dynamo"].OptimizedModule
    return any(
        isinstance(part, wrapper)
        or part._compiled_call_impl is not None
        or hasattr(part.forward, "_torchdynamo_orig_callable")
        for part in model.modules()
    )
