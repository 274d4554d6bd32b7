# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import svd
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.evaluation._similarity._canonical import canonical_correlations


@validate_params(
    {
        "X": ["array-like"],
        "Y": ["array-like"],
        "variance": [Interval(Real, 0, 1, closed="right")],
    },
    prefer_skip_nested_validation=True,
)
def pwcca(X: ArrayLike, Y: ArrayLike, *, variance: float = 1.0) -> float:
    """Compute the projection-weighted canonical correlation (PWCCA) of two representations.

    Canonical directions that explain much of the neurons of `X` get large weights, and noise gets
    small ones.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Activations that determine the weights; swapping X and Y changes the result.

    Y : array-like of shape (n_samples, n_other_features)
        Activations for the same words, to compare with.

    variance : float, default=1.0
        Share of the variance of each matrix that its main directions must hold, in (0, 1].

    Returns
    -------
    similarity : float
        Weighted mean canonical correlation, in [0, 1].

    Raises
    ------
    ValueError
        If the numbers of rows differ, a value is not finite, or all columns of a matrix are
        constant.

    Warns
    -----
    UserWarning
        If there are so few rows that some correlations are 1 for any data.

    See Also
    --------
    svcca : Weight all main directions equally.
    cka : Give strong directions more weight.

    Notes
    -----
    The weight of a canonical variable of X is the sum of the absolute inner products of the neurons
    of X with it. If several correlations are equal, such as those of neurons that X and Y share,
    any rotation of their canonical variables among each other is as good, but changes these sums.
    Of all rotations, the principal axes of X within these variables are used. Rows are read in
    blocks, as in `cka`.

    References
    ----------
    A. Morcos, M. Raghu, S. Bengio. Insights on Representational Similarity in Neural Networks with
    Canonical Correlation. NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.evaluation import pwcca, svcca
    >>> X = np.random.default_rng(0).normal(size=(1000, 6))
    >>> strong = X[:, :4] * [1, 1, 9, 9]  # Y shares the strong columns
    >>> round(pwcca(strong, X[:, 2:]), 1), round(svcca(X[:, :4], X[:, 2:]), 1)
    (0.9, 0.5)
    """
    correlations, directions, coordinates = canonical_correlations(X, Y, variance, caller="pwcca")
    projections = coordinates.T @ directions.times(directions.matrix)
    ends = np.flatnonzero(np.diff(correlations) < -_TIED) + 1
    for tied in np.split(np.arange(len(correlations)), ends):
        _, lengths, axes = svd(projections[tied], full_matrices=False)
        projections[tied] = lengths[:, np.newaxis] * axes
    weights = np.abs(projections).sum(axis=1)
    return float(weights @ correlations / weights.sum())


# Correlations that differ by less are equal up to rounding.
_TIED = 1e-6
