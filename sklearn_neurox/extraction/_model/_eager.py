# SPDX-License-Identifier: BSD-3-Clause
"""Run a compiled model eagerly while a context is open: compiled code bypasses new hooks."""

import contextlib
import sys
import threading

import torch

_lock = threading.Lock()
# How many contexts are open; the first one sets the stance and the last one resets it.
_users = 0
_stance = None


@contextlib.contextmanager
def uncompiled(model):
    """Run a model eagerly within the context, if it or any part of it was compiled."""
    global _users, _stance
    if not _is_compiled(model):
        yield
        return
    with _lock:
        if not _users:
            _stance = torch.compiler.set_stance("force_eager")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _stance.__exit__(None, None, None)


def _is_compiled(model):
    # Nothing is compiled before this module is loaded, and importing it takes seconds.
    if "torch._dynamo" not in sys.modules:
        return False
    wrapper = sys.modules["torch._dynamo"].OptimizedModule
    return any(
        isinstance(part, wrapper)
        or part._compiled_call_impl is not None
        or hasattr(part.forward, "_torchdynamo_orig_callable")
        for part in model.modules()
    )
