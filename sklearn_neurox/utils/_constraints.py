# SPDX-License-Identifier: BSD-3-Clause
"""Parameter constraints that scikit-learn does not provide."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval


class FiniteNumber(Interval):
    """A finite number, but not a bool, which an `Interval` would accept as an integer."""

    def __init__(self):
        super().__init__(Real, None, None, closed="neither")

    def is_satisfied_by(self, val):
        """Return whether a value is such a number."""
        return not isinstance(val, (bool, np.bool_)) and super().is_satisfied_by(val)
