# SPDX-License-Identifier: BSD-3-Clause
"""Two matrices whose rows are the same words, read in blocks."""

import numpy as np

from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._validation import check_activations, check_row_order


class CenteredMatrix:
    """A matrix minus its column means, converted to double precision one block at a time.

    The matrix may be memory-mapped and is never copied as a whole. It is scaled by a power of two
    if products of four of its values would leave double precision; no similarity depends on that.
    """

    def __init__(self, X):
        self.X = X
        self.n_samples, self.n_features = X.shape
        self.factor = _factor(X)
        # Subtracting the first row makes the mean of a constant column exact.
        origin = self._read(slice(0, 1))[0]
        total = np.zeros(self.n_features)
        for block in row_blocks(X):
            total += (self._read(block) - origin).sum(axis=0)
        self.means = origin + total / self.n_samples

    def rows(self, block):
        """Return the centered rows of a block."""
        return self._read(block) - self.means

    def gram(self):
        """Return the inner products of all pairs of rows, of shape (n_samples, n_samples)."""
        product = np.zeros((self.n_samples, self.n_samples))
        for columns in row_blocks(self.X.T):
            part = self._read((slice(None), columns)) - self.means[columns]
            product += part @ part.T
        return product

    def _read(self, place):
        part = self.X[place].astype(np.float64, copy=False)
        return part if self.factor == 1 else part * self.factor


def _factor(X):
    largest = max(max(-float(X[b].min()), float(X[b].max())) for b in row_blocks(X))
    exponent = int(np.frexp(largest)[1])
    return 1.0 if abs(exponent) < 60 else float(np.ldexp(1.0, min(-exponent, 1000)))


def cross_product(A, B, blocks):
    """Multiply a transposed matrix by another, block by block; A and B return rows for a slice."""
    return sum(A(block).T @ B(block) for block in blocks)


def shared_blocks(A, B):
    """Return slices that cut the rows of both matrices into blocks sized for the wider one."""
    return list(row_blocks(A.X if A.n_features >= B.n_features else B.X))


def check_pair(X, Y, *, caller):
    """Validate two matrices whose rows are the same words; return them as CenteredMatrix."""
    check_row_order(X=X, Y=Y)
    pair = []
    for name, matrix in (("X", X), ("Y", Y)):
        matrix, _ = check_activations(matrix, input_name=name, caller=caller, ensure_min_samples=3)
        pair.append(CenteredMatrix(matrix))
    if pair[0].n_samples != pair[1].n_samples:
        raise ValueError(
            f"{caller} compares activations on the same words, but X has {pair[0].n_samples} rows "
            f"and Y has {pair[1].n_samples}. Pass the same words to both, in the same order."
        )
    for name, matrix in zip("XY", pair, strict=True):
        if not any(matrix.rows(block).any() for block in row_blocks(matrix.X)):
            raise ValueError(
                f"{caller} cannot compare {name}, because every column of {name} is constant. Use "
                "more varied words, or other neurons."
            )
    return pair
