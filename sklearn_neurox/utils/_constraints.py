# SPDX-License-Identifier: BSD-3-Clause
"""Parameter constraints that scikit-learn does not provide, or that many functions share."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval

# For functions that score probes; `validate_params` ignores parameters that a function lacks.
MEASUREMENT_CONSTRAINTS = {
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


class FiniteNumber(Interval):
    """A finite number, but not a bool, which an `Interval` would accept as an integer."""

    def __init__(self):
        super().__init__(Real, None, None, closed="neither")

    def is_satisfied_by(self, val):
        """Return whether a value is such a number."""
        return not isinstance(val, (bool, np.bool_)) and super().is_satisfied_by(val)
