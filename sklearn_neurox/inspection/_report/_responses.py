# SPDX-License-Identifier: BSD-3-Clause
"""The words and sentences that many neurons respond to most."""

import numpy as np
from scipy import sparse

from sklearn_neurox.inspection._extremes import find_extremes
from sklearn_neurox.utils._ragged import ranges


def word_means(codes, n_types, counts):
    """Return the sparse (n_types, n_samples) matrix that averages rows by type; -1 is no type."""
    rows = np.flatnonzero(codes >= 0)
    weights = (1 / counts[codes[rows]]).astype(np.float32)
    return sparse.csr_array((weights, (codes[rows], rows)), shape=(n_types, len(codes)))


def extremes(values, k):
    """Return the columns of the k highest and the k lowest values in each row, (n_rows, 2, k).

    The most extreme comes first, and equal values are in column order.
    """
    if k == 0:
        return np.empty((len(values), 2, 0), dtype=np.intp)
    return find_extremes(values, k, "both")[1].reshape(len(values), 2, k)


def text_extremes(values, spans, k):
    """Return the spans of the k highest and k lowest values of each neuron, (n_neurons, 2, k).

    At most one span per text; the most extreme comes first.
    """
    if k == 0:
        return np.empty((len(values), 2, 0), dtype=np.intp)
    return np.stack([_highest_by_text(values, spans, k), _highest_by_text(-values, spans, k)], 1)


def window_values(values, spans, focus, width):
    """Return the values in windows of at most `width` words around spans, one after another.

    `values` has the shape (n_neurons, n_spans), and `focus` (n_neurons, 2, k).
    """
    begin, stop = (part.ravel() for part in spans.windows(focus, width))
    neurons = np.repeat(np.arange(len(focus)), focus[0].size)
    columns, owners = _ranges(begin, stop)
    return values[neurons[owners], columns]


def _highest_by_text(values, spans, k):
    peaks = np.maximum.reduceat(values, spans.first[:-1], axis=1)
    neurons, flat, *_ = find_extremes(peaks, k, "positive")
    columns, owners = _ranges(spans.first[flat], spans.first[flat + 1])
    neurons = neurons[owners]
    is_peak = values[neurons, columns] == peaks[neurons, spans.text[columns]]
    # The first word that reaches the peak of its text.
    owners, first = np.unique(owners[is_peak], return_index=True)
    return columns[is_peak][first].reshape(len(values), k)


def _ranges(begin, stop):
    """Return the numbers from each begin to its stop, and the position of each number's begin."""
    numbers, ptr = ranges(begin, stop - begin)
    return numbers, np.repeat(np.arange(len(begin)), np.diff(ptr))
