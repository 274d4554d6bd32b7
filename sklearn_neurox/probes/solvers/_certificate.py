# SPDX-License-Identifier: BSD-3-Clause
"""Certificates: an upper bound on the distance of a point from the optimum."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from scipy.optimize import minimize_scalar


@dataclass
class Certificate:
    """A point with its optimal intercepts and a bound on its suboptimality.

    Scores include the intercepts; ``gradient`` is the gradient of the mean loss with respect to
    the coefficients.
    """

    coef: torch.Tensor
    intercept: torch.Tensor
    scores: torch.Tensor
    predictions: torch.Tensor
    gradient: torch.Tensor
    objective: float = float("nan")
    find_dual: Callable[[], float] | None = None

    @cached_property
    def gap(self):
        """Upper bound on the distance between the objective and its optimum, computed lazily."""
        # Rounding may turn the gap of an exact solution into, say, -1e-17.
        return max(self.objective - self.find_dual(), 0.0)

    def price(self, loss, penalty, target):
        """Return the same point with its objective and gap under a penalty."""

        def find_dual():
            residual = loss.residual(self.predictions, target)
            return _best_dual(loss, penalty, residual, target, self.gradient)

        objective = float(loss.value(self.scores, target)) + float(penalty.value(self.coef))
        return replace(self, objective=objective, find_dual=find_dual)


def certify(loss, penalty, coef, scores, target, correlate, *, intercept, fit_intercept):
    """Certify a point, in the precision of its scores.

    Parameters
    ----------
    loss : MultinomialLoss, BinaryLoss or SquaredLoss

    penalty : ElasticNetPenalty
        In float64.

    coef : tensor of shape (n_rows, n_features), float64

    scores : tensor of shape (n_samples, n_rows)
        Without intercepts.

    target : Target

    correlate : callable
        Maps a residual of shape (n_samples, n_rows) to ``residual.T @ Z / n_samples`` in float64.

    intercept : tensor of shape (n_rows,)
        Starting point of the search for the optimal intercepts.

    fit_intercept : bool

    Returns
    -------
    certificate : Certificate
        Without a penalty, a point that is not optimal has no finite dual value and hence an
        infinite gap; use the gradient to judge it.
    """
    intercept = intercept.to(device=scores.device, dtype=scores.dtype)
    if fit_intercept:
        intercept = loss.best_intercept(scores, target, intercept)
    scores = scores + intercept
    predictions = loss.predict(scores)
    residual = loss.residual(predictions, target)
    gradient = correlate(target.weigh(residual))
    point = Certificate(coef, intercept, scores, predictions, gradient)
    return point.price(loss, penalty, target)


def _best_dual(loss, penalty, residual, target, gradient):
    """Find the largest dual value on the segment from zero to the residual.

    Every point of it is feasible. With little l2, a slightly shrunk residual is much better,
    because the conjugate penalizes the excess over l1 at a rate of one over l2.
    """

    def dual(shrink):
        entropy = loss.dual(residual, target, shrink)
        return float(entropy) - float(penalty.conjugate(gradient, shrink))

    largest = penalty.largest_shrink(gradient)
    best = dual(largest)
    if best > dual(largest * (1 - 1e-6)):
        return best
    found = minimize_scalar(
        lambda shrink: -dual(shrink),
        bounds=(0.0, largest),
        method="bounded",
        options={"xatol": 1e-3, "maxiter": 8},
    )
    return max(best, -found.fun)
