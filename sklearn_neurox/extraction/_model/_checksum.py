# SPDX-License-Identifier: BSD-3-Clause
"""Checksum the bytes of tensors at the speed of memory."""

import hashlib
from functools import cache

import numpy as np

# 64-bit words per chunk: a chunk, its mixture and the multipliers fit into a processor's cache.
_WORDS = 1 << 16
# Chunks per step on a GPU.
_STEP = 256
_SHIFT = 33


def checksum(tensor):
    """Return a checksum of the bytes of a tensor, the same on every device.

    Each chunk of 64-bit words w becomes the sum of r * (w ^ w >> 33) modulo 2**64, with fixed
    random r. A change confined to one chunk goes unnoticed with a probability of about 2**-33, and
    cryptographic digests, which also resist forgery, are several times slower. The shift moves the
    high bits of a word down, because the product loses what only high bits say: without it, two
    changed signs could cancel.

    Parameters
    ----------
    tensor : torch.Tensor
        On any device except ``"meta"``.

    Returns
    -------
    checksum : bytes
        8 bytes per chunk, and the last bytes as they are.
    """
    import torch

    # A lazily conjugated tensor still has the bytes from before its conjugation.
    resolved = tensor.detach().resolve_conj().resolve_neg()
    data = resolved.contiguous().reshape(-1).view(torch.uint8)
    n_words = len(data) // 8
    words, rest = data[: 8 * n_words], data[8 * n_words :]
    sums = _on_cpu(words.numpy()) if words.device.type == "cpu" else on_device(words)
    return sums.tobytes() + rest.cpu().numpy().tobytes()


@cache
def _multipliers():
    stream = hashlib.shake_256(b"sklearn-neurox").digest(8 * _WORDS)
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)


def _on_cpu(data):
    words, multipliers = data.view(np.uint64), _multipliers()
    mixed = np.empty(min(_WORDS, len(words)), dtype=np.uint64)
    sums = np.empty(-(-len(words) // _WORDS), dtype=np.uint64)
    for i in range(len(sums)):
        chunk = words[i * _WORDS : (i + 1) * _WORDS]
        own = mixed[: len(chunk)]
        np.right_shift(chunk, _SHIFT, out=own)
        np.bitwise_xor(own, chunk, out=own)
        sums[i] = np.dot(own, multipliers[: len(chunk)])
    return sums


def on_device(data):
    """Compute the sums of `checksum` with torch, where the data is; data is a tensor of bytes."""
    import torch

    # A view of a tensor may begin at any byte.
    words = (data if data.storage_offset() % 8 == 0 else data.clone()).view(torch.int64)
    multipliers = torch.from_numpy(_multipliers().view(np.int64)).to(data.device)
    sums = []
    for step in words.split(_WORDS * _STEP):
        # The mask makes the shift of a signed number logical.
        mixed = step ^ ((step >> _SHIFT) & ((1 << (64 - _SHIFT)) - 1))
        whole = len(step) // _WORDS * _WORDS
        sums.append((mixed[:whole].view(-1, _WORDS) * multipliers).sum(1))
        if whole < len(step):
            sums.append((mixed[whole:] * multipliers[: len(step) - whole]).sum()[None])
    if not sums:
        return np.empty(0, dtype=np.uint64)
    return torch.cat(sums).cpu().numpy().view(np.uint64)
