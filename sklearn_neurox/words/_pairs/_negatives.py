# SPDX-License-Identifier: BSD-3-Clause
"""Pairs that are not among the given ones: all of them, or a sample that matches in distance."""

import numpy as np
from sklearn.utils import check_random_state

from sklearn_neurox.utils._ragged import pointers, ranges
from sklearn_neurox.utils._warn_user import warn_user


def all_pairs(unit):
    """Return both rows of every ordered pair of different rows of one text.

    ``unit`` has the number of the text of each row; the pairs are sorted by their rows.
    """
    order = np.argsort(unit, kind="stable")
    counts = np.bincount(unit)
    begin = pointers(counts)[:-1]
    places, ptr = ranges(begin[unit], counts[unit])
    first, other = np.repeat(np.arange(len(unit)), np.diff(ptr)), order[places]
    differ = first != other
    return first[differ], other[differ]


def is_among(first, other, pairs, n_rows):
    """Return which pairs are among some given pairs."""
    return np.isin(first * n_rows + other, pairs[0] * n_rows + pairs[1])


def matched(first, other, place, unit, n_negatives, random_state):
    """Draw pairs of other rows, as many of each distance and direction as the given pairs have.

    Parameters
    ----------
    first, other : ndarray of shape (n_pairs,)
        The rows of the given pairs.

    place : ndarray of shape (n_rows,)
        The place of each row in its text.

    unit : ndarray of shape (n_rows,)
        The text of each row.

    n_negatives : int
        How many pairs to draw for each given pair.

    random_state : int, RandomState or None

    Returns
    -------
    first, other : ndarray of shape (n_drawn,)
    """
    given = place[other] - place[first]
    a, b = all_pairs(unit)
    distance = place[b] - place[a]
    free = np.isin(distance, given) & ~is_among(a, b, (first, other), len(unit))
    a, b, distance = a[free], b[free], distance[free]
    order = check_random_state(random_state).permutation(len(a))
    order = order[np.argsort(distance[order], kind="stable")]
    values, counts = np.unique(given, return_counts=True)
    low = np.searchsorted(distance[order], values, side="left")
    there = np.searchsorted(distance[order], values, side="right") - low
    wanted = counts * n_negatives
    lacking = np.flatnonzero(there < wanted)
    if len(lacking):
        worst = lacking[np.argmax((wanted - there)[lacking])]
        warn_user(
            f"pair_frame found too few other pairs of the same distance and direction for "
            f"{len(lacking)} of {len(values)} distances: {(wanted - there)[lacking].sum()} of "
            f"{wanted.sum()} negatives are lacking, most at distance {values[worst]}, where "
            f"{there[worst]} of {wanted[worst]} exist. So the distance alone tells a little about "
            "the class. Reduce n_negatives, or give more texts."
        )
    places, _ = ranges(low, np.minimum(there, wanted))
    return a[order[places]], b[order[places]]
