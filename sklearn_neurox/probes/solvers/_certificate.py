# SPDX-License-Identifier: BSD-3-Clause
"""How far from the optimum a point is at most: the duality gap, in float64."""

from dataclasses import dataclass

import torch
from scipy.optimize import minimize_scalar


@dataclass
class Certificate:
    """A point, with the intercepts that are best for it, and a bound on its suboptimality."""

    coef: torch.Tensor
    intercept: torch.Tensor
    probabilities: torch.Tensor
    gradient: torch.Tensor
    objective: float
    gap: float


def certify(loss, penalty, coef, scores, y, correlate, *, intercept, fit_intercept):
    """Certify a point.

    Parameters
    ----------
    loss : MultinomialLoss or BinaryLoss

    penalty : ElasticNetPenalty
        In float64.

    coef : tensor of shape (n_rows, n_features), float64

    scores : tensor of shape (n_samples, n_rows), float64
        Without intercepts.

    y : tensor
        What the loss encoded.

    correlate : callable
        Maps a residual of shape (n_samples, n_rows) to ``residual.T @ Z / n_samples``.

    intercept : tensor of shape (n_rows,), float64
        Where the search for the best intercepts begins.

    fit_intercept : bool

    Returns
    -------
    certificate : Certificate
        Without a penalty there is no finite dual value for a linear model that is not optimal;
        its gap is infinite then, and the gradient has to tell.
    """
    if fit_intercept:
        intercept = free_intercept(loss, scores, y, intercept)
    scores = scores + intercept
    probabilities = loss.probabilities(scores)
    residual = loss.residual(probabilities, y)
    gradient = correlate(residual)
    objective = float(loss.value(scores, y) + penalty.value(coef))
    gap = objective - _best_dual(loss, penalty, residual, y, gradient)
    # Rounding may make the gap of an exact solution a negative 1e-17.
    return Certificate(coef, intercept, probabilities, gradient, objective, max(gap, 0.0))


def _best_dual(loss, penalty, residual, y, gradient):
    """Largest dual value on the segment from zero to the residual, every point of which counts.

    Any shrunk residual is feasible, and with little l2 a slightly shrunk one is much better,
    because the conjugate charges what exceeds l1 at a rate of one over l2.
    """

    def dual(shrink):
        entropy = loss.entropy(residual, y, shrink)
        return float(entropy - penalty.conjugate(gradient, shrink))

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


def free_intercept(loss, scores, y, start):
    """Minimise the mean loss over the intercepts by damped Newton steps."""
    intercept = start
    value = loss.value(scores + intercept, y)
    for _ in range(100):
        probabilities = loss.probabilities(scores + intercept)
        gradient = loss.residual(probabilities, y).mean(0)
        if gradient.abs().max() < 1e-14:
            break
        # Not lstsq, whose CPU driver does not give the same bits every time.
        step = -torch.linalg.pinv(loss.hessian(probabilities), hermitian=True) @ gradient
        decrease = float(-gradient @ step)
        length = 1.0
        # Below this the value no longer resolves a decrease, and Newton converges anyway.
        while decrease > 1e-12:
            trial = loss.value(scores + (intercept + length * step), y)
            if trial <= value - 1e-4 * length * decrease or length < 1e-10:
                value = trial
                break
            length /= 2
        intercept = intercept + length * step
        if decrease < 1e-28:
            break
    return loss.centre(intercept)
