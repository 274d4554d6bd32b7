# SPDX-License-Identifier: BSD-3-Clause
"""How torch multiplies float32 matrices: in full precision, or with factors of fewer bits."""

import sys
from contextlib import contextmanager, nullcontext
from functools import partial

from sklearn_neurox.utils._shared_scope import SharedScope


def lowered_float32():
    """Return the settings that make float32 products less precise, by the place of the setting.

    Without torch in memory, nobody can have changed them.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    cuda, found = torch.backends.cuda.matmul, {}
    # The new name can be read whichever name the user has set; the old one then raises an error.
    if hasattr(cuda, "fp32_precision"):
        found["cuda"] = cuda.fp32_precision
    else:
        found["cuda"] = "tf32" if cuda.allow_tf32 else "ieee"
    cpu = getattr(torch.backends.mkldnn, "matmul", None)
    found["cpu"] = getattr(cpu, "fp32_precision", "none")
    return {name: value for name, value in found.items() if value not in ("none", "ieee")}


def full_float32(device):
    """Multiply float32 matrices in full precision on CUDA, whatever the user's setting."""
    return _in_full() if device.type == "cuda" else nullcontext()


@contextmanager
def _without_tf32():
    import torch

    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        before, full = matmul.fp32_precision, "ieee"
        change = partial(setattr, matmul, "fp32_precision")
    else:
        # The flag of torch before 2.9 cannot tell the two lower precisions apart.
        before, full = torch.get_float32_matmul_precision(), "highest"
        change = torch.set_float32_matmul_precision
    change(full)
    try:
        yield
    finally:
        change(before)


_in_full = SharedScope(_without_tf32)
