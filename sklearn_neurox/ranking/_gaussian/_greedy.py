# SPDX-License-Identifier: BSD-3-Clause
"""Greedy forward selection under Gaussians: every candidate of a step in one pass."""

import numpy as np

from sklearn_neurox.ranking._gaussian._conditional_scores import column_weights, conditional_scores

# Single precision screens all candidates; as many of the best are compared in double precision.
_N_FINALISTS = 8
# With more rows than the first, only so many of the columns that are best on them go on.
_FIRST_ROWS = 4096
_N_SECOND = 64


class GreedySelection:
    """Chosen columns, and all that the next step needs to know about them.

    A step costs one matrix product a class: the Cholesky factor of the chosen block grows by a
    row, and with it the regression of every candidate on the chosen.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_candidates), dtype float32
        Held-out rows, in any order that spreads what is alike.

    exact : callable
        Gives some columns of X in float64; all of them would take much more memory.

    codes : ndarray of shape (n_samples,)
        Their classes.

    weight : ndarray of shape (n_samples,) or None
        How much they count.

    means : ndarray of shape (n_classes, n_candidates)

    covariances : ndarray of shape (n_classes, n_candidates, n_candidates)

    priors : ndarray of shape (n_classes,)

    n_steps : int
        How many steps there will be.

    by_accuracy : bool
        Whether accuracy comes first and likelihood second, or the likelihood alone counts.
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
        # The regression of all candidates on the chosen: intercepts, then coefficients of Z.
        self.regression = means[:, np.newaxis]
        self.variances = np.diagonal(covariances, axis1=1, axis2=2).copy()
        self.open = np.ones(X.shape[1], dtype=bool)

    def step(self):
        """Choose the best next column; return it with its log-likelihood and accuracy."""
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
    """Average the rows of a matrix, in double precision; weight None counts them alike."""
    if weight is None:
        return values.mean(axis=0, dtype=np.float64)
    return np.average(values, axis=0, weights=weight)


def better_first(log_likelihood, accuracy, *, by_accuracy):
    """Order columns, best first; among equals the first comes first."""
    return np.lexsort([-log_likelihood, -accuracy][: 1 + by_accuracy])
