# SPDX-License-Identifier: BSD-3-Clause
"""Warn when the same model reads the same texts again and again."""

import threading
import weakref
from collections import Counter
from itertools import pairwise

from sklearn_neurox.utils._warn_user import warn_user

# Enough for a treebank; beyond this, counting starts over to bound the memory.
_MAX_SEQUENCES = 500_000
_TOO_OFTEN = 3

_passes: dict = {}
_passes_of_live: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
# Counted among the inputs of a model that a warning has been given for.
_WARNED = "warned"
_lock = threading.Lock()


def count_pass(spec, sequences, contexts=None):
    """Count one pass of inputs through a model; warn once per model, at the third pass.

    ``contexts`` are the encoder's inputs, if the decoder reads the ``sequences``.
    """
    # A live model itself, because another one may get the identity of one that is gone.
    store = _passes_of_live if spec.is_live else _passes
    key = spec.model if spec.is_live else (spec.model, spec.revision, spec.weights, spec.seed)
    inputs = _hashes(sequences)
    if contexts is not None:
        inputs = list(map(hash, zip(inputs, _hashes(contexts), strict=True)))
    with _lock:
        counts = store.setdefault(key, Counter())
        if len(counts) > _MAX_SEQUENCES:
            warned = counts[_WARNED]
            counts.clear()
            counts[_WARNED] = warned
        counts.update(inputs)
        repeated = sum(counts[i] >= _TOO_OFTEN for i in inputs)
        if counts[_WARNED] or 2 * repeated <= len(inputs):
            return
        counts[_WARNED] = 1
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
        _passes_of_live.clear()
