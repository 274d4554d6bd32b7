# SPDX-License-Identifier: BSD-3-Clause
"""Warn when the same model reads the same texts again and again."""

import threading
from collections import Counter
from itertools import pairwise

from sklearn_neurox.utils._warn_user import warn_user

# Enough for a treebank; beyond this, counting starts over to bound the memory.
_MAX_SEQUENCES = 500_000
_TOO_OFTEN = 3

_passes: dict = {}
_warned: set = set()
_lock = threading.Lock()


def count_pass(spec, sequences, contexts=None):
    """Count one pass of inputs through a model; warn once per model, at the third pass.

    ``contexts`` are the encoder's inputs, if the decoder reads the ``sequences``.
    """
    key = (id(spec.model) if spec.is_live else spec.model, spec.revision, spec.weights, spec.seed)
    inputs = _hashes(sequences)
    if contexts is not None:
        inputs = list(map(hash, zip(inputs, _hashes(contexts), strict=True)))
    with _lock:
        counts = _passes.setdefault(key, Counter())
        if len(counts) > _MAX_SEQUENCES:
            counts.clear()
        counts.update(inputs)
        repeated = sum(counts[i] >= _TOO_OFTEN for i in inputs)
        if key in _warned or 2 * repeated <= len(inputs):
            return
        _warned.add(key)
    warn_user(
        f"{spec.name} reads {repeated} of {len(inputs)} texts for the third time in this process. "
        "Give ActivationExtractor a folder with cache= to read every text only once, for all "
        "folds, layers, aggregations and processes.",
    )


def _hashes(sequences):
    raw, ptr = sequences.ids.tobytes(), sequences.ptr * sequences.ids.itemsize
    return [hash(raw[start:end]) for start, end in pairwise(ptr.tolist())]


def forget_passes():
    """Reset the counts."""
    with _lock:
        _passes.clear()
        _warned.clear()
