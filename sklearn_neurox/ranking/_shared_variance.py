# SPDX-License-Identifier: BSD-3-Clause
"""How much of every column the columns of another matrix tell."""

import numpy as np
from scipy.linalg import eigh

from sklearn_neurox.utils._correlations import correlations

# Variance below this fraction of the largest is rounding.
_RANK_TOLERANCE = 1e-10
# Of the variance, which is what SVCCA keeps.
_KEPT_VARIANCE = 0.99


def explained_by_all(own, other):
    """Multiple correlation of every column with all columns of another matrix.

    Parameters
    ----------
    own, other : StandardColumns

    Returns
    -------
    correlations : ndarray of shape (n_own,)
    """
    variances, directions = _principal(other)
    return _length(correlations(own, other) @ (directions / np.sqrt(variances)))


def explained_by_shared_subspace(own, other):
    """Length of every column's part in the principal subspace of both matrices.

    Parameters
    ----------
    own, other : StandardColumns

    Returns
    -------
    lengths : ndarray of shape (n_own,)
        Of columns of length 1, projected on the principal components of their own matrix and
        then on those of the other.
    """
    variances, directions = _principal(own, _KEPT_VARIANCE)
    other_variances, other_directions = _principal(other, _KEPT_VARIANCE)
    between = directions.T @ correlations(own, other) @ other_directions
    # The components' own scales cancel but for those of the other matrix.
    return _length(directions @ (between / np.sqrt(other_variances)))


def _principal(columns, share=1.0):
    """Variances and directions of the fewest components that hold a share of the variance."""
    variances, directions = eigh(correlations(columns, columns))
    variances, directions = variances[::-1], directions[:, ::-1]
    above = variances > _RANK_TOLERANCE * variances[0]
    variances, directions = variances[above], directions[:, above]
    if share < 1:
        n_kept = np.searchsorted(np.cumsum(variances), share * variances.sum()) + 1
        variances, directions = variances[:n_kept], directions[:, :n_kept]
    return variances, directions


def _length(rows):
    return np.sqrt(np.einsum("ij,ij->i", rows, rows))
