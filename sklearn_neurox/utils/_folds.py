# SPDX-License-Identifier: BSD-3-Clause
"""How what splits inside chooses its folds: never words at random."""

from numbers import Integral

from sklearn.model_selection import GroupKFold, KFold, check_cv

from sklearn_neurox.utils._warn_user import warn_user


def make_splitter(cv, groups, *, caller):
    """Turn a ``cv`` parameter into a splitter whose folds do not leak.

    Parameters
    ----------
    cv : int, cross-validation generator, iterable or None
        An int, or None for 5, asks for so many folds: of whole groups where there are groups, and
        otherwise contiguous, with a warning.

    groups : array-like of shape (n_samples,) or None

    caller : str
        Who asks, for the warning.

    Returns
    -------
    splitter : cross-validation generator

    Raises
    ------
    ValueError
        For an iterable without any split.
    """
    if cv is not None and not isinstance(cv, Integral):
        folds = check_cv(cv)
        # Of a splitter the number may depend on the rows; of a list of splits it does not.
        if not hasattr(cv, "split") and not folds.get_n_splits():
            raise ValueError(
                f"The 'cv' parameter of {caller} holds no split. Give it one at least."
            )
        return folds
    n_splits = 5 if cv is None else cv
    if groups is not None:
        return GroupKFold(n_splits)
    warn_user(
        f"{caller} was given no groups, so rows of one text may be split between training and "
        'test at the border of two folds, and equal texts anywhere. Pass groups=words["text"].',
    )
    return KFold(n_splits)
