# SPDX-License-Identifier: BSD-3-Clause
"""Canonical correlations between the main directions of two matrices."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, svd

from sklearn_neurox.evaluation._similarity._paired_rows import (
    CentredMatrix,
    cross_product,
    shared_blocks,
)
from sklearn_neurox.utils._warn_user import warn_user


@dataclass(frozen=True)
class MainDirections:
    """Orthonormal columns that span the main directions of a matrix."""

    matrix: CentredMatrix
    whitener: np.ndarray | None  # (n_features, n_directions)
    basis: np.ndarray | None  # (n_samples, n_directions), where that is the smaller

    @property
    def n_directions(self):
        """How many there are."""
        return (self.basis if self.whitener is None else self.whitener).shape[1]

    def times(self, B):
        """Multiply the transpose of the orthonormal columns with a matrix.

        Parameters
        ----------
        B : CentredMatrix

        Returns
        -------
        product : ndarray of shape (n_directions, n_features_of_B)
        """
        blocks = shared_blocks(self.matrix, B)
        if self.whitener is None:
            return cross_product(lambda block: self.basis[block], B.rows, blocks)
        return self.whitener.T @ cross_product(self.matrix.rows, B.rows, blocks)


def correlations_of(first, second):
    """Multiply the orthonormal columns of two matrices with each other.

    Parameters
    ----------
    first, second : MainDirections

    Returns
    -------
    product : ndarray of shape (n_directions_of_first, n_directions_of_second)
    """
    if second.whitener is not None:
        return first.times(second.matrix) @ second.whitener
    if first.whitener is not None:
        return correlations_of(second, first).T
    return first.basis.T @ second.basis


def main_directions(A, variance):
    """Find the fewest principal directions that hold a share of the variance.

    Parameters
    ----------
    A : CentredMatrix

    variance : float
        The share, in (0, 1]. What rounding leaves of a lacking rank is never among them.

    Returns
    -------
    directions : MainDirections
    """
    by_rows = A.n_samples <= A.n_features
    product = A.gram() if by_rows else cross_product(A.rows, A.rows, shared_blocks(A, A))
    values, vectors = eigh(product, overwrite_a=True)
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > values[0] * len(values) * np.finfo(np.float64).eps).sum())
    shares = np.cumsum(values[:rank]) / values[:rank].sum()
    # A share of 1 may come out as slightly less.
    count = min(rank, int(np.searchsorted(shares, variance * (1 - 1e-12))) + 1)
    count = rank if variance == 1 else count
    if by_rows:
        return MainDirections(A, None, vectors[:, :count])
    return MainDirections(A, vectors[:, :count] / np.sqrt(values[:count]), None)


def canonical_correlations(X, Y, variance, *, caller):
    """Correlate the main directions of two matrices.

    Parameters
    ----------
    X, Y : CentredMatrix

    variance : float
        The share of the variance that the directions hold, in (0, 1].

    caller : str
        The function, for messages.

    Returns
    -------
    correlations : ndarray of shape (n_correlations,)
        Descending, as many as the matrix with fewer directions has of them.

    directions : MainDirections
        Those of X.

    coordinates : ndarray of shape (n_directions, n_correlations)
        The canonical variables of X in these directions.

    Warns
    -----
    UserWarning
        If there are so few rows that some correlations are 1 whatever the data.
    """
    first, second = main_directions(X, variance), main_directions(Y, variance)
    trivial = first.n_directions + second.n_directions - (X.n_samples - 1)
    if trivial > 0:
        warn_user(
            f"{caller} compares {first.n_directions} with {second.n_directions} directions on "
            f"{X.n_samples} rows: {trivial} canonical correlations are 1 whatever the data. Take "
            "more rows, or a smaller variance=.",
        )
    coordinates, correlations, _ = svd(correlations_of(first, second), full_matrices=False)
    return np.clip(correlations, 0, 1), first, coordinates
