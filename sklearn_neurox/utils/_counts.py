# SPDX-License-Identifier: BSD-3-Clause
"""Numbers of neurons or rows: an int is a count, and a float a fraction of all."""

from collections.abc import Iterable
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, RealNotInt


class _Count(Interval):
    """A positive integer, but not a bool, which an `Interval` would accept."""

    def __init__(self):
        super().__init__(Integral, 1, None, closed="left")

    def is_satisfied_by(self, val):
        """Return whether a value is such an integer."""
        return not isinstance(val, (bool, np.bool_)) and super().is_satisfied_by(val)


class _Fraction(Interval):
    """A number in (0, 1] of a float type, of Python or NumPy."""

    def __init__(self):
        super().__init__(RealNotInt, 0, 1, closed="right")

    def is_satisfied_by(self, val):
        """Return whether a value is such a number."""
        # `RealNotInt` knows float, but not the other float types of NumPy.
        return isinstance(val, Real) and not isinstance(val, (Integral, np.bool_)) and val in self


# Constraints for parameters that `count_neurons` interprets.
COUNT_CONSTRAINTS = [_Count(), _Fraction(), None]


def check_counts(values, *, caller, parameter, of="neurons"):
    """Return the numbers and fractions of a parameter as a list, for `count_neurons`.

    The parameter may be a single number. Each number keeps its type, because 1 is a count of one
    and 1.0 a fraction that means all; an array of mixed numbers would lose this.
    """
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    listed = list(listed) if isinstance(listed, Iterable) else [listed]
    for value in listed:
        if not any(one.is_satisfied_by(value) for one in COUNT_CONSTRAINTS[:2]):
            raise ValueError(
                f"The '{parameter}' parameter of {caller} must contain numbers of {of} as ints "
                f"from 1, or fractions of the {of} as floats in (0, 1]. Got {value!r}."
            )
    if not listed:
        raise ValueError(
            f"The '{parameter}' parameter of {caller} must contain at least one number or "
            f"fraction of the {of}. Got none."
        )
    return listed


def count_neurons(n_neurons, n_features, *, caller, parameter="n_neurons", of="columns"):
    """Convert a number, a fraction in (0, 1], or None (for all) to a number of neurons.

    A fraction is rounded to the nearest number, halves up, and is at least 1. ``caller`` and
    ``parameter`` name the class and its parameter in the error message, and ``of`` what is counted.
    """
    if n_neurons is None:
        return n_features
    if not isinstance(n_neurons, Integral):
        # A product that is half-way, such as .29 * 50, may be rounded to slightly less.
        return max(1, int(np.floor(n_neurons * n_features + 0.5 + 1e-9)))
    if n_neurons > n_features:
        raise ValueError(
            f"{caller} was asked for {parameter}={n_neurons}, but X has {n_features} {of}. Ask "
            f"for fewer, for a fraction, or for all with {parameter}=1.0."
        )
    return int(n_neurons)
