# SPDX-License-Identifier: BSD-3-Clause
"""The choice of held-out rows: whole groups, never random words."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._warn_user import warn_user


def held_out_rows(y, groups, weight, fraction, *, caller):
    """Return masks of the training rows and of the held-out rows, which are the last ones.

    With groups, the last groups in order of first appearance are held out, covering at least the
    given fraction of the weight. Without groups, the last rows of each class are held out, at least
    one for every class that has two. Rows of weight zero are in neither part. Held-out rows of a
    class without training rows are dropped with a warning.
    """
    if groups is None:
        warn_user(
            f"{caller} was given no groups, so the text at the boundary may be split between "
            "training and held-out rows, and repeated texts may be in both. Pass "
            'groups=words["text"].',
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
            f"{caller} cannot hold out any row of a class that is also in the training rows. It "
            "needs two rows of one class, or two groups that share a class. Pass more rows, or "
            "other groups."
        )
    if unseen.any():
        warn_user(
            f"{caller} ignores {unseen.sum()} of {held_out.sum()} held-out rows, because their "
            f"classes ({', '.join(map(str, np.unique(y[unseen])[:5]))}) have no training rows. Use "
            "other groups, or drop the rare classes.",
        )
    return train, held_out & ~unseen


def _last_of_every_class(y, counts, fraction):
    codes = np.unique(y, return_inverse=True)[1]
    of_class = pd.Series(counts).groupby(codes)
    # Counting from the end avoids the rounding error of 1 - fraction.
    up_to_end = of_class.transform("sum") - of_class.cumsum() + counts
    is_last = ~pd.Series(codes).duplicated(keep="last")
    has_two = of_class.transform("size") > 1
    shares = fraction * of_class.transform("sum")
    return ((up_to_end <= shares) | (is_last & has_two)).to_numpy()


def _last_groups(groups, counts, fraction):
    codes = pd.factorize(groups)[0]
    up_to = np.cumsum(np.bincount(codes, counts))
    # Hold out the group in which the training fraction is reached, and all later ones.
    first_held_out = np.searchsorted(up_to, counts.sum() * (1 - fraction), side="right")
    first_held_out = np.clip(first_held_out, 1, len(up_to))
    return codes >= first_held_out
