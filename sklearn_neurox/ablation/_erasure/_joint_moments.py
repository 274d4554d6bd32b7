# SPDX-License-Identifier: BSD-3-Clause
"""Means and cross-products of activations and a concept, in one pass, in double precision."""

from dataclasses import dataclass

import numpy as np

_BLOCK_BYTES = 64_000_000


@dataclass
class JointMoments:
    """Moments of rows x of activations and rows z of a concept.

    ``scatter`` is the sum of (x - mean)(x - mean)', of shape (n_features, n_features), or only its
    diagonal, of shape (n_features,). ``cross`` is that of (x - mean)(z - mean_z)'.
    """

    count: float
    mean: np.ndarray
    scatter: np.ndarray
    mean_z: np.ndarray
    squares_z: np.ndarray
    cross: np.ndarray

    @classmethod
    def empty(cls, n_features, n_columns, *, with_scatter):
        """Start without any row."""
        shape = (n_features, n_features) if with_scatter else (n_features,)
        of_z = np.zeros(n_columns), np.zeros(n_columns), np.zeros((n_features, n_columns))
        return cls(0.0, np.zeros(n_features), np.zeros(shape), *of_z)

    def widened(self, places, n_columns):
        """Return these moments with more columns of the concept, which were zero so far."""
        wide = JointMoments.empty(len(self.mean), n_columns, with_scatter=False)
        wide.mean_z[places], wide.squares_z[places] = self.mean_z, self.squares_z
        wide.cross[:, places] = self.cross
        return JointMoments(
            self.count, self.mean, self.scatter, wide.mean_z, wide.squares_z, wide.cross
        )

    def updated(self, X, columns, weights):
        """Return the moments of the rows seen so far and of these."""
        moments = JointMoments(self.count, *(part.copy() for part in list(vars(self).values())[1:]))
        n_rows = max(1, _BLOCK_BYTES // (8 * max(1, X.shape[1])))
        for start in range(0, X.shape[0], n_rows):
            block = slice(start, min(start + n_rows, X.shape[0]))
            weight = None if weights is None else weights[block]
            moments._add(X[block], np.hstack([column.rows(block) for column in columns]), weight)
        return moments

    def deviations(self):
        """Return the standard deviation of every column, 1 if it is constant."""
        diagonal = self.scatter if self.scatter.ndim == 1 else np.diag(self.scatter)
        return _deviations(diagonal, self.count)

    def correlations(self):
        """Return the correlations of every column with the concept, and deviations of both."""
        of_x, of_z = self.deviations(), _deviations(self.squares_z, self.count)
        return self.cross / self.count / of_x[:, np.newaxis] / of_z, of_x, of_z

    def _add(self, rows, z, weight):
        count = float(len(rows)) if weight is None else float(weight.sum())
        if not count:
            return
        share = np.full(len(rows), 1 / count) if weight is None else weight / count
        # Differences from one row make a constant column exactly zero.
        shift = rows[0].astype(np.float64)
        x = rows - shift
        mean, mean_z = share @ x, share @ z
        x -= mean
        z -= mean_z
        root = np.sqrt(share * count)[:, np.newaxis]
        x *= root
        z *= root
        gap, gap_z = mean + shift - self.mean, mean_z - self.mean_z
        between = self.count * count / (self.count + count)
        if self.scatter.ndim == 1:
            self.scatter += np.einsum("ij,ij->j", x, x) + between * gap**2
        else:
            self.scatter += x.T @ x
            self.scatter += between * np.outer(gap, gap)
        self.squares_z += np.einsum("ij,ij->j", z, z) + between * gap_z**2
        self.cross += x.T @ z + between * np.outer(gap, gap_z)
        self.count += count
        self.mean += gap * (count / self.count)
        self.mean_z += gap_z * (count / self.count)


def _deviations(squares, count):
    return np.sqrt(np.where(squares > 0, squares / count, 1.0))
