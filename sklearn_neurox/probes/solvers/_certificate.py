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
    the coefficients. Without a penalty, a point that is not optimal has no finite dual value and
    hence an infinite gap; use the gradient to judge it.
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
            return _best_dual(loss.dual(self.predictions, target), penalty, self.gradient)

        objective = float(loss.value(self.scores, target)) + float(penalty.value(self.coef))
        return replace(self, objective=objective, find_dual=find_dual)


def _best_dual(of_loss, penalty, gradient):
    """Find the largest dual value on the segment from zero to the residual.

    ``of_loss`` maps a place on it to the share of the loss. Every point is feasible. With little
    l2, a slightly shrunk residual is much better, because the conjugate penalizes the excess over
    l1 at a rate of one over l2.
    """

    def dual(shrink):
        return float(of_loss(shrink)) - float(penalty.conjugate(gradient, shrink))

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
