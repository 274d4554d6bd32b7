# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from scipy.sparse import issparse

from sklearn_neurox.utils._row_blocks import row_blocks


def column_means(X, sample_weight=None):
    """Compute the mean of every column in double precision, block by block.

    X may be a CSR matrix, of which only the stored values are read.
    """
    shares = _shares(X, sample_weight)
    if issparse(X):
        origin = sparse_origin(X, sample_weight)
        return origin + _column_sums(X, X.data - origin[X.indices], shares)
    # Differences from a row of positive weight make the mean of a constant column exact.
    origin = X[np.argmax(shares > 0)].astype(np.float64)
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        total += shares[block] @ (X[block] - origin)
    return origin + total


def column_deviations(X, means, sample_weight=None):
    """Compute the standard deviation of every column in double precision; 0 if constant."""
    return np.sqrt(column_variances(X, means, sample_weight))


def column_variances(X, means, sample_weight=None):
    """Compute the variance of every column in double precision; X may be a CSR matrix."""
    shares = _shares(X, sample_weight)
    total = _variances_of_sparse if issparse(X) else _variances_of_dense
    total = total(X, means, shares)
    if not np.isfinite(total).all():
        column = int(np.flatnonzero(~np.isfinite(total))[0])
        raise ValueError(
            f"The values of column {column} of X are too large: the variance of the column is not "
            "a finite number. Rescale the column, for example divide it by its largest value."
        )
    return total


def _variances_of_dense(X, means, shares):
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        centered = X[block] - means
        with np.errstate(over="ignore"):
            total += shares[block] @ np.square(centered, out=centered)
    return total


def _variances_of_sparse(X, means, shares):
    # Zeros are at distance ``means``; those of a column without any must not add rounding errors.
    share_of_zeros = 1 - _column_sums(X, np.ones(len(X.data)), shares)
    share_of_zeros[_has_no_zeros(X, shares)] = 0
    with np.errstate(over="ignore"):
        squares = np.square(X.data - means[X.indices])
        zeros = share_of_zeros.clip(min=0) * np.square(means)
        return _column_sums(X, squares, shares) + zeros


def sparse_origin(X, sample_weight=None):
    """Return a row to subtract from the stored values of a CSR matrix, in double precision.

    It is zero, except in the columns without zeros, where it is a row of positive weight: constant
    columns are then exactly zero, as `column_means` makes them in a dense matrix.
    """
    shares, origin = _shares(X, sample_weight), np.zeros(X.shape[1])
    full = np.flatnonzero(_has_no_zeros(X, shares))
    if len(full):
        origin[full] = X[[int(np.argmax(shares > 0))]][:, full].toarray()[0]
    return origin


def _has_no_zeros(X, shares):
    """Mark the columns of a CSR matrix that store a value in each row of positive weight."""
    counts = _column_sums(X, np.ones(len(X.data)), (shares > 0).astype(np.float64))
    return counts == np.count_nonzero(shares)


def _column_sums(X, data, shares):
    """Sum values at the places of a CSR matrix's stored ones, weighted by rows."""
    weights = np.repeat(shares, np.diff(X.indptr))
    weights *= data
    return np.bincount(X.indices, weights=weights, minlength=X.shape[1])


def _shares(X, sample_weight):
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    return weight / weight.sum()
