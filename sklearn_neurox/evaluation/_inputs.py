# SPDX-License-Identifier: BSD-3-Clause
"""The checks of the rows and options that evaluators have in common."""

from numbers import Integral, Real

from sklearn.utils._param_validation import HasMethods, Interval

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._validation import check_equal_lengths, check_row_order

# For `validate_params`, which ignores the parameters that a function does not have.
CONSTRAINTS = {
    "X": ["array-like", "sparse matrix", HasMethods(["shape", "__getitem__"])],
    "y": ["array-like"],
    "scoring": [str, callable, None],
    "cv": ["cv_object"],
    "groups": ["array-like", None],
    "confidence": [Interval(Real, 0, 1, closed="neither")],
    "return_words": ["boolean"],
    "n_jobs": [Integral, None],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


def matching_rows(caller, **rows):
    """Convert tables of other libraries, and check that they have the same rows, in order."""
    rows = {name: to_pandas(values) for name, values in rows.items()}
    check_equal_lengths(caller, **rows)
    check_row_order(**rows)
    return rows.values()
