# SPDX-License-Identifier: BSD-3-Clause
"""How a GPU multiplies float32 matrices: in full precision, or in TF32 with ten bits."""

from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_users, _before = 0, None


def float32_products():
    """Return ``"tf32"`` if CUDA rounds the factors of float32 products to TF32, or ``"ieee"``."""
    import torch

    matmul = torch.backends.cuda.matmul
    # The new name can be read whichever name the user has set; the old one then raises an error.
    if hasattr(matmul, "fp32_precision"):
        is_rounded = matmul.fp32_precision == "tf32"
    else:
        is_rounded = matmul.allow_tf32
    return "tf32" if is_rounded else "ieee"


@contextmanager
def full_float32(device):
    """Multiply float32 matrices in full precision on CUDA, whatever the user's setting.

    The setting holds for the process, so the first of several threads saves it and the last one
    restores it.
    """
    global _users, _before
    if device.type != "cuda":
        yield
        return
    import torch

    matmul = torch.backends.cuda.matmul
    name, full = "fp32_precision", "ieee"
    if not hasattr(matmul, name):
        name, full = "allow_tf32", False
    with _lock:
        if not _users:
            _before = getattr(matmul, name)
            setattr(matmul, name, full)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                setattr(matmul, name, _before)
