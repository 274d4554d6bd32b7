# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

from numpy.typing import ArrayLike
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
def svcca(X: ArrayLike, Y: ArrayLike, *, variance: float = 0.99) -> float:
    """Compute the singular vector canonical correlation (SVCCA) of two representations.

    Each representation is reduced to the fewest principal directions that hold most of its
    variance, and the canonical correlations between the two are averaged. Rotating or scaling a
    representation as a whole does not change the result, and all kept directions count equally,
    however strong.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        Activations for the same words, for example from two layers or models.

    variance : float, default=0.99
        Share of the variance of each matrix to keep, in (0, 1]. With 1, this is plain canonical
        correlation, which is invariant to invertible linear maps.

    Returns
    -------
    similarity : float
        Mean canonical correlation, in [0, 1].

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
    pwcca : Weight directions by how much of X they explain.
    cka : Give strong directions more weight.

    Notes
    -----
    Rows are read in blocks, so memory-mapped matrices stay on disk. Memory use is that of the Gram
    matrix of columns or of rows, whichever is smaller.

    References
    ----------
    M. Raghu, J. Gilmer, J. Yosinski, J. Sohl-Dickstein. SVCCA: Singular Vector Canonical
    Correlation Analysis for Deep Learning Dynamics and Interpretability. NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.evaluation import svcca
    >>> X = np.random.default_rng(0).normal(size=(1000, 6))
    >>> round(svcca(X[:, :4], X[:, :4] @ np.diag([1, 2, 3, 4])), 6)
    1.0
    >>> round(svcca(X[:, :4], X[:, 2:]), 1)  # two of four directions are shared
    0.5
    """
    correlations, _, _ = canonical_correlations(X, Y, variance, caller="svcca")
    return float(correlations.mean())
