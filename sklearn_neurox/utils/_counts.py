# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval, RealNotInt

# What a parameter may be that `count_neurons` reads.
COUNT_CONSTRAINTS = [
    Interval(Integral, 1, None, closed="left"),
    Interval(RealNotInt, 0, 1, closed="right"),
    None,
]


def count_neurons(n_neurons, n_features, *, caller, parameter="n_neurons"):
    """Tell how many neurons a number, a fraction or None stands for.

    Parameters
    ----------
    n_neurons : int, float or None
        A number, a fraction in (0, 1], or None for all.

    n_features : int
        How many neurons there are.

    caller : str
        Who asks, for the error message.

    parameter : str, default="n_neurons"
        What the number is called there.

    Returns
    -------
    count : int
        A fraction is rounded to the nearest number, halves up, and is at least 1.

    Raises
    ------
    ValueError
        If more neurons are asked for than there are.
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
