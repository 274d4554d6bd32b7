# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.evaluation._similarity._paired_rows import (
    check_pair,
    cross_product,
    shared_blocks,
)


@validate_params({"X": ["array-like"], "Y": ["array-like"]}, prefer_skip_nested_validation=True)
def maxcorr(X: ArrayLike, Y: ArrayLike) -> float:
    r"""Compute the mean maximum correlation of the neurons of X with those of Y.

    Each neuron of X is matched with the neuron of Y that it correlates with most:

    .. math:: \frac{1}{d} \sum_{i=1}^{d} \max_j |\rho_{ij}|

    where :math:`\rho_{ij}` is the correlation of neuron :math:`i` of X with neuron :math:`j` of Y.
    Shifting or scaling neurons, even by negative factors, does not change the result; rotating a
    representation does.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        Activations for the same words, for example from two layers or models.

    Returns
    -------
    similarity : float
        In [0, 1]; 1 if each neuron of X has a perfectly correlated match in Y. Not symmetric.
        Constant neurons of X are excluded from the mean.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a value is not finite, or all columns of a matrix are
        constant.

    See Also
    --------
    sklearn_neurox.ranking.CrossModelRanker : Score single neurons, by this and other criteria.
    cka : Compare representations regardless of rotation.

    Notes
    -----
    The more neurons Y has and the fewer words there are, the higher the correlations of chance
    matches.

    Rows are read in blocks, so memory-mapped matrices stay on disk. Memory use is that of a matrix
    of shape (n_features of X, n_features of Y).

    References
    ----------
    A. Bau, Y. Belinkov, H. Sajjad, N. Durrani, F. Dalvi, J. Glass. Identifying and Controlling
    Important Neurons in Neural Machine Translation. ICLR 2019.

    J. Wu, Y. Belinkov, H. Sajjad, N. Durrani, F. Dalvi, J. Glass. Similarity Analysis of
    Contextual Word Representation Models. ACL 2020 (the mean over neurons).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.evaluation import maxcorr
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> round(maxcorr(X, -2 * X[:, [2, 0, 1]] + 1), 6)
    1.0
    >>> maxcorr(X, X[:, :1]) < 0.4
    True
    """
    A, B = check_pair(X, Y, caller="maxcorr")
    blocks = shared_blocks(A, B)
    strengths = np.abs(cross_product(A.rows, B.rows, blocks))
    own, other = (_lengths(matrix, blocks) for matrix in (A, B))
    varying = own > 0
    # A constant neuron matches nothing.
    strengths = np.divide(strengths, other, out=np.zeros_like(strengths), where=other > 0)
    best = strengths.max(axis=1)[varying] / own[varying]
    return float(np.minimum(best, 1.0).mean())


def _lengths(A, blocks):
    return np.sqrt(sum(np.square(A.rows(block)).sum(axis=0) for block in blocks))
