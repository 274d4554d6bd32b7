# SPDX-License-Identifier: BSD-3-Clause
"""Whether a target is a number or a label."""

import numpy as np
from sklearn.base import is_regressor
from sklearn.utils.multiclass import type_of_target


def are_numbers(y, *estimators):
    """Return whether y is a target of a regression, and not labels.

    It is if it is continuous, or if one of the estimators, or the estimator that one of them
    fitted, is a regressor: whole numbers can be either.
    """
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y))[0])
        raise ValueError(f"y is {y[row]} at row {row}. Drop the rows without a number.")
    with np.errstate(invalid="ignore"):  # it casts numbers to integers, some too large
        kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind.startswith("continuous"):
        return True
    fitted = [*estimators, *(getattr(estimator, "estimator_", None) for estimator in estimators)]
    return y.dtype.kind in "iuf" and any(
        estimator is not None and is_regressor(estimator) for estimator in fitted
    )
