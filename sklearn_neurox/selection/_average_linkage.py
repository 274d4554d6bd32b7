# SPDX-License-Identifier: BSD-3-Clause
"""Average linkage of columns by correlation, cut at a distance, and the medoids of the clusters."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sklearn_neurox.selection._correlations import correlation_blocks

# Wider than what single precision rounds: too many edges join components, which does no harm.
_EDGE_MARGIN = 1e-5
# Members of a cluster whose mean distances differ by less are equally central.
_MEDOID_TIE = 1e-6


def bytes_needed(n_columns):
    """Tell what linkage takes: the distances above the diagonal, and a working copy of them."""
    return 8 * n_columns * (n_columns - 1)


def cluster(columns, threshold):
    """Cluster columns by average linkage.

    Parameters
    ----------
    columns : StandardColumns of n_columns

    threshold : float
        The largest mean distance, one less the absolute correlation, of two clusters that merge.

    Returns
    -------
    labels : ndarray of shape (n_columns,), dtype intp

    medoids : ndarray of shape (n_clusters,), dtype intp
        The place of the most central column of every cluster.
    """
    n_columns = len(columns)
    if n_columns == 1:
        return np.zeros(1, dtype=np.intp), np.zeros(1, dtype=np.intp)
    distances = _condensed_distances(columns)
    labels = fcluster(linkage(distances, "average"), threshold, criterion="distance")
    labels = labels.astype(np.intp) - 1
    by_label = np.argsort(labels, kind="stable")
    members = np.split(by_label, np.cumsum(np.bincount(labels))[:-1])
    return labels, np.array([_medoid(distances, own, n_columns) for own in members])


def _condensed_distances(columns):
    n_columns = len(columns)
    distances = np.empty(n_columns * (n_columns - 1) // 2)
    for first, second, block in correlation_blocks(columns):
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


def components(columns, threshold):
    """Find sets of columns that no merge at or below the threshold can join.

    The distance of two clusters is the mean over the pairs between them, so two that merge at or
    below the threshold have a pair at or below it: an edge of the graph of those pairs. Average
    linkage never merges below an earlier merge, so what lies in different connected components
    of that graph is in different clusters, and clustering each component alone gives the same.

    Parameters
    ----------
    columns : StandardColumns of n_columns

    threshold : float or array-like of shape (n_thresholds,)

    Returns
    -------
    labels : ndarray of shape (n_columns,) or (n_thresholds, n_columns), dtype int32
        The component of every column.
    """
    thresholds = np.atleast_1d(threshold)
    labels = np.tile(np.arange(len(columns), dtype=np.int32), (len(thresholds), 1))
    for first, second, block in correlation_blocks(columns):
        for number, limit in enumerate(thresholds):
            labels[number] = _join(labels[number], first, second, block >= 1 - limit - _EDGE_MARGIN)
    return labels if np.ndim(threshold) else labels[0]


def _join(labels, first, second, is_edge):
    rows, columns = np.nonzero(is_edge)
    ends = labels[first][rows], labels[second][columns]
    graph = coo_array((np.ones(len(rows), dtype=bool), ends), shape=(len(labels),) * 2)
    return connected_components(graph, directed=False)[1][labels]
