# SPDX-License-Identifier: BSD-3-Clause
"""Read texts from an iterator, which need not fit into memory."""

import hashlib
from itertools import islice


def portions_of(texts, size):
    """Yield lists of at most ``size`` texts."""
    texts = iter(texts)
    while portion := list(islice(texts, size)):
        yield portion


def unrepeated(texts):
    """Yield each text once, keeping only a digest of it in memory."""
    seen = set()
    for text in texts:
        digest = text
        if isinstance(text, str):  # otherwise, an error follows
            raw = text.encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(raw, digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield text
