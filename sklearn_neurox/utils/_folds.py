# SPDX-License-Identifier: BSD-3-Clause
"""Default folds of estimators with an inner split, which never draw single words at random."""

from numbers import Integral

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.utils.validation import _num_samples

from sklearn_neurox.utils._labels import check_groups, check_no_missing_groups
from sklearn_neurox.utils._warn_user import warn_user


def make_splitter(cv, groups, *, caller):
    """Turn a ``cv`` parameter into a splitter that does not leak.

    An int, or None for 5, gives that many folds: of whole groups if there are groups, otherwise
    contiguous, with a warning. ``caller`` is named in messages.
    """
    check_groups(groups, caller)
    if groups is not None:
        check_no_missing_groups(groups, caller)
    if cv is not None and not isinstance(cv, Integral):
        folds = check_cv(cv)
        # Only a list of splits has a length that does not depend on the rows.
        if not hasattr(cv, "split") and not folds.get_n_splits():
            raise ValueError(
                f"The 'cv' parameter of {caller} contains no splits. Pass at least one."
            )
        return folds
    n_splits = 5 if cv is None else cv
    if groups is not None:
        return GroupKFold(n_splits)
    warn_user(
        f"{caller} was given no groups, so a text at the boundary between two folds may be split "
        "between training and test rows, and repeated texts may be in both. Pass "
        'groups=words["text"].',
    )
    return KFold(n_splits)


def split_rows(splitter, X, y, groups, *, caller):
    """List the training and test rows of each fold as row numbers from 0.

    A list of splits may also contain masks, ranges or row numbers that count from the end. A fold
    without rows to train on or to test on is an error.
    """
    # Private, but scikit-learn's splitters count rows with it.
    every = np.arange(_num_samples(X))
    folds = [
        tuple(every[np.asarray(part) if len(part) else every[:0]] for part in parts)
        for parts in splitter.split(X, y, groups)
    ]
    for number, fold in enumerate(folds):
        for rows, kind in zip(fold, ("training", "test"), strict=True):
            if not len(rows):
                raise ValueError(
                    f"Fold {number} of {caller} has no {kind} rows. Pass a cv in which every split "
                    "has both."
                )
    return folds
