# SPDX-License-Identifier: BSD-3-Clause
"""Forward steps and swaps, all scored from one reading of the matrix."""

import time
from dataclasses import replace

import numpy as np

from sklearn_neurox.selection._best_subset._subset_fit import fit_subset, inverse_hessian

# How many candidates are fitted: units to add, units to take the place of another, and swaps.
_NEW_UNITS, _NEW_PER_OLD, _MOST_SWAPS = 5, 4, 20
# With this many units, the second-order model is close enough for fewer fits, and the best few
# candidates stay the best while a third as many units are added.
_MANY_UNITS, _FEW_NEW_UNITS, _UNITS_PER_STEP = 8, 2, 3
# How many candidates a shortlist has, and how many times as many columns the matrix must have.
_SHORTLIST, _LEAST_SHORTENING = 64, 4
# A swap must lower the loss by this fraction.
_LEAST_GAIN = 1e-6


class Clock:
    """Tells whether the time of a fit is up; ``max_time=None`` sets no limit."""

    def __init__(self, max_time):
        self.end = np.inf if max_time is None else time.monotonic() + max_time

    @property
    def is_up(self):
        """Whether the time is up."""
        return time.monotonic() >= self.end


class Search:
    """Local search for the units of least penalized loss.

    Parameters
    ----------
    columns : Columns

    loss : BinaryLoss, MultinomialLoss or SquaredLoss

    alpha : float

    clock : Clock
    """

    def __init__(self, columns, loss, alpha, clock):
        self.columns = columns
        self.loss = loss
        self.alpha = alpha
        self.clock = clock

    def fit(self, units, start=None):
        """Fit the model on some units."""
        return fit_subset(self.columns, self.loss, self.alpha, units, start)

    def grow(self, fit, n_units):
        """Add the best units, one by one; once the time is up, all at once."""
        while (n_missing := n_units - len(fit.units)) > 0:
            gain = self._model(fit)[1](None)
            gain[fit.units] = -np.inf
            best = np.argsort(-gain, kind="stable").tolist()
            if self.clock.is_up:
                return self.fit([*fit.units, *best[:n_missing]], fit)
            n_steps = min(len(fit.units) // _UNITS_PER_STEP, n_missing)
            if self._can_shorten(fit) and len(fit.units) >= _MANY_UNITS:
                fit = self._grow_among(best[:_SHORTLIST], fit, len(fit.units) + n_steps)
            else:
                fit = self._best_added(best, gain, fit)
        return fit

    def _best_added(self, best, gain, fit):
        n_trials = _NEW_UNITS if len(fit.units) < _MANY_UNITS else _FEW_NEW_UNITS
        best = [unit for unit in best[:n_trials] if gain[unit] > -np.inf]
        self.columns.hold(best)
        trials = [self.fit([*fit.units, unit], fit) for unit in best]
        return min(trials, key=lambda trial: trial.loss)

    def swap(self, fit):
        """Swap one unit for another as long as this lowers the loss."""
        while fit.units and len(fit.units) < self.columns.n_units and not self.clock.is_up:
            swaps = self._promising(fit)
            if not swaps or swaps[0][0] <= 0:
                break
            if self._can_shorten(fit):
                units = list(dict.fromkeys(unit for _, _, unit in swaps))
                better = self._swap_among(units[:_SHORTLIST], fit)
            else:
                better = self._first_better(swaps[:_MOST_SWAPS], fit)
            if better is None:
                break
            fit = better
        return fit

    def _can_shorten(self, fit):
        """Return whether a shortlist leaves out most of the matrix."""
        n_short = len(fit.units) + _SHORTLIST
        return not self.columns.has_groups and self.columns.n_units >= _LEAST_SHORTENING * n_short

    def _grow_among(self, units, fit, n_units):
        return self._search_among(units, fit, lambda search, own: search.grow(own, n_units))

    def _swap_among(self, units, fit):
        """Swap as long as this lowers the loss; return None if no swap does."""
        found = self._search_among(units, fit, lambda search, own: search.swap(own))
        return found if found.loss < fit.loss else None

    def _search_among(self, units, fit, improve):
        """Search among the units of a fit and some others, whose columns are read once."""
        units = [*fit.units, *units]
        search = Search(self.columns.only(units), self.loss, self.alpha, self.clock)
        found = improve(search, _renumber(fit, range(len(fit.units))))
        return _renumber(found, [units[unit] for unit in found.units])

    def _first_better(self, swaps, fit):
        swaps = [swap for swap in swaps if swap[0] > 0]
        self.columns.hold(sorted({unit for _, _, unit in swaps}))
        for _, place, unit in swaps:
            units = [*fit.units[:place], *fit.units[place + 1 :], unit]
            trial = self.fit(units, fit)
            if trial.loss < fit.loss * (1 - _LEAST_GAIN):
                return trial
            if self.clock.is_up:
                break
        return None

    def _promising(self, fit):
        """List swaps by how much they lower the second-order model of the loss, in this order."""
        losses, gains = self._model(fit)
        swaps = []
        for place, lost in enumerate(losses):
            net = gains(place) - lost
            net[fit.units] = -np.inf
            best = np.argsort(-net, kind="stable")[:_NEW_PER_OLD]
            swaps += [(net[unit], place, int(unit)) for unit in best if net[unit] > -np.inf]
        return sorted(swaps, key=lambda swap: -swap[0])

    def _model(self, fit):
        """Expand the loss to second order at a fit.

        Returns
        -------
        losses : list of float
            How much leaving out each of the units raises the loss.

        gains : callable
            Of a place in ``units`` or None: how much adding each unit of the matrix lowers the
            loss, once the unit at that place was left out.
        """
        predictions = self.loss.predict(fit.scores)
        weight = self.loss.curvature(predictions)
        inverse = inverse_hessian(fit, weight, self.alpha)
        gradient, cross, squares = self.columns.cross_moments(
            self.loss.residual(predictions), weight, fit.design
        )
        losses, removals = [], []
        for place in range(len(fit.units)):
            rows = fit.rows_of(place, self.columns)
            # To where the model is least with these coefficients at zero.
            block = np.linalg.solve(inverse[np.ix_(rows, rows)], inverse[rows])
            step = -block.T @ fit.coef[rows]
            pull = np.linalg.solve(inverse[np.ix_(rows, rows)], fit.coef[rows])
            losses.append((fit.coef[rows] * pull).sum() / 2)
            removals.append((step, inverse - inverse[:, rows] @ block))

        def gains(place):
            if place is None:
                return self._gains(gradient, cross, squares, inverse)
            step, left = removals[place]
            return self._gains(gradient + cross @ step, cross, squares, left)

        return losses, gains

    def _gains(self, slopes, cross, squares, inverse):
        """Compute how much each unit lowers the model: half its squared slope per curvature."""
        if not self.columns.has_groups:
            curvature = squares - ((cross @ inverse) * cross).sum(axis=1)
            # A column that the chosen ones determine has only the curvature of the penalty.
            return np.square(slopes).sum(axis=1) / (2 * (curvature.clip(min=0) + self.alpha))
        gain = np.empty(self.columns.n_units)
        for unit, own in enumerate(squares):
            rows = self.columns.of([unit])
            values, vectors = np.linalg.eigh(own - cross[rows] @ inverse @ cross[rows].T)
            turned = np.square(vectors.T @ slopes[rows]).sum(axis=1)
            gain[unit] = (turned / (values.clip(min=0) + self.alpha)).sum() / 2
        return gain


def _renumber(fit, units):
    """Return a fit with other numbers for its units, each of which is a single column."""
    return replace(fit, units=list(units), columns=np.array(units, dtype=np.intp))
