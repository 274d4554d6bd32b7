# SPDX-License-Identifier: BSD-3-Clause
"""Greedy forward selection under Gaussians; a step scores all candidates in one pass."""

import numpy as np

from sklearn_neurox.ranking._gaussian._conditional_scores import column_weights, conditional_scores

# All candidates are screened in single precision, and this many are compared in double precision.
_N_FINALISTS = 8
# With more rows, columns are first scored on this many, and only the best _N_SECOND on all rows.
_FIRST_ROWS = 4096
_N_SECOND = 64


class GreedySelection:
    """The chosen columns and the state that the next greedy step needs.

    A step costs one matrix product per class: the Cholesky factor of the chosen block grows by one
    row, and so does the regression of each candidate on the chosen columns.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_candidates), dtype float32
        Held-out rows, ordered so that similar rows are spread out.

    exact : callable
        Returns the given columns of X in float64; keeping all of them would take much more memory.

    codes : ndarray of shape (n_samples,)
        Class codes of the rows.

    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.

    means : ndarray of shape (n_classes, n_candidates)

    covariances : ndarray of shape (n_classes, n_candidates, n_candidates)

    priors : ndarray of shape (n_classes,)

    n_steps : int
        Number of steps that will be made.

    by_accuracy : bool
        Whether to compare by accuracy first and log-likelihood second, or by log-likelihood alone.
    """

    def __init__(
        self, X, exact, codes, weight, means, covariances, priors, *, n_steps, by_accuracy
    ):
        self.X, self.exact = X, exact
        self.codes, self.weight, self.by_accuracy = codes, weight, by_accuracy
        self.covariances = covariances
        self.n_chosen = 0
        self.Z = np.ones((len(priors), len(X), n_steps + 1))
        self.Z_screened = self.Z.astype(np.float32)
        self.base = np.repeat(np.log(priors)[:, np.newaxis], len(X), axis=1)
        # Regression of all candidates on the chosen columns: intercepts, then coefficients of Z.
        self.regression = means[:, np.newaxis]
        self.variances = np.diagonal(covariances, axis1=1, axis2=2).copy()
        self.open = np.ones(X.shape[1], dtype=bool)

    def step(self):
        """Choose the next column; return it with the log-likelihood and accuracy it reaches."""
        left = np.flatnonzero(self.open)
        if len(self.X) > _FIRST_ROWS:
            left = self._best_of(left, self._screened, self.Z_screened, _FIRST_ROWS)[0][:_N_SECOND]
        left = self._best_of(left, self._screened, self.Z_screened)[0][:_N_FINALISTS]
        left, log_likelihood, accuracy = self._best_of(left, self._exact, self.Z)
        self._choose(left[0])
        return left[0], log_likelihood[0], accuracy[0]

    def _screened(self, columns, rows):
        return self.X[rows, columns]

    def _exact(self, columns, rows):
        return self.exact(columns)[rows]

    def _best_of(self, columns, read, Z, n_rows=None):
        columns, rows = np.sort(columns), slice(n_rows)
        scores = self._score(columns, read(columns, rows), Z, rows)
        weight = None if self.weight is None else self.weight[rows]
        log_likelihood, accuracy = (row_means(each, weight) for each in scores)
        order = better_first(log_likelihood, accuracy, by_accuracy=self.by_accuracy)
        return columns[order], log_likelihood[order], accuracy[order]

    def _score(self, columns, values, Z, rows):
        weights, offsets = column_weights(
            self.regression[:, :, columns], self.variances[:, columns]
        )
        known = Z[:, rows, : self.n_chosen + 1]
        return conditional_scores(
            values, known, self.base[:, rows], self.codes[rows], weights, offsets
        )

    def _choose(self, column):
        deviations = np.sqrt(self.variances[:, column])[:, np.newaxis]
        regression = self.regression[:, :, column, np.newaxis]
        predicted = (self.Z[:, :, : self.n_chosen + 1] @ regression)[..., 0]
        whitened = (self.exact([column])[:, 0] - predicted) / deviations
        self.base -= 0.5 * np.square(whitened) + np.log(deviations)
        self.base -= self.base.max(axis=0)
        shared = (regression[:, 1:] * self.regression[:, 1:]).sum(axis=1)
        row = (self.covariances[:, column] - shared) / deviations
        self.regression = np.concatenate([self.regression, row[:, np.newaxis]], axis=1)
        self.variances = self.variances - np.square(row)
        self.open[column] = False
        self.n_chosen += 1
        self.Z[:, :, self.n_chosen] = self.Z_screened[:, :, self.n_chosen] = whitened


def row_means(values, weight):
    """Average the rows of a matrix in double precision; None weights them equally."""
    if weight is None:
        return values.mean(axis=0, dtype=np.float64)
    return np.average(values, axis=0, weights=weight)


def better_first(log_likelihood, accuracy, *, by_accuracy):
    """Order columns, best first; ties keep their position."""
    return np.lexsort([-log_likelihood, -accuracy][: 1 + by_accuracy])
