# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from scipy.linalg import cho_solve, lapack, pinvh

# Below this reciprocal condition number, a factorization solves for rounding errors.
_LEAST_RCOND = 1e-12


def solve_covariance(covariance, right):
    """Multiply ``right``, of shape (n_features, n), by the pseudo-inverse of a covariance matrix.

    A well-conditioned matrix is factorized, which is much faster than its pseudo-inverse.
    Conditioning is that of the correlation matrix, since the scales of columns do no harm.
    """
    solution = np.zeros_like(right)
    # A constant column has only zeros in its row of the matrix.
    varying = np.flatnonzero(np.diag(covariance) > 0)
    part, target = covariance[np.ix_(varying, varying)], right[varying]
    scale = np.sqrt(np.diag(part))[:, np.newaxis]
    scaled = part / scale / scale.T
    factor, failed = lapack.dpotrf(scaled, lower=1)
    rcond = 0.0
    if not failed and len(varying):
        rcond, _ = lapack.dpocon(factor, np.abs(scaled).sum(axis=0).max(), uplo="L")
    if rcond > _LEAST_RCOND:
        solution[varying] = cho_solve((factor, True), target / scale) / scale
    elif len(varying):
        solution[varying] = pinvh(part) @ target
    return solution
