# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from scipy.sparse import issparse

from sklearn_neurox.utils._row_blocks import row_blocks

# Sums of squares outside this range may have lost digits, or overflowed.
_SMALLEST, _LARGEST = 1e-250, 1e250


def column_means(X, sample_weight=None):
    """Compute the mean of every column in double precision, block by block.

    X may be a CSR matrix, of which only the stored values are read.
    """
    shares = _shares(X, sample_weight)
    # Differences from a row of positive weight make the mean of a constant column exact.
    with np.errstate(over="ignore", invalid="ignore"):
        if issparse(X):
            origin = sparse_origin(X, sample_weight)
            total = _column_sums(X, X.data - origin[X.indices], shares)
        else:
            origin = X[np.argmax(shares > 0)].astype(np.float64)
            total = np.zeros(X.shape[1])
            for block in row_blocks(X):
                total += shares[block] @ (X[block] - origin)
    _check_finite(total, "the difference between two of its values")
    return origin + total


def column_deviations(X, means, sample_weight=None):
    """Compute the standard deviation of every column in double precision; 0 if constant.

    Columns whose squares leave double precision are scaled by a power of two for the sums.
    """
    shares = _shares(X, sample_weight)
    variances = _variances(X, means, shares)
    deviations = np.sqrt(variances)
    if X.dtype == np.float64:
        for column in np.flatnonzero(~((variances > _SMALLEST) & (variances < _LARGEST))):
            values = X[:, [column]]
            largest = np.abs(values).max()
            if largest > 0:
                factor = np.ldexp(1.0, min(-int(np.frexp(largest)[1]), 1000))
                own = _variances(values * factor, means[[column]] * factor, shares)
                deviations[column] = np.sqrt(own[0]) / factor
    _check_finite(deviations, "the standard deviation of the column")
    return deviations


def column_variances(X, means, sample_weight=None):
    """Compute the variance of every column in double precision; X may be a CSR matrix."""
    total = _variances(X, means, _shares(X, sample_weight))
    _check_finite(total, "the variance of the column")
    return total


def _variances(X, means, shares):
    return (_variances_of_sparse if issparse(X) else _variances_of_dense)(X, means, shares)


def _check_finite(total, what):
    if np.isfinite(total).all():
        return
    column = int(np.flatnonzero(~np.isfinite(total))[0])
    raise ValueError(
        f"The values of column {column} of X are too large: {what} is not a finite number. Rescale "
        "the column, for example divide it by its largest value."
    )


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
    share_of_zeros = share_of_zeros.clip(min=0)
    with np.errstate(over="ignore"):
        squares = np.square(X.data - means[X.indices])
        of_zeros = np.multiply(
            share_of_zeros, np.square(means), out=np.zeros_like(means), where=share_of_zeros > 0
        )
        return _column_sums(X, squares, shares) + of_zeros


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
    weight = weight / weight.max()  # so that the sum neither overflows nor loses digits
    return weight / weight.sum()
