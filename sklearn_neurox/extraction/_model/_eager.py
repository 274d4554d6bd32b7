# SPDX-License-Identifier: BSD-3-Clause
"""Run a compiled model eagerly while a context is open: compiled code bypasses new hooks."""

import contextlib
import sys

import torch

from sklearn_neurox.utils._shared_scope import SharedScope

_eagerly = SharedScope(lambda: torch.compiler.set_stance("force_eager"))


def uncompiled(model):
    """Run a model eagerly within the context, if it or any part of it was compiled."""
    return _eagerly() if _is_compiled(model) else contextlib.nullcontext()


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
