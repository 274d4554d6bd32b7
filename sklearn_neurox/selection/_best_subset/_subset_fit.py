# SPDX-License-Identifier: BSD-3-Clause
"""Ridge-penalized fits on a few columns."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

_NEWTON_STEPS = 30
# A fit ends once a step can lower the loss by no more than this.
_TOL = 1e-10


@dataclass
class SubsetFit:
    """The best ridge-penalized fit on the columns of some units.

    Attributes
    ----------
    units : list of int
        In the order in which they were chosen.

    columns : ndarray of shape (n_columns,)
        Unit by unit.

    design : ndarray of shape (n_samples, 1 + n_columns)
        A column of ones, and the standardized columns.

    coef : ndarray of shape (1 + n_columns, n_outputs)
        The intercepts come first.

    loss : float
        The penalized loss.
    """

    units: list
    columns: np.ndarray
    design: np.ndarray
    coef: np.ndarray
    loss: float

    def without_design(self):
        """Return the fit without the matrix, which takes the most memory."""
        return replace(self, design=None)

    @property
    def scores(self):
        """Compute the scores of all rows."""
        return self.design @ self.coef

    def rows_of(self, place, columns):
        """Return the rows of ``coef`` that belong to the unit at a place in ``units``."""
        ends = np.cumsum([0, *(len(columns.of([unit])) for unit in self.units)])
        return np.arange(ends[place], ends[place + 1]) + 1


def penalties(n_columns, alpha):
    """Return the penalty on each row of coefficients; that on the intercepts is zero."""
    return np.r_[0.0, np.full(n_columns, alpha)]


def inverse_hessian(fit, weight, alpha):
    """Invert the Hessian of the penalized loss in the coefficients of one output."""
    hessian = fit.design.T @ (weight[:, np.newaxis] * fit.design)
    hessian[np.diag_indices_from(hessian)] += _ridge(fit.columns, alpha)
    return np.linalg.inv(hessian)


def _ridge(columns, alpha):
    # The tiny penalty on the intercepts keeps a saturated fit solvable.
    return penalties(len(columns), alpha) + 1e-15


def fit_subset(columns, loss, alpha, units, start=None):
    """Fit the ridge-penalized model on the columns of some units.

    Parameters
    ----------
    columns : Columns

    loss : BinaryLoss, MultinomialLoss or SquaredLoss

    alpha : float

    units : list of int

    start : SubsetFit or None, default=None
        A fit that shares units; its coefficients are the starting point.

    Returns
    -------
    fit : SubsetFit
    """
    own = columns.of(units)
    design = np.empty((len(loss.shares), 1 + len(own)))
    design[:, 0] = 1
    coef = np.zeros((1 + len(own), loss.n_outputs))
    known = {}
    if start is not None:
        coef[0] = start.coef[0]
        known = {column: place for place, column in enumerate(start.columns.tolist(), 1)}
    new = []
    for place, column in enumerate(own.tolist(), 1):
        if column in known:
            design[:, place] = start.design[:, known[column]]
            coef[place] = start.coef[known[column]]
        else:
            new.append(place)
    if new:
        design[:, new] = columns.take(own[np.array(new) - 1])
    if start is None:
        coef[0] = loss.best_intercept(np.zeros((len(design), loss.n_outputs)), coef[0])
    minimum = _newton if loss.is_exact else _quasi_newton
    coef, value = minimum(design, loss, _ridge(own, alpha)[:, np.newaxis], coef)
    return SubsetFit(list(units), own, design, coef, float(value))


def _newton(design, loss, ridge, coef):
    scores = design @ coef
    value = loss.value(scores) + (ridge * np.square(coef)).sum() / 2
    for _ in range(_NEWTON_STEPS):
        predictions = loss.predict(scores)
        gradient = design.T @ loss.residual(predictions) + ridge * coef
        weight = loss.curvature(predictions)[:, np.newaxis]
        hessian = design.T @ (weight * design)
        hessian[np.diag_indices_from(hessian)] += ridge[:, 0]
        step = cho_solve(cho_factor(hessian), gradient)
        decrement = (step * gradient).sum()
        moved, size = design @ step, 1.0
        while True:
            trial = coef - size * step
            new = loss.value(scores - size * moved) + (ridge * np.square(trial)).sum() / 2
            if new <= value or size < 1e-6:
                break
            size /= 2
        if new > value:
            break
        coef, scores, value = trial, scores - size * moved, new
        if loss.is_quadratic or decrement <= _TOL * value:
            break
    return coef, value


def _quasi_newton(design, loss, ridge, coef):
    """Minimize with L-BFGS, in coordinates in which the approximate Hessian is the identity."""
    weight = loss.curvature(loss.predict(design @ coef))[:, np.newaxis]
    hessian = design.T @ (weight * design)
    hessian[np.diag_indices_from(hessian)] += ridge[:, 0] + 1e-10
    to_coef = np.linalg.inv(np.linalg.cholesky(hessian)).T

    def value_and_gradient(flat):
        moved = coef + to_coef @ flat.reshape(coef.shape)
        predictions, value = loss.predict_and_value(design @ moved)
        gradient = design.T @ loss.residual(predictions) + ridge * moved
        penalty = (ridge * np.square(moved)).sum() / 2
        return value + penalty, (to_coef.T @ gradient).ravel()

    found = minimize(
        value_and_gradient,
        np.zeros(coef.size),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": _TOL, "gtol": 1e-7, "maxiter": 200},
    )
    return coef + to_coef @ found.x.reshape(coef.shape), found.fun
