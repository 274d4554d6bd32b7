# SPDX-License-Identifier: BSD-3-Clause
"""The fits of a grid of penalties on folds, which share passes over the data."""

from dataclasses import dataclass

import numpy as np
from sklearn.callback import CallbackContext

from sklearn_neurox.probes._elastic_net._targets import Targets


@dataclass
class Fold:
    """One split of the data, with the targets of its training part."""

    number: int
    train: np.ndarray
    test: np.ndarray | slice
    targets: Targets
    context: CallbackContext


class GridOnFolds:
    """Fits every penalty of a grid on folds, each from the solution before it, and scores them.

    Parameters
    ----------
    owner : BaseElasticNetPath
        Knows the options of the fits.

    X, y : ndarray

    weight : ndarray of shape (n_samples,) or None

    l1_ratios : ndarray of shape (n_l1_ratios,)

    alphas : ndarray of shape (n_l1_ratios, n_alphas)
        The largest first.

    scorer : callable
    """

    def __init__(self, owner, X, y, weight, l1_ratios, alphas, scorer):
        self.owner = owner
        self.X = X
        self.y = y
        self.weight = weight
        self.l1_ratios = l1_ratios
        self.alphas = alphas
        self.scorer = scorer

    def describe(self, folds, context):
        """Make folds of pairs of training and test indices, or masks."""
        return [
            self._describe(number, np.sort(_indices(train)), _as_slice(_indices(test)), context)
            for number, (train, test) in enumerate(folds)
        ]

    def _describe(self, number, train, test, context):
        targets = self.owner._targets(self.y, self.weight, train, where=f" of fold {number}")
        own = context.subcontext(task_name="fold", task_id=number)
        return Fold(number, train, test, targets, own)

    def score(self, folds, random_state):
        """Fit and score some folds together.

        Parameters
        ----------
        folds : list of Fold

        random_state : RandomState

        Returns
        -------
        results : list of (int, ndarray, ndarray, ndarray)
            For each fold its number, and of shape (n_l1_ratios, n_alphas) the scores, the numbers
            of coefficients that are not zero, and whether the fits converged.
        """
        for fold in folds:
            fold.context.call_on_fit_task_begin(estimator=self.owner)
        problem = self._state(folds, random_state)
        shape = (len(folds), *self.alphas.shape)
        scores, n_nonzero = np.empty(shape), np.empty(shape, dtype=np.intp)
        has_converged = np.empty(shape, dtype=bool)
        for i, l1_ratio in enumerate(self.l1_ratios):
            points = []
            for j, alpha in enumerate(self.alphas[i]):
                penalised = problem.penalised(alpha, l1_ratio)
                start = _predict(penalised, points, self.alphas[i, max(j - 2, 0) : j + 1])
                solver = self.owner._solver(penalised, random_state, is_exact=False)
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

    def _state(self, folds, random_state):
        if len(folds) == 1:
            fold = folds[0]
            return self.owner._state(self.X, fold.targets, random_state, samples=fold.train)
        everyone = [self._masked_targets(fold) for fold in folds]
        return self.owner._state(self.X, everyone, random_state)

    def _masked_targets(self, fold):
        """Give all samples targets, and those that are held out no weight."""
        # A sample may be drawn more than once.
        weight = np.bincount(fold.train, minlength=len(self.X)).astype(np.float64)
        if self.weight is not None:
            weight *= self.weight
        return self.owner._targets(self.y, weight / weight.mean())

    def _probe(self, fold, coef, intercept):
        attributes = fold.targets.attributes(coef, intercept)
        return self.owner._plain({**attributes, "n_features_in_": self.X.shape[1]})

    def _score(self, probe, fold):
        test = fold.test
        weights = {} if self.weight is None else {"sample_weight": self.weight[test]}
        try:
            return self.scorer(probe, self.X[test], self.y[test], **weights)
        except ValueError as error:
            raise ValueError(self._blame(probe, fold, error)) from error

    def _blame(self, probe, fold, error):
        """Say where a scorer failed; most often a class is absent that the probe knows."""
        owner = self.owner
        message = (
            f"{type(owner).__name__} cannot score fold {fold.number} by scoring={owner.scoring!r}"
        )
        classes = getattr(probe, "classes_", None)
        if classes is not None:
            absent = np.setdiff1d(classes, self.y[fold.test]).tolist()
            if absent:
                message += (
                    f", perhaps because the classes {absent} have no row in its test part; "
                    "stratified folds would give them some"
                )
        return f"{message}. The scorer says: {error}"


def _predict(problem, points, alphas):
    """Choose where to begin: at the last solution, or further along the line from the one before.

    Along the path, coefficients move nearly evenly with the logarithm of alpha.
    """
    if len(points) < 2 or not alphas.all() or alphas[0] == alphas[1]:
        return points[-1] if points else None
    before, last = points
    stretch = np.log(alphas[1] / alphas[2]) / np.log(alphas[0] / alphas[1])
    beyond = problem.estimate(
        last.coef.lerp(before.coef, -stretch), last.intercept.lerp(before.intercept, -stretch)
    )
    return min(problem.reprice(last), beyond, key=lambda point: point.objective)


def _indices(rows):
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


def _as_slice(rows):
    """Turn consecutive indices into a slice, which takes no copy."""
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
