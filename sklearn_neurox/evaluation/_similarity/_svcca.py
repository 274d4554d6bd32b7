# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.evaluation._similarity._canonical import canonical_correlations
from sklearn_neurox.evaluation._similarity._paired_rows import check_pair


@validate_params(
    {"variance": [Interval(Real, 0, 1, closed="right")]}, prefer_skip_nested_validation=True
)
def svcca(X: ArrayLike, Y: ArrayLike, *, variance: float = 0.99) -> float:
    """Compare two representations of the same words by the canonical correlations of their cores.

    The core of a representation is spanned by the fewest principal directions that hold most of
    its variance. Rotating or scaling a space changes nothing, and within the core all directions
    count the same, however strong.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        Activations, such as those of two layers or models, with a row each for the same words.

    variance : float, default=0.99
        The share of the variance that the core must hold, in (0, 1]. With 1 it is plain canonical
        correlation, which no invertible linear map changes.

    Returns
    -------
    similarity : float
        Mean canonical correlation, in [0, 1].

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
    pwcca : Weighs directions by what they explain.
    cka : Lets strong directions count for more.

    Notes
    -----
    Rows are read in blocks, so that memory-mapped matrices stay on disk; memory is that of the
    product of the columns with the columns, or of the rows with the rows, whichever is less.

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
    X, Y = check_pair(X, Y, caller="svcca")
    correlations, _, _ = canonical_correlations(X, Y, variance, caller="svcca")
    return float(correlations.mean())
