# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike

from sklearn_neurox.evaluation._similarity._paired_rows import (
    check_pair,
    cross_product,
    shared_blocks,
)


def maxcorr(X: ArrayLike, Y: ArrayLike) -> float:
    r"""Compare two representations of the same words neuron by neuron.

    Every neuron of the one looks for its best match in the other:

    .. math:: \frac{1}{d} \sum_{i=1}^{d} \max_j |\rho_{ij}|

    with the correlation :math:`\rho_{ij}` of neuron :math:`i` of X with neuron :math:`j` of Y.
    Shifting or scaling neurons, even by negative numbers, changes nothing; rotating a space does.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        Activations, such as those of two layers or models, with a row each for the same words.

    Returns
    -------
    similarity : float
        In [0, 1]; 1 if every neuron of X has its like in Y. Not symmetric. Constant neurons of X
        are left out of the mean.

    Raises
    ------
    ValueError
        For other numbers of rows, values that are not finite, and matrices where nothing varies.

    See Also
    --------
    sklearn_neurox.ranking.CrossModelRanker : The same for single neurons, and other criteria.
    cka : Compares spaces, however they are turned.

    Notes
    -----
    The more neurons Y has, and the fewer the words, the higher are the matches that chance finds.

    Rows are read in blocks, so that memory-mapped matrices stay on disk; memory is that of the
    product of the columns with the columns.

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
    X, Y = check_pair(X, Y, caller="maxcorr")
    blocks = shared_blocks(X, Y)
    strengths = np.abs(cross_product(X.rows, Y.rows, blocks))
    own, other = (_lengths(A, blocks) for A in (X, Y))
    varying = own > 0
    # The match of a constant neuron is none.
    strengths = np.divide(strengths, other, out=np.zeros_like(strengths), where=other > 0)
    best = strengths.max(axis=1)[varying] / own[varying]
    return float(np.minimum(best, 1.0).mean())


def _lengths(A, blocks):
    return np.sqrt(sum(np.square(A.rows(block)).sum(axis=0) for block in blocks))
