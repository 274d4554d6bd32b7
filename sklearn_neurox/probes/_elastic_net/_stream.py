# SPDX-License-Identifier: BSD-3-Clause
"""What a probe remembers of the samples it has been shown in parts."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.utils._validation import row_blocks


def begin_stream():
    """Make an empty memory, of plain types that persist anywhere."""
    return {"scaler": StandardScaler(), "n_seen": 0, "total_weight": 0.0}


def add_to_stream(stream, X, weight):
    """Take more samples in.

    Parameters
    ----------
    stream : dict
        Changed in place: the moments of the columns, the number and the weight of the samples.

    X : ndarray of shape (n_samples, n_features)

    weight : ndarray of shape (n_samples,) or None
        Not negative.

    Returns
    -------
    weight : ndarray of shape (n_samples,) or None
        In units of the mean weight so far; None where all weights have been one.
    """
    given = np.ones(len(X)) if weight is None else weight
    for block in row_blocks(X):
        if given[block].any():
            # The sums of float16 would overflow.
            part = X[block].astype(np.result_type(X.dtype, np.float32), copy=False)
            stream["scaler"].partial_fit(part, sample_weight=given[block])
    stream["n_seen"] += len(X)
    stream["total_weight"] += float(given.sum())
    if (given == 1).all() and stream["total_weight"] == stream["n_seen"]:
        return None
    return given * (stream["n_seen"] / stream["total_weight"])
