# SPDX-License-Identifier: BSD-3-Clause
"""Two matrices with a row each for the same words, read in blocks."""

import numpy as np

from sklearn_neurox.utils._validation import check_activations, row_blocks


class CentredMatrix:
    """A matrix less its column means, upcast to double precision one block at a time.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        In memory or memory-mapped; never copied whole.
    """

    def __init__(self, X):
        self.X = X
        self.n_samples, self.n_features = X.shape
        # Differences from the first row make the mean of a constant column that very constant.
        origin = X[0].astype(np.float64)
        total = np.zeros(self.n_features)
        for block in row_blocks(X):
            total += (X[block] - origin).sum(axis=0)
        self.means = origin + total / self.n_samples

    def rows(self, block):
        """Get some rows."""
        return self.X[block] - self.means

    def gram(self):
        """Multiply every two rows: an array of shape (n_samples, n_samples)."""
        product = np.zeros((self.n_samples, self.n_samples))
        for columns in row_blocks(self.X.T):
            part = self.X[:, columns] - self.means[columns]
            product += part @ part.T
        return product


def cross_product(A, B, blocks):
    """Multiply the transpose of a matrix with another, block of rows by block of rows.

    Parameters
    ----------
    A, B : callable
        Give rows for a slice, as ndarray of shape (n_rows, n_columns).

    blocks : iterable of slice

    Returns
    -------
    product : ndarray of shape (n_columns_of_A, n_columns_of_B)
    """
    return sum(A(block).T @ B(block) for block in blocks)


def shared_blocks(A, B):
    """Cut the rows of two matrices at the same places, into blocks that suit the wider one."""
    return list(row_blocks(A.X if A.n_features >= B.n_features else B.X))


def check_pair(X, Y, *, caller):
    """Validate two matrices with a row each for the same words.

    Parameters
    ----------
    X, Y : array-like of shape (n_samples, n_features_of_each)
        float16 is kept.

    caller : str
        The function, for messages.

    Returns
    -------
    X, Y : CentredMatrix

    Raises
    ------
    ValueError
        For other numbers of rows, fewer than three of them, values that are not finite, with the
        column and row, and matrices without any variance.
    """
    pair = []
    for name, matrix in (("X", X), ("Y", Y)):
        matrix, _ = check_activations(matrix, input_name=name, caller=caller, ensure_min_samples=3)
        pair.append(CentredMatrix(matrix))
    if pair[0].n_samples != pair[1].n_samples:
        raise ValueError(
            f"{caller} compares rows of the same words, but X has {pair[0].n_samples} rows and Y "
            f"{pair[1].n_samples}."
        )
    for name, matrix in zip("XY", pair, strict=True):
        if not any(matrix.rows(block).any() for block in row_blocks(matrix.X)):
            raise ValueError(f"{caller}: every column of {name} is constant; nothing varies in it.")
    return pair
