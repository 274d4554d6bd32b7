# SPDX-License-Identifier: BSD-3-Clause
"""Name a pooled row by what decides its value besides the model."""

import hashlib

import numpy as np

from sklearn_neurox.extraction._cache._shard import entry_keys
from sklearn_neurox.extraction._cache._shard_header import KEY_BYTES


def digest_rows(parts, inputs):
    """Digest the tokens of each row and how they are pooled: uint8 of shape (n_rows, KEY_BYTES).

    Parameters
    ----------
    parts : Parts
        Only rows with tokens have a digest.

    inputs : ndarray of shape (n_inputs, n_bytes)
        The key of each input.
    """
    kind = b"token" if parts.strategy in ("first", "last") else parts.strategy.encode()
    raw, width = inputs.tobytes(), inputs.shape[1]
    positions = parts.position.astype("<i8").tobytes()
    found, before, digest = [], None, None
    columns = (parts.row, parts.sequence, parts.first, parts.size)
    for row, sequence, first, size in zip(*(own.tolist() for own in columns), strict=True):
        if row != before:
            digest = hashlib.blake2b(kind, digest_size=KEY_BYTES)
            found.append(digest)
            before = row
        digest.update(raw[sequence * width : (sequence + 1) * width])
        digest.update(size.to_bytes(8, "little") + positions[8 * first : 8 * (first + size)])
    joined = b"".join([digest.digest() for digest in found])
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(found), KEY_BYTES)


def row_keys(digests):
    """Return the keys by which the index finds rows."""
    nothing = np.zeros(len(digests), dtype=np.int64)
    return entry_keys(digests, nothing, nothing)
