# SPDX-License-Identifier: BSD-3-Clause
"""Fits of a grid of penalties on folds that share passes over the data."""

from dataclasses import dataclass

import numpy as np
from sklearn.callback import CallbackContext

from sklearn_neurox.probes._elastic_net._targets import Targets
from sklearn_neurox.utils._full_float32 import full_float32
from sklearn_neurox.utils._scores._fold_score import score_fold


@dataclass
class Fold:
    """One split of the data, with the targets of its training rows."""

    number: int
    train: np.ndarray
    test: np.ndarray | slice
    targets: Targets
    context: CallbackContext


class GridOnFolds:
    """Fit and score every penalty of a grid on folds, each fit starting from the previous one.

    ``owner`` is the CV probe, whose options the fits use; ``encode`` encodes the targets of given
    rows; ``alphas`` has shape (n_l1_ratios, n_alphas), largest first.
    """

    def __init__(self, owner, X, y, weight, encode, l1_ratios, alphas, scorer):
        self.owner = owner
        self.X = X
        self.y = y
        self.weight = weight
        self.encode = encode
        self.l1_ratios = l1_ratios
        self.alphas = alphas
        self.scorer = scorer

    def describe(self, folds, context):
        """Turn pairs of training and test indices, or masks, into folds."""
        return [self._describe(number, *rows, context) for number, rows in enumerate(folds)]

    def _describe(self, number, train, test, context):
        train, test = np.sort(train), _as_slice(test)
        targets = self.encode(self.weight, train, where=f" of fold {number}")
        own = context.subcontext(task_name="fold", task_id=number)
        return Fold(number, train, test, targets, own)

    def score(self, folds, random_state):
        """Fit and score the given folds together.

        Returns
        -------
        results : list of (int, ndarray, ndarray, ndarray)
            For each fold, its number and three arrays of shape (n_l1_ratios, n_alphas): scores,
            numbers of non-zero coefficients, and whether each fit converged.
        """
        for fold in folds:
            fold.context.call_on_fit_task_begin(estimator=self.owner)
        problem = self._build_problem(folds, random_state)
        shape = (len(folds), *self.alphas.shape)
        scores, n_nonzero = np.empty(shape), np.empty(shape, dtype=np.intp)
        has_converged = np.empty(shape, dtype=bool)
        for i, l1_ratio in enumerate(self.l1_ratios):
            points = []
            for j, alpha in enumerate(self.alphas[i]):
                penalized = problem.penalized(alpha, l1_ratio)
                start = _predict(penalized, points, self.alphas[i, max(j - 2, 0) : j + 1])
                solver = self.owner._solver(penalized, random_state, is_exact=False)
                solution = solver.solve(start)
                point = solution.point
                points = [*points[-1:], point]
                has_converged[:, i, j] = solution.has_converged
                coefficients = problem.design.in_input_units(point.coef, point.intercept)
                coefs, intercepts = (np.split(part, len(folds)) for part in coefficients)
                for k, fold in enumerate(folds):
                    probe = self._probe(fold, coefs[k], intercepts[k])
                    scores[k, i, j] = self._score(probe, fold)
                    n_nonzero[k, i, j] = np.count_nonzero(probe.coef_)
        for fold in folds:
            fold.context.call_on_fit_task_end(estimator=self.owner)
        numbers = [fold.number for fold in folds]
        return list(zip(numbers, scores, n_nonzero, has_converged, strict=True))

    def _build_problem(self, folds, random_state):
        if len(folds) == 1:
            fold = folds[0]
            return self.owner._build_problem(self.X, fold.targets, random_state, samples=fold.train)
        everyone = [self._masked_targets(fold) for fold in folds]
        return self.owner._build_problem(self.X, everyone, random_state)

    def _masked_targets(self, fold):
        """Encode the targets of all samples, with weight zero for the held-out ones."""
        # A splitter may repeat training rows, as a bootstrap does.
        weight = np.bincount(fold.train, minlength=self.X.shape[0]).astype(np.float64)
        if self.weight is not None:
            weight *= self.weight
        return self.encode(weight / weight.mean())

    def _probe(self, fold, coef, intercept):
        attributes = fold.targets.attributes(coef, intercept)
        return self.owner._plain({**attributes, "n_features_in_": self.X.shape[1]})

    def _score(self, probe, fold):
        test = fold.test
        weight = None if self.weight is None else self.weight[test]
        where = f"Fold {fold.number} of {type(self.owner).__name__}"
        return score_fold(
            self.scorer, probe, self.X[test], self.y[test], where=where, sample_weight=weight
        )


def _predict(problem, points, alphas):
    """Choose the starting point: the last solution, or an extrapolation of the last two.

    Along the path, coefficients are nearly linear in the logarithm of alpha.
    """
    if len(points) < 2 or not alphas.all() or alphas[0] == alphas[1]:
        return points[-1] if points else None
    before, last = points
    stretch = np.log(alphas[1] / alphas[2]) / np.log(alphas[0] / alphas[1])
    with full_float32(problem.design.device):
        beyond = problem.estimate(
            last.coef.lerp(before.coef, -stretch), last.intercept.lerp(before.intercept, -stretch)
        )
    return min(problem.reprice(last), beyond, key=lambda point: point.objective)


def _as_slice(rows):
    """Turn consecutive indices into a slice, which avoids a copy."""
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
