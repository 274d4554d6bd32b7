# SPDX-License-Identifier: BSD-3-Clause
"""The distributions of the values of many neurons within each class."""

import numpy as np

N_BINS = 32
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# A multiple of N_BINS whose numbers fit into a byte.
N_FINE_BINS = 256
# More heights would be invisible in a small drawing, and cost bytes.
N_HEIGHTS = 31
# In standard deviations; with a longer range, a few huge values would push all others into one bin.
REACH = 5.0


def class_distributions(values, classes, n_classes):
    """Count the values of neurons by bin and class; the classes of a neuron share the bins.

    Parameters
    ----------
    values : ndarray of shape (n_neurons, n_samples)
        Values in standard deviations from the neuron's mean.

    classes : ndarray of int of shape (n_samples,)

    n_classes : int

    Returns
    -------
    ranges : ndarray of shape (n_neurons, 2)
        The start of the first bin and the end of the last. Values beyond five standard deviations
        are counted in these bins.

    shares : ndarray of shape (n_neurons, n_classes, N_BINS), dtype=uint8
        The counts, scaled so that the fullest bin of the class has `N_HEIGHTS`; zero only for
        empty bins.

    quantiles : ndarray of shape (n_neurons, n_classes, 5), dtype=uint8
        The fine bin, of 256, that contains each of `QUANTILES`.

    areas : ndarray of shape (n_neurons, n_classes)
        The area under the ROC curve of the class against the others; values in the same fine bin
        count as ties. It is .5 if a side has no values.
    """
    ranges = np.stack([values.min(axis=1), values.max(axis=1)], axis=1).clip(-REACH, REACH)
    counts = _fine_counts(values, ranges, classes, n_classes)
    coarse = counts.reshape(*counts.shape[:2], N_BINS, -1).sum(axis=3)
    fullest = np.maximum(coarse.max(axis=2, keepdims=True), 1)
    shares = -(-N_HEIGHTS * coarse // fullest)
    return ranges, shares.astype(np.uint8), _quantile_bins(counts), _areas(counts)


def _fine_counts(values, ranges, classes, n_classes):
    low, widths = ranges[:, :1], np.diff(ranges, axis=1)
    scale = np.divide(N_FINE_BINS, widths, out=np.zeros_like(widths), where=widths > 0)
    bins = ((values - low) * scale).astype(np.int32)
    np.clip(bins, 0, N_FINE_BINS - 1, out=bins)
    cells = bins + (classes * N_FINE_BINS).astype(np.int32)
    per_neuron = n_classes * N_FINE_BINS
    cells += (np.arange(len(values), dtype=np.int32) * per_neuron)[:, np.newaxis]
    counts = np.bincount(cells.ravel(), minlength=len(values) * per_neuron)
    return counts.reshape(len(values), n_classes, N_FINE_BINS)


def _areas(counts):
    others = counts.sum(axis=1, keepdims=True) - counts
    below = np.cumsum(others, axis=2) - others
    above = (counts * (below + others / 2)).sum(axis=2)
    pairs = counts.sum(axis=2) * others.sum(axis=2)
    return np.divide(above, pairs, out=np.full(pairs.shape, 0.5), where=pairs > 0)


def _quantile_bins(counts):
    cumulated = np.cumsum(counts, axis=2, dtype=np.int32)
    totals = cumulated[:, :, -1:]
    below = [(cumulated < np.ceil(q * totals)).sum(axis=2) for q in QUANTILES]
    return np.stack(below, axis=2).clip(0, N_FINE_BINS - 1).astype(np.uint8)
