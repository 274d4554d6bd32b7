# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.evaluation._similarity._canonical import canonical_correlations
from sklearn_neurox.evaluation._similarity._paired_rows import check_pair


@validate_params(
    {"variance": [Interval(Real, 0, 1, closed="right")]}, prefer_skip_nested_validation=True
)
def pwcca(X: ArrayLike, Y: ArrayLike, *, variance: float = 1.0) -> float:
    """Compare two representations by canonical correlations, weighed by what they explain of X.

    Directions that make up much of the neurons of `X` count for more, noise for less.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The activations whose neurons give the weights; exchanging X and Y changes the answer.

    Y : array-like of shape (n_samples, n_other_features)
        Those to compare with, with a row each for the same words.

    variance : float, default=1.0
        The share of each matrix's variance to compare, in (0, 1], by its principal directions.

    Returns
    -------
    similarity : float
        Weighted mean canonical correlation, in [0, 1].

    Raises
    ------
    ValueError
        For other numbers of rows, values that are not finite, and matrices where nothing varies.

    Warns
    -----
    UserWarning
        If there are so few rows that some correlations are 1 whatever the data.

    See Also
    --------
    svcca : The same without weights, on the main directions.
    cka : Lets strong directions count for more.

    Notes
    -----
    The weight of a canonical variable of X is the sum over the neurons of X of the size of their
    inner products with it. Rows are read in blocks, as in `cka`.

    References
    ----------
    A. Morcos, M. Raghu, S. Bengio. Insights on Representational Similarity in Neural Networks with
    Canonical Correlation. NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.evaluation import pwcca, svcca
    >>> X = np.random.default_rng(0).normal(size=(1000, 6))
    >>> strong = X[:, :4] * [1, 1, 9, 9]  # what Y shares is what is strong in this one
    >>> round(pwcca(strong, X[:, 2:]), 1), round(svcca(X[:, :4], X[:, 2:]), 1)
    (0.9, 0.5)
    """
    X, Y = check_pair(X, Y, caller="pwcca")
    correlations, directions, coordinates = canonical_correlations(X, Y, variance, caller="pwcca")
    weights = np.abs(coordinates.T @ directions.times(X)).sum(axis=1)
    return float(weights @ correlations / weights.sum())
