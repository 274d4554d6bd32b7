# SPDX-License-Identifier: BSD-3-Clause
"""Folds as row indices, with warnings about misleading splits."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.utils._warn_user import warn_user


def make_folds(cv, X, y, groups, *, classes, caller):
    """Return (train, test) index arrays, and warn about split groups and unseen labels.

    ``classes`` states whether y contains class labels.
    """
    splitter = make_splitter(cv, groups, caller=caller)
    folds = split_rows(splitter, X, y, groups, caller=caller)
    y = np.asarray(y)
    # np.isin is slow on strings.
    labels = pd.factorize(y)[0] if classes else None
    of_group = None if groups is None else pd.factorize(np.asarray(groups))[0]
    for number, (train, test) in enumerate(folds):
        where = f"of {len(test)} test rows in fold {number} of {caller}"
        if of_group is not None and (split := np.isin(of_group[test], of_group[train])).any():
            warn_user(
                f"{split.sum()} {where} belong to groups that also have training rows. Their "
                "scores may be too high: split by groups, for example with GroupKFold."
            )
        if classes and (unseen := ~np.isin(labels[test], labels[train])).any():
            warn_user(
                f"{unseen.sum()} {where} have labels that no training row has (the first: "
                f"{y[test][unseen][0]!r}). No probe can predict them correctly."
            )
    return folds
