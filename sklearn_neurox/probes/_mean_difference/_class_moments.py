# SPDX-License-Identifier: BSD-3-Clause
"""Class means and the scatter within classes, in double precision, in one pass over the rows."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, issparse

# Blocks are long because a rank-one update of a scatter matrix costs as much as a rank-fifty one.
_BLOCK_BYTES = 64_000_000
# Relative to the largest value, the rounding error per row of a standard deviation.
_ROUNDING = 2e-15


@dataclass
class ClassMoments:
    """Moments of the rows seen so far, computed without subtracting large sums from each other.

    ``scatter`` is the sum over classes of the scatter around the class mean, of shape
    (n_features, n_features); None if only ``squares`` are needed, the sums of squared differences
    from the class mean, of shape (n_classes, n_features), which are None otherwise.
    """

    counts: np.ndarray
    means: np.ndarray
    squares: np.ndarray | None
    scatter: np.ndarray | None

    @classmethod
    def empty(cls, n_classes, n_features, *, with_scatter):
        """Start without any row."""
        shape = n_classes, n_features
        squares = None if with_scatter else np.zeros(shape)
        scatter = np.zeros((n_features, n_features)) if with_scatter else None
        return cls(np.zeros(n_classes), np.zeros(shape), squares, scatter)

    def updated(self, X, codes, weights):
        """Return the moments of the rows seen so far and of these."""
        moments = ClassMoments(
            *(None if part is None else part.copy() for part in vars(self).values())
        )
        if issparse(X) and self.scatter is None:
            moments._add_sparse(X, codes, weights)
            return moments
        for block in _blocks(X):
            moments._add(_dense(X[block]), codes[block], weights[block])
        return moments

    def is_finite(self):
        """Return whether all sums are finite, which they are not if a value of X is not."""
        parts = [part for part in vars(self).values() if part is not None]
        return all(np.isfinite(part).all() for part in parts)

    def total_within(self):
        """Return the sum over neurons of the scatter within classes."""
        return float(self.squares.sum() if self.scatter is None else np.trace(self.scatter))

    def _add(self, values, codes, weights):
        # Differences from one row make the means of a constant column exactly equal.
        shift = values[0].copy()
        values -= shift
        members = np.zeros((len(self.counts), len(codes)))
        members[codes, np.arange(len(codes))] = weights
        counts = members.sum(axis=1)
        # Without a row of positive weight, a product with zero still detects values like NaN.
        means = members @ values / np.where(counts > 0, counts, 1)[:, np.newaxis]
        values -= means[codes]
        if self.scatter is None:
            np.square(values, out=values)
            self.squares += members @ values
        else:
            values *= np.sqrt(weights)[:, np.newaxis]
            self.scatter += values.T @ values
        self._merge(counts, means + shift)

    def _add_sparse(self, X, codes, weights):
        shape = len(self.counts), len(codes)
        members = csr_array((weights, (codes, np.arange(len(codes)))), shape)
        counts = members.sum(axis=1)
        size = np.where(counts > 0, counts, 1)[:, np.newaxis]
        parts = X.data.astype(np.float64), X.indices.copy(), X.indptr.copy()
        stored = csr_array(parts, X.shape)
        stored.sum_duplicates()
        means = (members @ stored).toarray() / size
        of_value = np.repeat(codes, np.diff(stored.indptr))
        stored.data = (stored.data - means[of_value, stored.indices]) ** 2
        self.squares += (members @ stored).toarray()
        # A value that is not stored is zero, as far from the mean as the mean from zero.
        stored.data = np.ones_like(stored.data)
        n_zeros = counts[:, np.newaxis] - (members @ stored).toarray()
        self.squares += np.maximum(n_zeros, 0) * means**2
        self._merge(counts, means)

    def _merge(self, counts, means):
        total = self.counts + counts
        share = np.divide(counts, total, out=np.zeros_like(total), where=total > 0)
        gaps = (means - self.means) * (counts > 0)[:, np.newaxis]
        between = gaps * np.sqrt(self.counts * share)[:, np.newaxis]
        if self.scatter is None:
            self.squares += between**2
        else:
            self.scatter += between.T @ between
        self.means += gaps * share[:, np.newaxis]
        self.counts = total


def ledoit_wolf_covariance(X, codes, weights, moments):
    """Compute the covariance within classes that scikit-learn's LDA uses for shrinkage="auto".

    Each class is standardized and shrunk by itself, by the amount of Ledoit and Wolf ("A
    well-conditioned estimator for large-dimensional covariance matrices", 2004), which needs the
    fourth moments of its rows. ``moments`` has ``squares``.
    """
    n_features = X.shape[1]
    shares = moments.counts / moments.counts.sum()
    covariance = np.zeros((n_features, n_features))
    variances = moments.squares / moments.counts[:, np.newaxis]
    largest = np.sqrt(np.max(variances + moments.means**2, axis=0))
    for code, count in enumerate(moments.counts):
        rows = np.flatnonzero((codes == code) & (weights > 0))
        # A column that is constant within the class gets scale one, as in scikit-learn.
        varies = np.sqrt(variances[code]) > _ROUNDING * len(rows) * largest
        scale = np.sqrt(np.where(varies, variances[code], 1))
        scatter, fourth = np.zeros_like(covariance), 0.0
        for block in _blocks(X, len(rows)):
            values = (_dense(X[rows[block]]) - moments.means[code]) / scale
            fourth += weights[rows[block]] @ np.square(values).sum(axis=1) ** 2
            values *= np.sqrt(weights[rows[block]])[:, np.newaxis]
            scatter += values.T @ values
        scatter /= count
        level = np.trace(scatter) / n_features
        amount = _ledoit_wolf_amount(scatter, fourth / count, count, level)
        scatter *= 1 - amount
        scatter[np.diag_indices(n_features)] += amount * level
        covariance += shares[code] * scale[:, np.newaxis] * scatter * scale
    return covariance


def _ledoit_wolf_amount(covariance, fourth, count, level):
    n_features = len(covariance)
    if n_features == 1:
        return 0.0
    norm = np.square(covariance).sum()
    noise = (fourth - norm) / (n_features * count)
    distance = norm / n_features - level**2
    noise = min(noise, distance)
    return 0.0 if noise == 0 else noise / distance


def _blocks(X, n_rows=None):
    n_rows = X.shape[0] if n_rows is None else n_rows
    rows = max(1, _BLOCK_BYTES // (8 * max(1, X.shape[1])))
    for start in range(0, n_rows, rows):
        yield slice(start, min(start + rows, n_rows))


def _dense(rows):
    return (rows.toarray() if issparse(rows) else rows).astype(np.float64)
