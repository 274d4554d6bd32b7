# SPDX-License-Identifier: BSD-3-Clause
"""Notices that the same texts go through the same model again and again."""

import threading
from collections import Counter
from itertools import pairwise

from sklearn_neurox.utils._warn_user import warn_user

# Enough for a treebank; beyond it the count starts anew rather than grow.
_MAX_SEQUENCES = 500_000
_TOO_OFTEN = 3

_passes: dict = {}
_warned: set = set()
_lock = threading.Lock()


def count_pass(spec, sequences, contexts=None):
    """Count one pass of model inputs through a model, and warn once a model about the third.

    Parameters
    ----------
    spec : ModelSpec

    sequences : Sequences
        The distinct inputs of the request.

    contexts : Sequences or None, default=None
        What an encoder reads beside each, where a decoder reads them.
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
        "Give ActivationExtractor a folder with cache=, and every text is read once, for all "
        "folds, layers, aggregations and processes.",
    )


def _hashes(sequences):
    raw, ptr = sequences.ids.tobytes(), sequences.ptr * sequences.ids.itemsize
    return [hash(raw[start:end]) for start, end in pairwise(ptr.tolist())]


def forget_passes():
    """Start counting anew."""
    with _lock:
        _passes.clear()
        _warned.clear()
