# SPDX-License-Identifier: BSD-3-Clause
"""Means and covariances of the classes, in double precision, over blocks of rows."""

import numpy as np

from sklearn_neurox.utils._submatrix import submatrix

# Blocks are long because a rank-one update of a covariance costs as much as a rank-fifty one.
_BLOCK_BYTES = 64_000_000
# Below this share of a column's total variance, rounding dominates. The same value is the
# default var_smoothing of GaussianNB.
_ROUNDING = 1e-9


def upcast_blocks(X, columns):
    """Yield slices of rows, each with the chosen columns of these rows as float64."""
    rows = max(1, _BLOCK_BYTES // (8 * max(1, X.shape[1])))
    for start in range(0, X.shape[0], rows):
        block = slice(start, min(start + rows, X.shape[0]))
        yield block, submatrix(X, block, columns).astype(np.float64)


def class_means(X, codes, weights, counts, columns):
    """Compute the class means, exactly equal for a constant column.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)

    codes : ndarray of shape (n_samples,), dtype=intp
        The class of every row.

    weights : ndarray of shape (n_samples,)
        Sample weights; rows of weight zero are ignored.

    counts : ndarray of shape (n_classes,)
        The total weight of every class.

    columns : ndarray of shape (n_columns,), dtype=intp
        The columns to use.

    Returns
    -------
    means : ndarray of shape (n_classes, n_columns)
    """
    origin = X[np.argmax(weights > 0)][columns].astype(np.float64)
    sums = np.zeros((len(counts), len(columns)))
    for block, values in upcast_blocks(X, columns):
        values -= origin
        sums += _membership(codes[block], weights[block], len(counts)) @ values
    return origin + sums / counts[:, np.newaxis]


def class_variances(X, codes, weights, counts, columns, means):
    """Compute the variances within each class, of shape (n_classes, n_columns)."""
    sums = np.zeros_like(means)
    for block, values in upcast_blocks(X, columns):
        values -= means[codes[block]]
        np.square(values, out=values)
        sums += _membership(codes[block], weights[block], len(counts)) @ values
    return sums / counts[:, np.newaxis]


def class_scatters(X, codes, weights, counts, columns, means):
    """Compute the weighted scatter matrices, of shape (n_classes, n_columns, n_columns)."""
    n_columns = len(columns)
    scatters = np.zeros((len(counts), n_columns, n_columns))
    for block, values in upcast_blocks(X, columns):
        values -= means[codes[block]]
        values *= np.sqrt(weights[block])[:, np.newaxis]
        for code in np.unique(codes[block]):
            members = values[codes[block] == code]
            scatters[code] += members.T @ members
    return scatters


def map_variances(means, variances, counts, n_dimensions, prior):
    """Compute the diagonals of the maximum a posteriori covariances.

    ``means`` and ``variances`` are the moments within each class, of shape (n_classes, n_columns);
    ``n_dimensions`` is the dimension of the Gaussians, of which the columns may be a subset;
    ``prior`` is the ``covariance_prior`` of the probe.
    """
    size = counts[:, np.newaxis]
    denominator = 2 * n_dimensions + 4
    prior_size = 1 if prior == "mean" else denominator
    diagonals = (prior_size + size) * variances / (size + denominator)
    return lift_variances(diagonals, means, variances, counts)


def map_covariances(X, codes, weights, counts, columns, prior):
    """Compute the maximum a posteriori means and covariances of the classes."""
    n_columns = len(columns)
    means = class_means(X, codes, weights, counts, columns)
    covariances = class_scatters(X, codes, weights, counts, columns, means)
    diagonal = np.arange(n_columns)
    variances = covariances[:, diagonal, diagonal] / counts[:, np.newaxis]
    covariances /= (counts + 2 * n_columns + 4)[:, np.newaxis, np.newaxis]
    covariances[:, diagonal, diagonal] = map_variances(means, variances, counts, n_columns, prior)
    return means, covariances


def lift_variances(diagonals, means, variances, counts):
    """Keep the variances of tiny classes and of constant columns away from zero.

    ``diagonals`` are the variances to lift; the other arguments are those of `map_variances`.
    """
    shares = counts / counts.sum()
    pooled = shares @ variances
    total = pooled + variance_between(means, shares)
    size = np.maximum(counts, 1)[:, np.newaxis]
    diagonals = diagonals + pooled / size / size  # the square of a huge weight would overflow
    diagonals += _ROUNDING * total
    # Equal variances in all classes make a dead neuron uninformative.
    diagonals[:, total == 0] = 1.0
    return diagonals


def variance_between(means, shares):
    """Compute the variance of the class means, weighted by the shares of the classes."""
    # Differences from the first class are exactly zero in a constant column.
    offsets = means - means[0]
    return shares @ np.square(offsets - shares @ offsets)


def _membership(codes, weights, n_classes):
    membership = np.zeros((n_classes, len(codes)))
    membership[codes, np.arange(len(codes))] = weights
    return membership
