# SPDX-License-Identifier: BSD-3-Clause
"""Gaussians fitted on training rows and scored on held-out rows."""

import numpy as np
from scipy.stats import entropy

from sklearn_neurox.probes._gaussian._moments import (
    class_means,
    class_variances,
    map_covariances,
    map_variances,
    variance_between,
)
from sklearn_neurox.ranking._gaussian._conditional_scores import column_weights, conditional_scores
from sklearn_neurox.ranking._gaussian._greedy import GreedySelection, row_means
from sklearn_neurox.utils._labels import encode_classes

# Number of columns that are read or scored at a time.
_CHUNK = 128


class GaussianSplit:
    """The moments of the training rows and the standardized held-out rows."""

    def __init__(self, X, y, train, held_out, weight, *, prior, caller):
        self.classes, codes = encode_classes(y, train, caller=caller)
        # Zero weights exclude the other rows without copying the training rows.
        training_weight = np.where(train, 1.0 if weight is None else weight, 0.0)
        counts = np.bincount(codes, training_weight, minlength=len(self.classes))
        self._training = (X, codes, training_weight, counts)
        self._prior = prior
        self._X, self._rows = X, _spread(np.flatnonzero(held_out))
        self.held_out_codes = codes[self._rows]
        self._weight = None if weight is None else weight[self._rows]
        self._priors = counts / counts.sum()
        every = np.arange(X.shape[1])
        self._means = class_means(*self._training, every)
        self._variances = class_variances(*self._training, every, self._means)
        # Standardized columns are safe in single precision; the scales cancel in probabilities.
        self._center = self._priors @ self._means
        total = self._priors @ self._variances + variance_between(self._means, self._priors)
        self._scale = np.sqrt(np.where(total > 0, total, 1.0))

    def score_alone(self, n_dimensions):
        """Compute the held-out log-likelihood and accuracy of each column, shape (2, n_features).

        A column is scored by its marginal of a Gaussian with ``n_dimensions`` dimensions.
        """
        variances = map_variances(
            self._means, self._variances, self._training[3], n_dimensions, self._prior
        )
        Z = np.ones((len(self.classes), len(self._rows), 1))
        base = np.repeat(np.log(self._priors)[:, np.newaxis], len(self._rows), axis=1)
        scores = np.empty((2, len(self._scale)))
        for start in range(0, len(self._scale), _CHUNK):
            columns = np.arange(start, min(start + _CHUNK, len(self._scale)))
            scale = self._scale[columns]
            means = (self._means[:, columns] - self._center[columns]) / scale
            weights, offsets = column_weights(
                means[:, np.newaxis], variances[:, columns] / np.square(scale)
            )
            values = self._held_out(columns).astype(np.float32)
            alone = conditional_scores(values, Z, base, self.held_out_codes, weights, offsets)
            scores[:, columns] = [row_means(each, self._weight) for each in alone]
        return scores

    def held_out_entropy(self):
        """Return the entropy of the held-out labels, in nats."""
        return entropy(np.bincount(self.held_out_codes, self._weight))

    def selection(self, candidates, *, n_steps, by_accuracy):
        """Start a greedy selection among the candidates."""
        means, covariances = map_covariances(*self._training, candidates, self._prior)
        scale = self._scale[candidates]
        means = (means - self._center[candidates]) / scale
        covariances /= scale[:, np.newaxis]
        covariances /= scale
        return GreedySelection(
            self._screened(candidates),
            lambda places: self._held_out(candidates[places]),
            self.held_out_codes,
            self._weight,
            means,
            covariances,
            self._priors,
            n_steps=n_steps,
            by_accuracy=by_accuracy,
        )

    def _screened(self, columns):
        values = np.empty((len(self._rows), len(columns)), dtype=np.float32)
        for start in range(0, len(columns), _CHUNK):
            some = slice(start, start + _CHUNK)
            values[:, some] = self._held_out(columns[some])
        return values

    def _held_out(self, columns):
        values = self._X[self._rows[:, np.newaxis], columns].astype(np.float64)
        values -= self._center[columns]
        values /= self._scale[columns]
        return values


def _spread(rows):
    # Sorting by multiples of the golden ratio spreads any initial segment over all rows.
    return rows[np.argsort(np.arange(len(rows)) * 0.6180339887498949 % 1)]
