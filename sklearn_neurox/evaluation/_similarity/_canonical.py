# SPDX-License-Identifier: BSD-3-Clause
"""Canonical correlations between the main directions of two matrices."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, svd

from sklearn_neurox.evaluation._similarity._paired_rows import (
    CenteredMatrix,
    check_pair,
    cross_product,
    shared_blocks,
)
from sklearn_neurox.utils._warn_user import warn_user


@dataclass(frozen=True)
class MainDirections:
    """Orthonormal columns that span the main directions of a matrix."""

    # Either whitener or basis is set: the basis if the matrix has no more rows than columns.

    matrix: CenteredMatrix
    whitener: np.ndarray | None  # (n_features, n_directions)
    basis: np.ndarray | None  # (n_samples, n_directions)

    @property
    def n_directions(self):
        """Number of directions."""
        return (self.basis if self.whitener is None else self.whitener).shape[1]

    def times(self, B):
        """Multiply the transposed orthonormal columns by a matrix."""
        blocks = shared_blocks(self.matrix, B)
        if self.whitener is None:
            return cross_product(lambda block: self.basis[block], B.rows, blocks)
        return self.whitener.T @ cross_product(self.matrix.rows, B.rows, blocks)


def correlations_of(first, second):
    """Multiply the transposed orthonormal columns of one matrix by those of another."""
    if second.whitener is not None:
        return first.times(second.matrix) @ second.whitener
    if first.whitener is not None:
        return correlations_of(second, first).T
    return first.basis.T @ second.basis


def main_directions(A, variance):
    """Find the fewest principal directions that hold a share of the variance, in (0, 1].

    Directions whose variance is only a rounding error are excluded even for a share of 1.
    """
    by_rows = A.n_samples <= A.n_features
    product = A.gram() if by_rows else cross_product(A.rows, A.rows, shared_blocks(A, A))
    values, vectors = eigh(product, overwrite_a=True)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > values[0] * len(values) * np.finfo(np.float64).eps).sum())
    shares = np.cumsum(values[:rank]) / values[:rank].sum()
    # Rounding may make the last share slightly less than 1.
    count = min(rank, int(np.searchsorted(shares, variance * (1 - 1e-12))) + 1)
    count = rank if variance == 1 else count
    if by_rows:
        return MainDirections(A, None, vectors[:, :count])
    return MainDirections(A, vectors[:, :count] / np.sqrt(values[:count]), None)


def canonical_correlations(X, Y, variance, *, caller):
    """Compute the canonical correlations between the main directions of two matrices.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features)

    variance : float
        Share of the variance that the directions hold, in (0, 1].

    caller : str
        Name of the public function, for messages.

    Returns
    -------
    correlations : ndarray of shape (n_correlations,)
        Descending; as many as the smaller number of directions.

    directions : MainDirections
        The main directions of X.

    coordinates : ndarray of shape (n_directions, n_correlations)
        The canonical variables of X in these directions.
    """
    A, B = check_pair(X, Y, caller=caller)
    first, second = main_directions(A, variance), main_directions(B, variance)
    trivial = first.n_directions + second.n_directions - (A.n_samples - 1)
    if trivial > 0:
        warn_user(
            f"{caller} compares {first.n_directions} with {second.n_directions} directions on "
            f"{A.n_samples} rows: {trivial} canonical correlations are 1 for any data. Use more "
            "rows, or a smaller 'variance'."
        )
    coordinates, correlations, _ = svd(correlations_of(first, second), full_matrices=False)
    return np.clip(correlations, 0, 1), first, coordinates
