# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a ranker holds out: whole groups, and never words at random."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user


def held_out_rows(y, groups, fraction, *, caller):
    """Choose the rows to hold out: the last ones, never drawn at random.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.

    groups : array-like of shape (n_samples,) or None
        What must not be split. With groups the last of them are held out, in the order in which
        they first appear. Without, the last rows of every class are, at least one of a class that
        has two.

    fraction : float
        The share of the rows to hold out, in (0, 1); with groups at least that.

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
        held_out = _last_of_every_class(y, fraction)
    else:
        held_out = _last_groups(groups, fraction)
    train = ~held_out
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


def _last_of_every_class(y, fraction):
    codes = np.unique(y, return_inverse=True)[1]
    counts = np.bincount(codes)
    place = pd.Series(codes).groupby(codes).cumcount().to_numpy()
    n_held_out = np.maximum(np.floor(counts * fraction).astype(int), counts > 1)
    return place >= (counts - n_held_out)[codes]


def _last_groups(groups, fraction):
    codes = pd.factorize(np.asarray(groups))[0]
    up_to = np.cumsum(np.bincount(codes))
    # A group is held out when all but the fraction of the rows lie before its end.
    first_held_out = np.searchsorted(up_to, len(codes) * (1 - fraction), side="right")
    first_held_out = np.clip(first_held_out, 1, len(up_to))
    return codes >= first_held_out
