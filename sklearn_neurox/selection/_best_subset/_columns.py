# SPDX-License-Identifier: BSD-3-Clause
from copy import copy

import numpy as np
from scipy.sparse import csr_matrix, issparse

from sklearn_neurox.utils._moments import column_means, column_variances
from sklearn_neurox.utils._row_blocks import row_blocks

# Columns that `Columns.hold` keeps in memory at most.
_MOST_HELD = 64
# Larger factors could overflow single precision.
_LARGEST_FACTOR = 1e36


class Columns:
    """The columns of a matrix, centered and scaled while they are read, and how they are grouped.

    Only blocks of rows are copied, and of a CSR matrix nothing but the columns asked for.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)

    shares : ndarray of shape (n_samples,)
        Weights of the rows, which add up to one.

    standardize : bool
        Whether to divide columns by their standard deviations.

    units : ndarray of shape (n_features,)
        The number of the unit that each column belongs to, from 0.

    Attributes
    ----------
    n_units : int

    has_groups : bool
        Whether a unit has several columns.
    """

    def __init__(self, X, shares, *, standardize, units):
        self.X = X
        self.mean = column_means(X, shares)
        variance = column_variances(X, self.mean, shares)
        n_samples, eps = X.shape[0], np.finfo(np.float64).eps
        constant = variance <= n_samples * eps * variance + np.square(n_samples * self.mean * eps)
        scale = np.sqrt(variance) if standardize else np.ones(X.shape[1])
        # A constant column is zero once it is centered, whatever rounding leaves of it.
        self.factor = np.divide(1.0, scale, out=np.zeros_like(scale), where=~constant)
        self.units = units
        self.n_units = int(units.max()) + 1
        self.has_groups = self.n_units < len(units)
        self._sorted = np.argsort(units, kind="stable")
        self._bounds = np.searchsorted(units[self._sorted], np.arange(self.n_units + 1))
        self._held = {}
        # Precision of the numbers that only choose candidates.
        is_double = X.dtype.itemsize == 8 or self.factor.max() > _LARGEST_FACTOR
        self._dtype = np.float64 if is_double else np.float32

    def only(self, columns):
        """Copy some columns out of the matrix, each a unit of its own, in the order given."""
        few = copy(self)
        few.X = self.X[:, columns]
        few.mean, few.factor = self.mean[columns], self.factor[columns]
        few.n_units, few._held = len(columns), {}
        few.units = few._sorted = np.arange(few.n_units)
        few._bounds = np.arange(few.n_units + 1)
        return few

    def of(self, units):
        """Return the columns of some units, unit by unit."""
        parts = [self._sorted[self._bounds[unit] : self._bounds[unit + 1]] for unit in units]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.intp)

    def unit_sums(self, values):
        """Sum one value per column over the columns of each unit."""
        return np.bincount(self.units, weights=values, minlength=self.n_units)

    def hold(self, units):
        """Read the columns of some units at once, for `take`, and forget those of other units."""
        columns = self.of(units)
        self._held = {}
        if 0 < len(columns) <= _MOST_HELD:
            self._held = dict(zip(columns.tolist(), self._read(columns).T, strict=True))

    def take(self, columns):
        """Return some columns, of shape (n_samples, n_columns), in double precision."""
        if all(column in self._held for column in columns.tolist()):
            return np.stack([self._held[column] for column in columns.tolist()], axis=1)
        return self._read(columns)

    def _read(self, columns):
        out = np.empty((self.X.shape[0], len(columns)))
        for block, part in self._parts(columns, np.float64):
            out[block] = part
        return out

    def correlate(self, residual, columns=None):
        """Multiply the transposed columns by a residual; ``columns=None`` reads all."""
        if issparse(self.X):
            own = slice(None) if columns is None else columns
            part = self.X if columns is None else self.X[:, columns]
            out = part.T @ residual - np.outer(self.mean[own], residual.sum(axis=0))
            return out * self.factor[own, np.newaxis]
        n_columns = self.X.shape[1] if columns is None else len(columns)
        out = np.zeros((n_columns, residual.shape[1]))
        for block, part in self._parts(columns, np.float64):
            out += part.T @ residual[block]
        return out

    def multiply(self, columns, coef):
        """Multiply some columns by coefficients, in double precision."""
        if issparse(self.X):
            coef = coef * self.factor[columns, np.newaxis]
            return self.X[:, columns] @ coef - self.mean[columns] @ coef
        out = np.empty((self.X.shape[0], coef.shape[1]))
        for block, part in self._parts(columns, np.float64):
            out[block] = part @ coef
        return out

    def gram(self, columns, weight):
        """Compute the weighted Gram matrix of some columns, once their weighted means are 0."""
        if issparse(self.X):
            part, factor = self.X[:, columns], self.factor[columns]
            total = part.T @ weight
            gram = (part.T @ part.multiply(weight[:, np.newaxis]).tocsr()).toarray()
            # The means that centering subtracts cancel with the weighted means.
            gram = gram * factor * factor[:, np.newaxis]
            total *= factor
        else:
            gram, total = np.zeros((len(columns), len(columns))), np.zeros(len(columns))
            for block, part in self._parts(columns, self._dtype):
                weighted = part * weight[block, np.newaxis].astype(self._dtype)
                gram += part.T @ weighted
                total += weighted.sum(axis=0)
        return gram - np.outer(total, total) / max(weight.sum(), np.finfo(float).tiny)

    def cross_moments(self, residual, weight, chosen):
        """Read the matrix once for what the search needs to score all units.

        Parameters
        ----------
        residual : ndarray of shape (n_samples, n_outputs)

        weight : ndarray of shape (n_samples,)

        chosen : ndarray of shape (n_samples, n_chosen)

        Returns
        -------
        gradient : ndarray of shape (n_features, n_outputs)

        cross : ndarray of shape (n_features, n_chosen)
            Weighted products with the chosen columns.

        squares : ndarray of shape (n_features,), or list of ndarray
            Weighted squares of the columns, or the weighted Gram matrix of each group.
        """
        right = np.hstack([residual, weight[:, np.newaxis] * chosen])
        read = self._read_sparse if issparse(self.X) else self._read_dense
        products, squares = read(right, weight)
        n_outputs = residual.shape[1]
        return products[:, :n_outputs], products[:, n_outputs:], squares

    def _read_dense(self, right, weight):
        right, weight = right.astype(self._dtype), weight.astype(self._dtype)
        products = np.zeros((self.X.shape[1], right.shape[1]))
        squares = self._no_squares()
        for block, part in self._parts(None, self._dtype):
            products += part.T @ right[block]
            if self.has_groups:
                weighted = part * weight[block, np.newaxis]
                for unit, own in enumerate(squares):
                    columns = self.of([unit])
                    own += part[:, columns].T @ weighted[:, columns]
            else:
                squares += weight[block] @ np.square(part, out=part)
        return products, squares

    def _read_sparse(self, right, weight):
        X, mean, factor = self.X, self.mean, self.factor
        products = X.T @ right - np.outer(mean, right.sum(axis=0))
        total, mass = X.T @ weight, weight.sum()
        if not self.has_groups:
            squared = csr_matrix((np.square(X.data), X.indices, X.indptr), shape=X.shape)
            squares = squared.T @ weight - 2 * mean * total + mass * np.square(mean)
            return products * factor[:, np.newaxis], squares * np.square(factor)
        squares = []
        for unit in range(self.n_units):
            columns = self.of([unit])
            part = X[:, columns]
            own = (part.T @ part.multiply(weight[:, np.newaxis]).tocsr()).toarray()
            shift = np.outer(mean[columns], total[columns])
            own = own - shift - shift.T + mass * np.outer(mean[columns], mean[columns])
            squares.append(own * np.outer(factor[columns], factor[columns]))
        return products * factor[:, np.newaxis], squares

    def _no_squares(self):
        if not self.has_groups:
            return np.zeros(self.X.shape[1])
        sizes = np.diff(self._bounds)
        return [np.zeros((size, size)) for size in sizes]

    def _parts(self, columns, dtype):
        """Yield blocks of rows and the centered, scaled columns of each."""
        own = slice(None) if columns is None else columns
        mean, factor = self.mean[own].astype(dtype), self.factor[own].astype(dtype)
        for block in row_blocks(self.X):
            part = self.X[block] if columns is None else self.X[block][:, columns]
            part = (part.toarray() if issparse(part) else part).astype(dtype)
            part -= mean
            part *= factor
            yield block, part
