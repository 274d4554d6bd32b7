# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, RealNotInt

# Constraints for parameters that `count_neurons` interprets.
COUNT_CONSTRAINTS = [
    Interval(Integral, 1, None, closed="left"),
    Interval(RealNotInt, 0, 1, closed="right"),
    None,
]


def count_neurons(n_neurons, n_features, *, caller, parameter="n_neurons"):
    """Convert a number, a fraction in (0, 1], or None (for all) to a number of neurons.

    A fraction is rounded to the nearest number, halves up, and is at least 1. ``caller`` and
    ``parameter`` name the class and its parameter in the error message.
    """
    if n_neurons is None:
        return n_features
    if not isinstance(n_neurons, Integral):
        return max(1, int(np.floor(n_neurons * n_features + 0.5)))
    if n_neurons > n_features:
        raise ValueError(
            f"{caller} was asked for {parameter}={n_neurons}, but X has {n_features} columns. Ask "
            f"for fewer, for a fraction, or for all with {parameter}=None."
        )
    return int(n_neurons)
