# SPDX-License-Identifier: BSD-3-Clause
"""Devices, and conversion between NumPy and torch.

A few inner loops elsewhere convert directly. torch is imported inside the functions, because
importing it takes about a second and reading words, scoring and ranking do not need it.
"""

import numpy as np


def resolve_device(device, *, caller):
    """Turn a ``device`` parameter into a `torch.device` that exists on this machine.

    Parameters
    ----------
    device : str or None
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; ``"auto"`` or None uses CUDA if it is
        available and the CPU otherwise.

    caller : str
        The class to name in the error message.

    Returns
    -------
    device : torch.device
        A GPU has an index, as the device of a tensor does, so that equal devices compare equal.

    Raises
    ------
    ValueError
        If torch does not know the device, or this machine does not have it.
    """
    import torch

    if device is None or device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"The 'device' parameter of {caller} is {device!r}, which torch does not know. "
            "Use 'auto', 'cpu', 'cuda', 'cuda:<index>' or 'mps'."
        ) from error
    available = {
        "cpu": lambda: True,
        "cuda": lambda: (resolved.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if not available.get(resolved.type, lambda: False)():
        raise ValueError(
            f"The 'device' parameter of {caller} is {device!r}, but torch finds no such device on "
            "this machine. Use device='cpu' or device='auto'."
        )
    if resolved.type == "cuda" and resolved.index is None:
        # Asking for the current GPU would start CUDA, which forked processes cannot use.
        index = torch.cuda.current_device() if torch.cuda.is_initialized() else 0
        return torch.device("cuda", index)
    return resolved


def to_tensor(array, *, dtype=None, device="cpu"):
    """Turn an array into a tensor, sharing its memory if possible.

    Parameters
    ----------
    array : ndarray
        Arrays that are read-only, negatively strided or not in native byte order are copied,
        because torch warns about the first kind and rejects the others.

    dtype : torch.dtype, default=None
        None keeps the dtype of the array.

    device : str or torch.device, default="cpu"

    Returns
    -------
    tensor : torch.Tensor
    """
    import torch

    array = np.asarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.from_numpy(array).to(device=device, dtype=dtype)


def send_behind(array, device):
    """Turn an array into a tensor on a device, without waiting for the work queued on a GPU."""
    tensor = to_tensor(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_numpy(tensor):
    """Turn a tensor on any device into an array."""
    return tensor.detach().cpu().numpy()


def is_out_of_memory(error):
    """Return whether an error means that the device or the machine ran out of memory."""
    # The CPU allocator raises a plain RuntimeError.
    return type(error).__name__ in ("OutOfMemoryError", "MemoryError") or any(
        phrase in str(error).lower()
        for phrase in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed")
    )


def release_memory():
    """Release the device memory that torch keeps cached."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def seeded_generator(random_state):
    """Make a `torch.Generator` seeded by one draw from a NumPy `RandomState`."""
    import torch

    seed = int(random_state.randint(np.iinfo(np.int32).max))
    return torch.Generator().manual_seed(seed)
