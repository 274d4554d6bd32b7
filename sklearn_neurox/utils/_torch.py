# SPDX-License-Identifier: BSD-3-Clause
"""The border between NumPy and torch; nothing else in the package crosses it.

torch is imported inside the functions because importing it takes about a second, which reading
words, scoring or ranking need not pay.
"""

import numpy as np


def resolve_device(device, *, caller):
    """Turn a ``device`` parameter into a `torch.device` that exists on this machine.

    Parameters
    ----------
    device : str or None
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; ``"auto"`` or None takes CUDA where there
        is one and the CPU otherwise.

    caller : str
        The class the parameter belongs to, for the error message.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If torch does not know the device, or this machine does not have it.
    """
    import torch

    if device is None or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
            "this machine. Use device='cpu', or device='auto' to take what is there."
        )
    return resolved


def to_tensor(array, *, dtype=None, device="cpu"):
    """Turn an array into a tensor, without copying where torch can share its memory.

    Parameters
    ----------
    array : ndarray
        Read-only, negatively strided and foreign-endian arrays are copied, because torch would
        warn about the first and refuse the others.

    dtype : torch.dtype, default=None
        None keeps the array's own.

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


def to_numpy(tensor):
    """Turn a tensor, on any device, into an array."""
    return tensor.detach().cpu().numpy()


def is_out_of_memory(error):
    """Tell whether an error says that the device, or the machine, has no memory left."""
    # The CPU's allocator raises a plain RuntimeError.
    return type(error).__name__ in ("OutOfMemoryError", "MemoryError") or any(
        phrase in str(error).lower()
        for phrase in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed")
    )


def release_memory():
    """Give back device memory that torch holds in reserve."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def seeded_generator(random_state):
    """Make a `torch.Generator` from a NumPy `RandomState`, which it advances by one draw.

    Parameters
    ----------
    random_state : RandomState
        What `sklearn.utils.check_random_state` returned.

    Returns
    -------
    generator : torch.Generator
    """
    import torch

    seed = int(random_state.randint(np.iinfo(np.int32).max))
    return torch.Generator().manual_seed(seed)
