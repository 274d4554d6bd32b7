# SPDX-License-Identifier: BSD-3-Clause
"""The state that a probe keeps between calls of ``partial_fit``."""

import copy

import numpy as np
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.utils._row_blocks import row_blocks


def extend_stream(stream, X, weight):
    """Add samples to a copy of the record of a stream; None starts a new one.

    Returns
    -------
    stream : dict
        The new record, of plain types that any serializer can store.

    weight : ndarray of shape (n_samples,) or None
        The given weights divided by the mean weight so far; None if all weights have been one.
    """
    stream = copy.deepcopy(stream) or {"scaler": StandardScaler(), "n_seen": 0, "total_weight": 0.0}
    given = np.ones(len(X)) if weight is None else weight
    for block in row_blocks(X):
        if given[block].any():
            # Sums of float16 would overflow.
            part = X[block].astype(np.result_type(X.dtype, np.float32), copy=False)
            stream["scaler"].partial_fit(part, sample_weight=given[block])
    stream["n_seen"] += len(X)
    stream["total_weight"] += float(given.sum())
    if (given == 1).all() and stream["total_weight"] == stream["n_seen"]:
        return stream, None
    return stream, given * (stream["n_seen"] / stream["total_weight"])
