# SPDX-License-Identifier: BSD-3-Clause
"""How much of each column can be predicted from the columns of another matrix."""

import numpy as np
from scipy.linalg import eigh

from sklearn_neurox.utils._correlations import correlations

# Variances below this fraction of the largest are rounding errors.
_RANK_TOLERANCE = 1e-10
# Fraction of the variance that SVCCA keeps.
_KEPT_VARIANCE = 0.99


def explained_by_all(own, other):
    """Return the multiple correlation of each column with all columns of another matrix."""
    variances, directions = _principal(other)
    return _length(correlations(own, other) @ (directions / np.sqrt(variances)))


def explained_by_shared_subspace(own, other):
    """Return the length of each column after two projections, starting from length 1.

    Columns are projected onto the principal components of their own matrix, then onto those of the
    other.
    """
    variances, directions = _principal(own, _KEPT_VARIANCE)
    other_variances, other_directions = _principal(other, _KEPT_VARIANCE)
    between = directions.T @ correlations(own, other) @ other_directions
    # All scales of the components cancel except those of the other matrix.
    return _length(directions @ (between / np.sqrt(other_variances)))


def _principal(columns, share=1.0):
    """Return the fewest components that hold a share of the variance: variances, directions."""
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
