# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import torch

from sklearn_neurox.probes.solvers._algorithm import Algorithm
from sklearn_neurox.probes.solvers._quadratic import solve_quadratic
from sklearn_neurox.utils._torch import to_numpy, to_tensor

_BLOCK_ROWS = 4096
# This many columns may enter in one step, or as many as the active set already has.
_FEWEST_NEW = 100


class ActiveSetNewton(Algorithm):
    """Proximal Newton on an active set, for losses that do not couple the rows of coefficients.

    Each step takes the non-zero coefficients and those that violate optimality most, minimizes
    the penalized quadratic model over them, and searches along the resulting direction. With the
    squared loss, the model is the problem itself, and its Gram matrix is computed once.

    References
    ----------
    Friedman, Hastie and Tibshirani (2010). Regularization paths for generalized linear models via
    coordinate descent. Journal of Statistical Software.
    """

    knows_its_gap = True

    def __init__(self, problem):
        self.problem = problem
        self.is_quadratic = problem.loss.is_quadratic
        self.columns, self.gram = problem.memory.get("gram", (None, None))

    def start(self, point):
        """Start from a point whose scores are in the working order."""
        self.current = point

    def point(self):
        """Return the current point with an estimate of its duality gap."""
        return self.current

    def state(self):
        """Return the current coefficients and intercepts."""
        return self.current.coef, self.current.intercept

    @property
    def n_active(self):
        """Number of columns in the active set."""
        return 0 if self.columns is None else len(self.columns)

    def epoch(self):
        """Take one step, which counts as one pass even if it computes a Gram matrix."""
        point = self.current
        active = self._choose(point)
        self._update_gram(active.any(0), point)
        coef = point.coef.clone()
        for row in range(len(coef)):
            self._minimize(coef[row], active[row], point, row)
        self.current = self._search(point, coef - point.coef)

    def _choose(self, point):
        """Return a mask of the coefficients to optimize, of shape (n_rows, n_features)."""
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
        """Compute the Gram matrix of the needed columns, centered and weighted by the loss."""
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
        has_weights = not (self.is_quadratic and target.weight is None)
        gram, sums = 0.0, 0.0
        n_samples = design.shape[0]
        batches = design.batches(-(-n_samples // _BLOCK_ROWS))
        roots = root.tensor_split(len(batches))
        for batch, rows in batches.visit(range(len(batches))):
            # Rows of a sparse matrix become dense only in the columns asked for.
            is_whole = isinstance(rows, torch.Tensor) and len(columns) == rows.shape[1]
            part = rows if is_whole else rows[:, columns]
            if has_weights:
                part = part * roots[batch]
            sums += (part.T @ roots[batch]).double()
            gram += _inner(part)
        self.gram = (gram if isinstance(gram, np.ndarray) else to_numpy(gram)) / n_samples
        self.mass = float(curvature.double().mean())
        self.sums = to_numpy(sums).ravel() / n_samples
        if problem.fit_intercept and self.mass:
            self.gram -= np.outer(self.sums, self.sums) / self.mass
        if self.is_quadratic:
            problem.memory["gram"] = self.columns, self.gram

    def _minimize(self, coef, active, point, row):
        """Minimize the quadratic model over the active coefficients of one row, in place."""
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
        """Halve the step until the objective decreases by a fraction of the predicted amount."""
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
    """Compute ``part.T @ part`` in float64; on the CPU, an array, as NumPy exploits symmetry."""
    if part.device.type == "cpu":
        part = to_numpy(part)
        return (part.T @ part).astype(np.float64)
    return (part.T @ part).double()
