# SPDX-License-Identifier: BSD-3-Clause
"""A matrix that rounding makes singular or slightly indefinite is still factorized."""

import numpy as np
from scipy.linalg import cho_solve

from sklearn_neurox.probes.solvers._quadratic import _factor


def test_a_hessian_of_low_rank_needs_only_a_small_ridge():
    rng = np.random.default_rng(0)
    for rank, error in ((5, 0.0), (1, 0.0), (3, 3e-10), (3, 4e-8), (2, 1e-6)):
        root = rng.normal(size=(5, rank))
        hessian = root @ root.T - error * np.eye(5)
        inside = root @ rng.normal(size=rank)
        mean = np.trace(hessian) / 5
        solved = cho_solve(_factor(hessian.copy()), inside)
        expected = np.linalg.pinv(root @ root.T, rcond=1e-9) @ inside
        loss = np.abs(root @ (root.T @ (solved - expected))).max()
        assert loss <= max(1e-6, 1e3 * error / mean) * np.abs(inside).max(), (rank, error)
