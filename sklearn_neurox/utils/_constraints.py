# SPDX-License-Identifier: BSD-3-Clause
"""Constraints on parameters that scikit-learn's own do not express."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval


class FiniteNumber(Interval):
    """A finite number that is no bool, for parameters where True is more likely a mistake than 1.

    An `Interval` takes bools, because Python counts them among the integers.
    """

    def __init__(self):
        super().__init__(Real, None, None, closed="neither")

    def is_satisfied_by(self, val):
        """Tell whether a value is such a number."""
        return not isinstance(val, (bool, np.bool_)) and super().is_satisfied_by(val)
