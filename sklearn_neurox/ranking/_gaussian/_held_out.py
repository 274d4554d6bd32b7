# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a ranker holds out: whole groups, and never words at random."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user


def held_out_rows(y, groups, weight, fraction, *, caller):
    """Choose the rows to hold out: the last ones, never drawn at random.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.

    groups : array-like of shape (n_samples,) or None
        What must not be split. With groups the last of them are held out, in the order in which
        they first appear. Without, the last rows of every class are, at least one of a class that
        has two.

    weight : ndarray of shape (n_samples,) or None
        Rows of weight zero are in neither part.

    fraction : float
        The share of the rows, or of their weight, to hold out, in (0, 1); with groups at least
        that.

    caller : str
        The class that asks, for messages.

    Returns
    -------
    train, held_out : ndarray of shape (n_samples,), dtype=bool
        Held-out rows of a class without training rows are in neither, with a warning.
    """
    if groups is None:
        warn_user(
            f"{caller} was given no groups, so rows of one text may be split between training and "
            'held-out part at the border, and equal texts anywhere. Pass groups=words["text"].',
        )
    counts = np.ones(len(y), dtype=int) if weight is None else weight
    rows = np.flatnonzero(counts)
    held_out = np.zeros(len(y), dtype=bool)
    if groups is None:
        held_out[rows] = _last_of_every_class(y[rows], counts[rows], fraction)
    else:
        held_out[rows] = _last_groups(np.asarray(groups)[rows], counts[rows], fraction)
    train = ~held_out & (counts > 0)
    unseen = held_out & ~np.isin(y, y[train])
    if not train.any() or (unseen == held_out).all():
        raise ValueError(
            f"{caller} found no row to hold out of a class that it can train on: it needs two "
            "rows of a class, or two groups that share one. Give it more rows, or other groups."
        )
    if unseen.any():
        warn_user(
            f"{caller} leaves out {unseen.sum()} of {held_out.sum()} held-out rows: their classes "
            f"({', '.join(map(str, np.unique(y[unseen])[:5]))}) occur in no training row. Use "
            "other groups, or leave the rare classes out.",
        )
    return train, held_out & ~unseen


def _last_of_every_class(y, counts, fraction):
    codes = np.unique(y, return_inverse=True)[1]
    of_class = pd.Series(counts).groupby(codes)
    # Seen from the end, so that whole counts are compared with a share of whole ones.
    up_to_end = of_class.transform("sum") - of_class.cumsum() + counts
    is_last = ~pd.Series(codes).duplicated(keep="last")
    has_two = of_class.transform("size") > 1
    shares = fraction * of_class.transform("sum")
    return ((up_to_end <= shares) | (is_last & has_two)).to_numpy()


def _last_groups(groups, counts, fraction):
    codes = pd.factorize(groups)[0]
    up_to = np.cumsum(np.bincount(codes, counts))
    # A group is held out when all but the fraction of the rows lie before its end.
    first_held_out = np.searchsorted(up_to, counts.sum() * (1 - fraction), side="right")
    first_held_out = np.clip(first_held_out, 1, len(up_to))
    return codes >= first_held_out
