# SPDX-License-Identifier: BSD-3-Clause
"""Small penalized quadratic problems, the core of the Newton steps."""

import warnings

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path


def solve_quadratic(gram, linear, start, l1, l2):
    """Minimize ``w' G w / 2 - q' w + sum(l1 |w| + l2 / 2 w^2)``.

    Uses a Cholesky factor without an l1 penalty and coordinate descent with one. ``gram`` is
    positive semidefinite up to rounding; ``l1`` is either all positive or all zero.
    """
    hessian = gram + np.diag(l2)
    if not l1.any():
        return cho_solve(_factor(hessian), linear)
    # In units of their own l1 weights, all coefficients have the same penalty: a lasso.
    hessian = hessian / np.outer(l1, l1)
    linear = linear / l1
    factor, _ = _factor(hessian)
    root = np.asfortranarray(np.triu(factor))
    # Least squares with this Gram matrix, so that scikit-learn can compute the duality gap.
    target = solve_triangular(root, linear, trans=1)
    with warnings.catch_warnings():
        # A Newton step need not be exact; the certificate shows whether it was good enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, path, _ = enet_path(
            root,
            target,
            l1_ratio=1.0,
            alphas=[1.0 / len(target)],
            precompute=hessian,
            Xy=linear,
            coef_init=start * l1,
            check_input=False,
            tol=1e-13,
            max_iter=2000,
        )
    return path[:, 0] / l1


def _factor(hessian):
    """Compute a Cholesky factor, adding a ridge only if rounding makes it necessary."""
    ridge = 0.0
    mean = max(np.trace(hessian) / len(hessian), np.finfo(np.float64).tiny)
    while True:
        try:
            return cho_factor(hessian, lower=False)
        except LinAlgError:
            before, ridge = ridge, max(10 * ridge, 1e-10)
            hessian[np.diag_indices_from(hessian)] += (ridge - before) * mean
