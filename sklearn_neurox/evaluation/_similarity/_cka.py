# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.evaluation._similarity._paired_rows import (
    check_pair,
    cross_product,
    shared_blocks,
)


@validate_params({"debiased": ["boolean"]}, prefer_skip_nested_validation=True)
def cka(X: ArrayLike, Y: ArrayLike, *, debiased: bool = False) -> float:
    """Compare two representations of the same words by linear centred kernel alignment.

    The similarity between the words in one space is correlated with that in the other. Rotating
    a space, or scaling it as a whole, changes nothing; scaling single neurons does.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        Activations, such as those of two layers or models, with a row each for the same words.

    debiased : bool, default=False
        Whether to take out what finite samples add: the plain value of unrelated spaces grows
        towards 1 as neurons outnumber words. The debiased one is about 0 for those, and may be a
        little below.

    Returns
    -------
    similarity : float
        1 for the same representation, up to rotation and scale; in [0, 1] unless debiased.

    Raises
    ------
    ValueError
        For other numbers of rows, values that are not finite, matrices where nothing varies, and
        for fewer than four rows with ``debiased``.

    See Also
    --------
    svcca : Ignores which directions of the main ones are strong.
    pwcca : Ignores it too, and weighs directions by what they explain.

    Notes
    -----
    Rows are read in blocks, so that memory-mapped matrices stay on disk; memory is that of the
    product of the columns with the columns, or of the rows with the rows, whichever is less.

    References
    ----------
    S. Kornblith, M. Norouzi, H. Lee, G. Hinton. Similarity of Neural Network Representations
    Revisited. ICML 2019.

    L. Song, A. Smola, A. Gretton, J. Bedo, K. Borgwardt. Feature Selection via Dependence
    Maximization. JMLR 2012 (the unbiased estimate).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.evaluation import cka
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> rotated = X @ np.linalg.qr(X[:3])[0]
    >>> round(cka(X, 2 * rotated), 6)
    1.0
    >>> round(cka(X, X * [9, 1, 1]), 2)
    0.59
    """
    X, Y = check_pair(X, Y, caller="cka")
    if debiased and X.n_samples < 4:
        raise ValueError(f"cka(debiased=True) needs four rows at least, got {X.n_samples}.")
    if X.n_samples < max(X.n_features, Y.n_features):
        K, L = X.gram(), Y.gram()
        xy, xx, yy = np.vdot(K, L), np.vdot(K, K), np.vdot(L, L)
    else:
        blocks = shared_blocks(X, Y)
        xy, xx, yy = (
            np.square(cross_product(A.rows, B.rows, blocks)).sum()
            for A, B in ((X, Y), (X, X), (Y, Y))
        )
    if debiased:
        of_x, of_y = _squared_norms(X), _squared_norms(Y)
        xy = _without_bias(xy, of_x, of_y)
        xx, yy = _without_bias(xx, of_x, of_x), _without_bias(yy, of_y, of_y)
    return float(xy / np.sqrt(xx * yy))


def _squared_norms(A):
    norms = np.empty(A.n_samples)
    for block in shared_blocks(A, A):
        rows = A.rows(block)
        norms[block] = np.einsum("ij,ij->i", rows, rows)
    return norms


def _without_bias(product, diagonal, other):
    """Estimate the independence criterion without bias, times a constant.

    The rows of centred kernels sum to zero, so without the diagonal they sum to its negative: the
    three terms of the estimate need the diagonals alone.
    """
    n = len(diagonal)
    return (
        product
        + diagonal.sum() * other.sum() / ((n - 1) * (n - 2))
        - n / (n - 2) * (diagonal @ other)
    )
