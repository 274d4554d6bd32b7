# SPDX-License-Identifier: BSD-3-Clause
"""The convex relaxation of the best subset, and the bound that it proves.

With shares s of the units, 0 <= s <= 1 and sum(s) <= k, the ridge penalty of a unit becomes
``alpha / 2 * ||w||^2 / s``. The minimum over s and w is below the loss of every subset of k units.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh

# How far the bound may be below the optimum of the relaxation, relative to the latter.
_TOL = 0.005
_FIRST_UNITS, _NEW_UNITS, _MOST_ROUNDS = 100, 150, 12
_NEWTON_STEPS, _GRADIENT_STEPS = 25, 1000
# Moves shorter than this fraction of the way are not tried; lower gains end the descent.
_LEAST_MOVE, _STALLED = 1e-4, 1e-6
# Sizes below this fraction of the largest count as zero, as their knots would be too far away.
_NEGLIGIBLE = 1e-9


@dataclass
class Relaxed:
    """A solution of the relaxation on some units, the bound, and the shares of all units."""

    units: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    bound: float
    shares: np.ndarray


def lower_bound(columns, loss, alpha, n_units, residual_parts):
    """Compute the bound that any residual proves.

    For residuals r that sum to zero, no k units reach a loss below ``-mean(conj(r))`` minus the sum
    of the k largest ``||X_u' r||^2 / (2 alpha)``.

    Parameters
    ----------
    residual_parts : (float, ndarray of shape (n_features, n_outputs))
        Minus the mean conjugate, and the gradient in all coefficients.

    Returns
    -------
    bound : float

    norms : ndarray of shape (n_units,)
        Norms of the gradient of each unit.
    """
    minus_conjugate, gradient = residual_parts
    squares = columns.unit_sums(np.square(gradient).sum(axis=1))
    largest = np.partition(squares, len(squares) - n_units)[len(squares) - n_units :]
    return float(minus_conjugate - largest.sum() / (2 * alpha)), np.sqrt(squares)


class Relaxation:
    """Solves the relaxation on growing sets of units, by proximal Newton steps.

    Parameters
    ----------
    columns : Columns

    loss : BinaryLoss, MultinomialLoss or SquaredLoss

    alpha : float

    n_units : int
        The number of units that a subset has.

    clock : Clock
    """

    def __init__(self, columns, loss, alpha, n_units, clock):
        self.columns = columns
        self.loss = loss
        self.alpha = alpha
        self.n_units = n_units
        self.clock = clock
        # Multiplies the curvature; approximate curvatures are too small in some directions.
        self.caution = 1.0

    def solve(self, fit, start=None):
        """Raise the bound, from a fit on a subset or from the relaxation for fewer units.

        Parameters
        ----------
        fit : SubsetFit

        start : Relaxed or None, default=None

        Returns
        -------
        relaxed : Relaxed
        """
        state = self._begin(fit, start)
        bound, norms = self._bound(state)
        best = bound
        for turn in range(_MOST_ROUNDS):
            value = self._value(state)
            if self.clock.is_up or value - best <= _TOL * abs(value):
                break
            n_before = len(state.units)
            state = self._widened(state, norms)
            if turn and len(state.units) == n_before and state.is_solved:
                break
            self._descend(state)
            bound, norms = self._bound(state)
            best = max(best, bound)
        shares = np.zeros(self.columns.n_units)
        shares[state.units] = subset_shares(state.sizes(), self.n_units)
        # Units of equal shares are told apart by their gradients.
        return Relaxed(state.units, state.coef, state.intercept, best, shares + 1e-9 * norms)

    def _begin(self, fit, start):
        if start is not None:
            return _State(self, start.units, start.coef, start.intercept)
        return _State(self, np.array(fit.units, dtype=int), fit.coef[1:], fit.coef[0])

    def _bound(self, state):
        predictions = state.predictions()
        gradient = self.columns.correlate(self.loss.residual(predictions))
        parts = self.loss.minus_conjugate(predictions), gradient
        return lower_bound(self.columns, self.loss, self.alpha, self.n_units, parts)

    def _value(self, state):
        return self.loss.value(state.scores + state.intercept) + self._penalty(state.sizes())

    def _penalty(self, sizes):
        shares = subset_shares(sizes, self.n_units)
        used = sizes > 0
        return self.alpha / 2 * (np.square(sizes[used]) / shares[used]).sum()

    def _widened(self, state, norms):
        """Add the units with the largest gradients, and drop those without any weight."""
        sizes = np.zeros(len(norms))
        sizes[state.units] = state.sizes()
        kept = np.flatnonzero(sizes > 0)
        # A unit enters if its gradient is above the least of those with a share below one.
        shares = subset_shares(sizes, self.n_units)
        is_partial = (sizes > 0) & (shares < 1 - 1e-9)
        limit = norms[is_partial].min() if is_partial.any() else 0.0
        order = np.argsort(-norms, kind="stable")
        fresh = order[np.isin(order, kept, invert=True) & (norms[order] > limit)]
        n_new = _NEW_UNITS if len(kept) > 2 * self.n_units else _FIRST_UNITS + 4 * self.n_units
        units = np.concatenate([kept, fresh[:n_new]])
        return state.on(units, is_solved=len(fresh) == 0)

    def _descend(self, state):
        """Take proximal Newton steps until the gap on the units of the state is small."""
        for _ in range(_NEWTON_STEPS):
            predictions = state.predictions()
            gradient = self.columns.correlate(self.loss.residual(predictions), state.columns)
            value = self._value(state)
            squares = np.bincount(state.codes, weights=np.square(gradient).sum(axis=1))
            largest = np.sort(squares)[-self.n_units :].sum()
            gap = value - self.loss.minus_conjugate(predictions) + largest / (2 * self.alpha)
            if gap <= _TOL / 4 * abs(value) or self.clock.is_up:
                break
            weight = self.caution * self.loss.curvature(predictions)
            hessian = self.columns.gram(state.columns, weight)
            size, new = state.advance(self._model_minimum(state, gradient, hessian), value)
            if value - new <= _STALLED * abs(value):
                break
            self.caution = max(1.0, self.caution / 2) if size == 1 else self.caution * 2

    def _model_minimum(self, state, gradient, hessian):
        """Minimize the second-order model plus the penalty, by accelerated proximal steps."""
        smooth = _largest_eigenvalue(hessian) * 1.01 + 1e-12
        penalty = self.alpha / smooth
        start, coef = state.coef, state.coef
        ahead, pace = coef, 1.0
        for _ in range(_GRADIENT_STEPS):
            point = ahead - (gradient + hessian @ (ahead - start)) / smooth
            sizes = np.sqrt(np.bincount(state.codes, weights=np.square(point).sum(axis=1)))
            shares = _proximal_shares(sizes, penalty, self.n_units)
            new = point * (shares / (shares + penalty))[state.codes, np.newaxis]
            move = new - coef
            if ((ahead - new) * move).sum() > 0:
                pace = 1.0
            faster = (1 + np.sqrt(1 + 4 * pace**2)) / 2
            ahead = new + (pace - 1) / faster * move
            coef, pace = new, faster
            if np.abs(move).max() <= 1e-5 * np.abs(coef).max():
                break
        return coef


class _State:
    """Coefficients on some units, with the scores that they give."""

    def __init__(self, relaxation, units, coef, intercept, scores=None, is_solved=False):
        self.relaxation = relaxation
        self.units = units
        self.columns = relaxation.columns.of(units)
        # The place of each column's unit in `units`.
        places = np.empty(relaxation.columns.n_units, dtype=int)
        places[units] = np.arange(len(units))
        self.codes = places[relaxation.columns.units[self.columns]]
        self.coef = coef
        self.scores = self._product(coef) if scores is None else scores
        self.intercept = relaxation.loss.best_intercept(self.scores, intercept)
        self.is_solved = is_solved

    def _product(self, coef):
        used = coef.any(axis=1)
        return self.relaxation.columns.multiply(self.columns[used], coef[used])

    def predictions(self):
        """Compute the predictions, whose residuals sum to zero."""
        return self.relaxation.loss.predict(self.scores + self.intercept)

    def sizes(self):
        """Return the norm of the coefficients of each unit."""
        squares = np.square(self.coef).sum(axis=1)
        return np.sqrt(np.bincount(self.codes, weights=squares, minlength=len(self.units)))

    def on(self, units, *, is_solved):
        """Return the same coefficients on other units, which include all that have any."""
        columns = self.relaxation.columns.of(units)
        table = np.zeros((len(self.relaxation.columns.units), self.coef.shape[1]))
        table[self.columns] = self.coef
        return _State(
            self.relaxation, units, table[columns], self.intercept, self.scores, is_solved
        )

    def advance(self, target, value):
        """Move towards the target as far as this lowers the value.

        Returns
        -------
        size : float
            The fraction of the way; zero if no move lowers the value.

        value : float
        """
        step = target - self.coef
        moved, size = self._product(step), 1.0
        old = self.coef, self.scores, self.intercept
        while size > _LEAST_MOVE:
            # The target itself has zeros, which a sum with rounding errors would miss.
            self.coef = target if size == 1 else old[0] + size * step
            self.scores = old[1] + size * moved
            self.intercept = self.relaxation.loss.best_intercept(self.scores, old[2])
            new = self.relaxation._value(self)
            if new < value:
                return size, new
            size /= 2
        self.coef, self.scores, self.intercept = old
        return 0.0, value


def subset_shares(sizes, n_units):
    """Return the shares that minimize ``sum(sizes^2 / shares)``, in [0, 1], of sum n_units."""
    if np.count_nonzero(sizes) <= n_units:
        return (sizes > 0).astype(np.float64)
    return _clipped(sizes, 0.0, n_units)


def _proximal_shares(sizes, penalty, n_units):
    """Return the shares at the proximal point, ``clip(t * sizes - penalty, 0, 1)``."""
    if np.count_nonzero(sizes) <= n_units:
        return (sizes > 0).astype(np.float64)
    return _clipped(sizes, penalty, n_units)


def _clipped(sizes, shift, total):
    """Find t for which ``clip(t * sizes - shift, 0, 1)`` sums to ``total``; return the clipped."""
    used = sizes > 0
    own = sizes[sizes > _NEGLIGIBLE * sizes.max()]
    # The sum is piecewise linear in t: each size adds its slope at one place and ends at another.
    knots = np.concatenate([shift / own, (1 + shift) / own])
    slopes = np.concatenate([own, -own])
    order = np.argsort(knots)
    knots, slopes = knots[order], np.cumsum(slopes[order])
    sums = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(knots))])
    place = min(max(int(np.searchsorted(sums, total)), 1), len(knots) - 1)
    rise = max(slopes[place - 1], np.finfo(float).tiny)
    t = knots[place - 1] + (total - sums[place - 1]) / rise
    out = np.clip(t * sizes - shift, 0, 1)
    # A share is positive wherever there is a weight, however small.
    return out if shift else np.maximum(out, used * np.finfo(float).tiny)


def _largest_eigenvalue(hessian):
    last = len(hessian) - 1
    return float(eigvalsh(hessian, subset_by_index=[last, last])[0])
