# SPDX-License-Identifier: BSD-3-Clause
"""Find the largest and smallest values in each row, or those farthest from zero."""

import numpy as np

from sklearn_neurox.utils._ragged import ranges

SIGNS = ("both", "positive", "negative", "absolute")


def find_extremes(values, n, sign, runs=None):
    """Find the extreme entries in each row.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)

    n : int
        The number of entries per end; all entries if there are fewer.

    sign : {"both", "positive", "negative", "absolute"}
        Whether to find the largest and the smallest, the largest, the smallest, or the largest
        absolute values.

    runs : ndarray of int, default=None
        The first column of each run of columns, and the number of columns. At most one entry per
        run is found, the first with the run's extreme value. None makes each column a run.

    Returns
    -------
    rows, columns : ndarrays of int, of shape (n_rows * n_found,)
        Row by row and end by end, the most extreme first. Equal values are in column order; which
        of them are found, if not all fit, is arbitrary but deterministic.

    signs : ndarray of str, of the same shape
        ``"+"`` for the largest and ``"-"`` for the smallest; the sign of the value for the largest
        absolute values.

    ranks : ndarray of int, of the same shape
        The ranks within an end, from 1.
    """
    ends = {"both": (1, -1), "positive": (1,), "negative": (-1,), "absolute": (0,)}[sign]
    columns = np.concatenate(
        [_largest(end * values if end else np.abs(values), n, runs) for end in ends], axis=1
    )
    n_found = columns.shape[1] // len(ends)
    rows, columns = np.repeat(np.arange(len(values)), columns.shape[1]), columns.ravel()
    ends = np.tile(np.repeat(ends, n_found), len(values))
    positive = np.where(ends == 0, values[rows, columns] >= 0, ends > 0)
    ranks = np.tile(np.arange(1, n_found + 1), len(rows) // n_found)
    return rows, columns, np.where(positive, "+", "-"), ranks


def _largest(values, n, runs=None):
    if runs is not None:
        return _largest_by_run(values, n, runs)
    n = min(n, values.shape[1])
    found = np.argpartition(-values, n - 1, axis=1)[:, :n]
    found.sort(axis=1)
    order = np.argsort(-np.take_along_axis(values, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def _largest_by_run(values, n, runs):
    peaks = np.maximum.reduceat(values, runs[:-1], axis=1)
    chosen = _largest(peaks, n)
    begin, stop = runs[chosen.ravel()], runs[chosen.ravel() + 1]
    columns, ptr = ranges(begin, stop - begin)
    owners = np.repeat(np.arange(chosen.size), np.diff(ptr))
    rows = owners // chosen.shape[1]
    is_peak = values[rows, columns] == np.take_along_axis(peaks, chosen, axis=1).ravel()[owners]
    # The first column that reaches the peak of its run.
    _, first = np.unique(owners[is_peak], return_index=True)
    return columns[is_peak][first].reshape(chosen.shape)
