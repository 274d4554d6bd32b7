# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import torch

from sklearn_neurox.probes.solvers._quadratic import solve_quadratic
from sklearn_neurox.utils._torch import to_numpy, to_tensor

_BLOCK_ROWS = 4096
# At least so many columns may enter at once; more only if the active set is larger itself.
_FEWEST_NEW = 100


class ActiveSetNewton:
    """Proximal Newton on the columns that matter, for losses whose rows are not coupled.

    Each step takes the coefficients that are not zero and those that violate optimality most,
    minimises the penalised quadratic model on them, and searches along that direction. With the
    squared loss the model is the problem itself, and its Gram matrix is computed once.

    Parameters
    ----------
    problem : Problem

    References
    ----------
    Friedman, Hastie and Tibshirani (2010). Regularization paths for generalized linear models via
    coordinate descent. Journal of Statistical Software.
    """

    # Passes over the data of one call of `epoch`, the Gram matrix left aside.
    n_passes = 1
    # Whether `point` costs nothing.
    knows_its_gap = True

    def __init__(self, problem):
        self.problem = problem
        self.is_quadratic = not hasattr(problem.loss, "hessian")
        self.columns, self.gram = None, None
        if self.is_quadratic:
            self.columns, self.gram = problem.memory.get("gram", (None, None))

    def start(self, point):
        """Begin from a point, whose scores are in the working order."""
        self.current = point

    def refresh(self, point):
        """Go on; there is no running sum to renew."""

    def point(self):
        """Return the current point, with an estimate of its duality gap."""
        return self.current

    def state(self):
        """Return the current coefficients and intercepts."""
        return self.current.coef, self.current.intercept

    @property
    def n_active(self):
        """The number of columns in play."""
        return 0 if self.columns is None else len(self.columns)

    def epoch(self):
        """Take one step."""
        point = self.current
        active = self._choose(point)
        self._update_gram(active.any(0), point)
        coef = point.coef.clone()
        for row in range(len(coef)):
            self._minimise(coef[row], active[row], point, row)
        self.current = self._search(point, coef - point.coef)

    def _choose(self, point):
        """Mark the coefficients to optimise, by row: mask of shape (n_rows, n_features)."""
        l1 = self.problem.penalty.l1
        active = point.coef != 0
        if not l1.any():
            return torch.ones_like(active)
        excess = torch.where(active, -1.0, point.gradient.abs() / l1 - 1).nan_to_num(-1.0)
        n_new = max(_FEWEST_NEW, int(active.sum(1).max()))
        if n_new < excess.shape[1]:
            least = excess.topk(n_new, dim=1).values[:, -1:]
            excess = torch.where(excess >= least, excess, -1.0)
        return active | (excess > 0)

    def _update_gram(self, needed, point):
        """Compute the Gram matrix of the needed columns, centred by the weights of the loss."""
        if self.is_quadratic and self.columns is not None:
            if not needed[self.columns].sum() < needed.sum():
                return
            needed = needed.clone()
            needed[self.columns] = True
        problem = self.problem
        design, target = problem.design, problem.target
        self.columns = torch.nonzero(needed).ravel()
        curvature = target.weigh(problem.loss.second_derivative(point.predictions)[:, :1])
        root = curvature.to(design.device, design.dtype).sqrt()
        columns = self.columns.to(design.device)
        gram = np.zeros((len(columns), len(columns)))
        sums = np.zeros(len(columns))
        n_samples = design.shape[0]
        batches = design.batches(-(-n_samples // _BLOCK_ROWS))
        roots = root.tensor_split(len(batches))
        for batch, rows in batches.visit(range(len(batches))):
            part = rows[:, columns] * roots[batch]
            sums += to_numpy(part.T @ roots[batch]).ravel()
            gram += _inner(part)
        self.gram = gram / n_samples
        self.mass = float(curvature.double().mean())
        self.sums = sums / n_samples
        if problem.fit_intercept and self.mass:
            self.gram -= np.outer(self.sums, self.sums) / self.mass
        if self.is_quadratic:
            problem.memory["gram"] = self.columns, self.gram

    def _minimise(self, coef, active, point, row):
        """Minimise the quadratic model over the active coefficients of a row, in place."""
        where = active[self.columns]
        columns = self.columns[where]
        if not len(columns):
            return
        inside = to_numpy(where)
        gram = self.gram[np.ix_(inside, inside)]
        start = to_numpy(coef[columns])
        linear = gram @ start - to_numpy(point.gradient[row, columns].double())
        penalty = self.problem.penalty
        l1, l2 = to_numpy(penalty.l1[columns]), to_numpy(penalty.l2[columns])
        new = solve_quadratic(gram, linear, start, l1, l2)
        coef[columns] = to_tensor(new, device=coef.device)

    def _search(self, point, move):
        """Halve the step until the objective has fallen by what the model promised."""
        problem = self.problem
        if self.is_quadratic:
            return problem.estimate(point.coef + move, point.intercept)
        gain = float((point.gradient * move).sum())
        gain += float(problem.penalty.value(point.coef + move) - problem.penalty.value(point.coef))
        length = 1.0
        while True:
            new = problem.estimate(point.coef + length * move, point.intercept)
            if new.objective <= point.objective + 1e-4 * length * gain or length < 1e-3:
                return new
            length /= 2


def _inner(part):
    """``part.T @ part`` in float64, by the symmetric product where NumPy offers it."""
    if part.device.type == "cpu":
        part = to_numpy(part)
        return (part.T @ part).astype(np.float64)
    return to_numpy((part.T @ part).double())
