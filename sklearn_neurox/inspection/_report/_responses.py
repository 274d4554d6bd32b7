# SPDX-License-Identifier: BSD-3-Clause
"""The words and sentences neurons respond to most, many neurons at a time."""

import numpy as np
from scipy import sparse

from sklearn_neurox.inspection._extremes import find_extremes
from sklearn_neurox.utils._ragged import ranges


def word_means(codes, n_types, counts):
    """Make the matrix that averages rows by word type.

    Parameters
    ----------
    codes : ndarray of int of shape (n_samples,)
        The type of every row, or -1 for none.

    n_types : int

    counts : ndarray of shape (n_types,)

    Returns
    -------
    matrix : sparse array of shape (n_types, n_samples)
    """
    rows = np.flatnonzero(codes >= 0)
    weights = (1 / counts[codes[rows]]).astype(np.float32)
    return sparse.csr_array((weights, (codes[rows], rows)), shape=(n_types, len(codes)))


def extremes(values, k):
    """Find the columns of the highest and the lowest values of every row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)

    k : int
        How many of either, at most ``n_columns``.

    Returns
    -------
    columns : ndarray of shape (n_rows, 2, k)
        The highest first, then the lowest first. The first of equal ones comes first.
    """
    if k == 0:
        return np.empty((len(values), 2, 0), dtype=np.intp)
    return find_extremes(values, k, "both")[1].reshape(len(values), 2, k)


def text_extremes(values, spans, k):
    """Find the spans of the highest and the lowest values of every neuron, one a text.

    Parameters
    ----------
    values : ndarray of shape (n_neurons, n_spans)
        The values of the spans, in their order.

    spans : Spans

    k : int
        How many of either, at most the number of texts.

    Returns
    -------
    focus : ndarray of shape (n_neurons, 2, k)
        Spans, the highest first, then the lowest first.
    """
    if k == 0:
        return np.empty((len(values), 2, 0), dtype=np.intp)
    return np.stack([_highest_by_text(values, spans, k), _highest_by_text(-values, spans, k)], 1)


def window_values(values, spans, focus, width):
    """Read the values of the words around some spans.

    Parameters
    ----------
    values : ndarray of shape (n_neurons, n_spans)

    spans : Spans

    focus : ndarray of shape (n_neurons, 2, k)

    width : int
        Of a window, in words.

    Returns
    -------
    flat : ndarray of shape (n_values,)
        Window after window.
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
    """Count from each begin to its stop, and tell which of them every number is from."""
    numbers, ptr = ranges(begin, stop - begin)
    return numbers, np.repeat(np.arange(len(begin)), np.diff(ptr))
