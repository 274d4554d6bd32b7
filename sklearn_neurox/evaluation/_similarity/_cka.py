# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.evaluation._similarity._paired_rows import (
    check_pair,
    cross_product,
    shared_blocks,
)


@validate_params(
    {"X": ["array-like"], "Y": ["array-like"], "debiased": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def cka(X: ArrayLike, Y: ArrayLike, *, debiased: bool = False) -> float:
    """Compute the linear centered kernel alignment (CKA) of two representations.

    CKA correlates the similarities between words in one representation with those in the other. It
    does not change if a representation is rotated or scaled as a whole, but it does if single
    neurons are scaled.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        Activations for the same words, for example from two layers or models.

    debiased : bool, default=False
        Whether to remove the bias of finite samples. The plain CKA of unrelated representations
        approaches 1 as neurons outnumber words. The debiased CKA is about 0 for them, and may be
        slightly negative.

    Returns
    -------
    similarity : float
        1 if the representations are equal up to rotation and scale; in [0, 1] unless debiased.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a value is not finite, all columns of a matrix are constant,
        or there are fewer than four rows with ``debiased``.

    See Also
    --------
    svcca : Weight all main directions equally, however strong.
    pwcca : Weight directions by how much of X they explain.

    Notes
    -----
    Rows are read in blocks, so memory-mapped matrices stay on disk. Memory use is that of the Gram
    matrix of columns or of rows, whichever is smaller.

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
    A, B = check_pair(X, Y, caller="cka")
    if debiased and A.n_samples < 4:
        raise ValueError(f"cka(debiased=True) needs at least four rows, got {A.n_samples}.")
    if A.n_samples < max(A.n_features, B.n_features):
        K, L = A.gram(), B.gram()
        xy, xx, yy = np.vdot(K, L), np.vdot(K, K), np.vdot(L, L)
    else:
        blocks = shared_blocks(A, B)
        xy, xx, yy = (
            np.square(cross_product(first.rows, second.rows, blocks)).sum()
            for first, second in ((A, B), (A, A), (B, B))
        )
    if debiased:
        of_x, of_y = _squared_norms(A), _squared_norms(B)
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
    """Return the unbiased estimate of the independence criterion, up to a constant factor.

    The rows of a centered kernel sum to zero, so without the diagonal they sum to its negative. The
    correction terms therefore only need the diagonals.
    """
    n = len(diagonal)
    return (
        product
        + diagonal.sum() * other.sum() / ((n - 1) * (n - 2))
        - n / (n - 2) * (diagonal @ other)
    )
