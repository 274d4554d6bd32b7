# SPDX-License-Identifier: BSD-3-Clause
"""Folds as row numbers, with a warning for what makes their scores misleading."""

import numpy as np
import pandas as pd

from sklearn_neurox.utils._folds import make_splitter
from sklearn_neurox.utils._warn_user import warn_user


def make_folds(cv, X, y, groups, *, classes, caller):
    """Split, and warn of groups on both sides and of labels that training lacks.

    Parameters
    ----------
    cv : int, cross-validation generator, iterable or None

    X, y : array-likes of n_samples

    groups : array-like of shape (n_samples,) or None

    classes : bool
        Whether y are classes.

    caller : str
        The public function that asks, whose caller is warned.

    Returns
    -------
    folds : list of (train, test)
        Index arrays.
    """
    splitter = make_splitter(cv, groups, caller=caller)
    folds = [(_rows(train), _rows(test)) for train, test in splitter.split(X, y, groups)]
    y = np.asarray(y)
    # Numbers, as np.isin compares strings one by one.
    labels = pd.factorize(y)[0] if classes else None
    of_group = None if groups is None else pd.factorize(np.asarray(groups))[0]
    for number, (train, test) in enumerate(folds):
        where = f"of {len(test)} test rows in fold {number} of {caller}"
        if of_group is not None and (split := np.isin(of_group[test], of_group[train])).any():
            warn_user(
                f"{split.sum()} {where} belong to groups with rows in training. Their scores may "
                "be too high: split by the same groups, for example with GroupKFold."
            )
        if classes and (unseen := ~np.isin(labels[test], labels[train])).any():
            warn_user(
                f"{unseen.sum()} {where} have labels without a training row (the first: "
                f"{y[test][unseen][0]!r}). No probe can get them right."
            )
    return folds


def _rows(part):
    part = np.asarray(part)
    return np.flatnonzero(part) if part.dtype == bool else part
