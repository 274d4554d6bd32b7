# SPDX-License-Identifier: BSD-3-Clause
"""What an eraser removes: rows of directions of unit length, and what it reads to remove them.

A row x with mean m becomes ``x - D' R (x - m)`` with directions D and readouts R, where R D' is the
identity, so that erasing twice is erasing once.
"""

import numpy as np
from scipy.linalg import qr

from sklearn_neurox.utils._solve import solve_covariance

# Correlations below this are due to rounding.
_LEAST_CORRELATION = 1e-10
_LEAST_EXACT = 1e-6
# A share of the variance of a column below this is due to rounding.
_LEAST_SHARE = 1e-13


def leace_subspace(moments, n_directions):
    """Compute the map that is nearest to the identity among those that zero the covariance.

    Row i of the change ``I - P`` is the d of least variance ``d S d'`` that has ``d C`` equal to
    row i of C, where S is the covariance of X and C that of X with the concept. Its solution is
    ``I - P = C (C' S^+ C)^+ C' S^+``, for any norm in which nearness is measured; it equals the
    formula of Belrose et al. (2023) without a square root of S. In terms of correlations, scales
    of columns do no harm.
    """
    span, sizes, scale = _span(moments)
    read = _whitened(moments.scatter / moments.count, scale, span)
    inner = span.T @ read
    if n_directions is None or n_directions >= len(sizes):
        directions, readouts = span, np.linalg.solve((inner + inner.T) / 2, read.T)
    else:
        # The largest singular values of the covariance of whitened rows with the concept.
        values, vectors = np.linalg.eigh(sizes[:, np.newaxis] * inner * sizes)
        kept = np.argsort(values)[::-1][:n_directions]
        weights = sizes[:, np.newaxis] * vectors[:, kept]
        directions, readouts = span @ weights, (read @ (weights / values[kept])).T
    directions, readouts = directions * scale[:, np.newaxis], readouts / scale
    # Repeats the division to remove the error of the first one.
    readouts = np.linalg.solve(readouts @ directions, readouts)
    # Orthonormal directions would mix columns of different scales, and lose the smaller ones.
    length = np.linalg.norm(directions, axis=0)
    return (directions / length).T, readouts * length[:, np.newaxis]


def _whitened(covariance, scale, span):
    """Multiply ``span`` by the pseudo-inverse of the covariance, both in units of ``scale``."""
    column = scale[:, np.newaxis]
    read = column * solve_covariance(covariance, column * span)
    correlations = covariance / column / scale
    if np.abs(correlations @ read - span).max() > _LEAST_EXACT:
        # The pseudo-inverse took columns of small scale for rounding errors of larger ones.
        read = solve_covariance(correlations, span)
    return read


def mean_subspace(moments, n_directions):
    """Return an orthonormal basis of the differences between class means, the largest first."""
    span, sizes, scale = _span(moments)
    basis, triangle = qr(scale[:, np.newaxis] * span * sizes, mode="economic")
    order, _, _ = np.linalg.svd(triangle)
    directions = (basis @ order).T[:n_directions] * (_variances(moments) > 0)
    return directions, directions


def random_subspace(n_features, n_directions, random_state):
    """Draw orthonormal directions, uniformly among all."""
    draws = random_state.standard_normal((n_features, n_directions))
    directions = qr(draws, mode="economic")[0].T
    return directions, directions


def erased_columns(moments, directions, readouts):
    """Return a mask of the columns that vary, but do not after the erasure."""
    if moments.scatter.ndim == 1:  # orthogonal projections
        share = 1 - np.square(directions).sum(axis=0)
        return (share < _LEAST_SHARE) & (_variances(moments) > 0)
    scale = moments.deviations()
    moved, read = (directions / scale).T, readouts * scale
    correlations = moments.scatter / moments.count / scale[:, np.newaxis] / scale
    product = read @ correlations
    share = np.diag(correlations) - 2 * np.einsum("ij,ji->i", moved, product)
    share += np.einsum("ij,jk,ik->i", moved, product @ read.T, moved, optimize=True)
    return (share < _LEAST_SHARE) & (_variances(moments) > 0)


def concept_rank(moments):
    """Return the number of directions in which the concept is linearly related to X."""
    return len(_span(moments)[1])


def _span(moments):
    """Return an orthonormal basis of the correlations, their sizes, and the scales of X."""
    correlations, scale, _ = moments.correlations()
    basis, sizes, _ = np.linalg.svd(correlations, full_matrices=False)
    rank = int((sizes > _LEAST_CORRELATION * max(1.0, sizes[0])).sum())
    # Rounding errors would make a constant column vary with the concept.
    basis *= (_variances(moments) > 0)[:, np.newaxis]
    return basis[:, :rank], sizes[:rank], scale


def _variances(moments):
    """Return the diagonal of the scatter, which is exactly zero for a constant column."""
    return moments.scatter if moments.scatter.ndim == 1 else np.diag(moments.scatter)
