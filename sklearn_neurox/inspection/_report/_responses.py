# SPDX-License-Identifier: BSD-3-Clause
"""The words and sentences that many neurons respond to most."""

import numpy as np
from scipy import sparse

from sklearn_neurox.inspection._extremes import find_extremes
from sklearn_neurox.utils._ragged import ranges


def word_means(rows, codes, counts, n_samples):
    """Return the sparse (n_types, n_samples) matrix that averages the rows of each type."""
    weights = (1 / counts[codes]).astype(np.float32)
    return sparse.csr_array((weights, (codes, rows)), shape=(len(counts), n_samples))


def extremes(values, k, runs=None):
    """Return the columns of the k highest and the k lowest values in each row, (n_rows, 2, k).

    The most extreme comes first, and equal values are in column order. See `find_extremes` for
    `runs`.
    """
    if k == 0:
        return np.empty((len(values), 2, 0), dtype=np.intp)
    return find_extremes(values, k, "both", runs)[1].reshape(len(values), 2, k)


def window_values(values, spans, focus, width):
    """Return the values in windows of at most `width` words around spans, one after another.

    `values` has the shape (n_neurons, n_spans), and `focus` (n_neurons, 2, k).
    """
    begin, stop = (part.ravel() for part in spans.windows(focus, width))
    neurons = np.repeat(np.arange(len(focus)), focus[0].size)
    columns, ptr = ranges(begin, stop - begin)
    return values[np.repeat(neurons, np.diff(ptr)), columns]
