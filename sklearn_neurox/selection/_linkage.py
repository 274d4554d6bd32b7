# SPDX-License-Identifier: BSD-3-Clause
"""Hierarchical clusters of columns by correlation, cut at a distance, and their medoids.

The distance of two columns is one minus their correlation, or one minus its absolute value.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sklearn_neurox.utils._correlations import correlations

_BLOCK_COLUMNS = 1024
# Exceeds single-precision rounding errors; extra edges are harmless: they only enlarge components.
_EDGE_MARGIN = 1e-5
# Members of a cluster whose mean distances differ by less are equally central.
_MEDOID_TIE = 1e-6


def bytes_needed(n_columns):
    """Return the memory that linkage needs: condensed distances and a working copy of them."""
    return 8 * n_columns * (n_columns - 1)


def cluster(columns, threshold, *, signed, method):
    """Cluster columns; return their labels and the medoid of each cluster.

    Clusters merge while their distance is at most the threshold.
    """
    n_columns = len(columns)
    if n_columns == 1:
        return np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.intp)
    distances = _condensed_distances(columns, signed)
    labels = fcluster(linkage(distances, method), threshold, criterion="distance")
    labels = labels.astype(np.intp) - 1
    by_label = np.argsort(labels, kind="stable")
    members = np.split(by_label, np.cumsum(np.bincount(labels))[:-1])
    return labels, np.array([_medoid(distances, own, n_columns) for own in members])


def _condensed_distances(columns, signed):
    n_columns = len(columns)
    distances = np.empty(n_columns * (n_columns - 1) // 2)
    for first, second, block in correlation_blocks(columns, signed=signed):
        np.subtract(1.0, block, out=block)
        for row in range(first.start, first.stop):
            start = max(row + 1, second.start)
            if start < second.stop:
                place = _condensed_place(row, start, n_columns)
                distances[place : place + second.stop - start] = block[
                    row - first.start, start - second.start :
                ]
    return distances


def _condensed_place(row, column, n_columns):
    return row * n_columns - row * (row + 1) // 2 + column - row - 1


def _medoid(distances, members, n_columns):
    if len(members) < 3:
        return members[0]
    totals = np.zeros(len(members))
    for number, row in enumerate(members[:-1]):
        to_later = distances[_condensed_place(row, members[number + 1 :], n_columns)]
        totals[number] += to_later.sum()
        totals[number + 1 :] += to_later
    central = totals <= totals.min() + _MEDOID_TIE * len(members)
    return members[np.argmax(central)]


def components(columns, thresholds, *, signed):
    """Assign labels to sets of columns that no merge at or below a threshold can join.

    The distance between two clusters is a mean over pairs between them, or the smallest or the
    largest of these, so two clusters that merge at or below the threshold have a pair at or below
    it. Draw an edge for each such pair. Merge distances never decrease in these linkages, so
    columns in different connected components of this graph end up in different clusters, and
    clustering each component alone gives the same result. Labels have shape
    (n_thresholds, n_columns).
    """
    labels = np.tile(np.arange(len(columns), dtype=np.int32), (len(thresholds), 1))
    for first, second, block in correlation_blocks(columns, signed=signed):
        for number, limit in enumerate(thresholds):
            labels[number] = _join(labels[number], first, second, block >= 1 - limit - _EDGE_MARGIN)
    return labels


def _join(labels, first, second, is_edge):
    rows, columns = np.nonzero(is_edge)
    ends = labels[first][rows], labels[second][columns]
    graph = coo_array((np.ones(len(rows), dtype=bool), ends), shape=(len(labels),) * 2)
    return connected_components(graph, directed=False)[1][labels]


def correlation_blocks(columns, *, signed=False):
    """Yield the correlations of columns, absolute unless signed, on and above the diagonal.

    Each item is the slice of the rows, the slice of the columns, and the float64 block. None of
    the columns may be constant.
    """
    starts = range(0, len(columns), _BLOCK_COLUMNS)
    slices = [slice(start, min(start + _BLOCK_COLUMNS, len(columns))) for start in starts]
    parts = [columns.take(places) for places in slices]
    for number, first in enumerate(slices):
        for second, part in zip(slices[number:], parts[number:], strict=True):
            block = correlations(parts[number], part)
            if not signed:
                np.abs(block, out=block)
            yield first, second, np.clip(block, -1.0, 1.0, out=block)
