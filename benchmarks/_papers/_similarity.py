# SPDX-License-Identifier: BSD-3-Clause
"""SVCCA and PWCCA by the formulas of the papers, and by those of code that is often used.

The latter, as in https://github.com/google/svcca: means over the largest correlations that make up
98% of their sum, directions that make up 99% of the sum of the singular values, and weights of
rotated, uncentered activations instead of canonical variables.
"""

import numpy as np
import pandas as pd

from benchmarks._papers._treebank import Treebank
from sklearn_neurox.evaluation import pwcca, svcca

_PAIRS = [(0, 1), (0, 3), (0, 6), (3, 6)]


def make(*, quick):
    """Return the table of pairs of layers."""
    data = Treebank.read(quick=quick)
    numbers = sorted({number for pair in _PAIRS for number in pair})
    H = data.activations(layers=numbers)
    layers = {k: H.filter(regex=rf"^hidden.{k}[.]").to_numpy(np.float64) for k in numbers}
    rows = [
        {"layers": f"{a}, {b}", **_measures(layers[a], layers[b])}
        for a, b in (_PAIRS[:1] if quick else _PAIRS)
    ]
    return {f"{len(H):,} words": pd.DataFrame(rows).round(3)}


def _measures(X, Y):
    by_variance = _correlations(_core(X, power=2), _core(Y, power=2))
    by_values = _correlations(_core(X, power=1), _core(Y, power=1))
    return {
        "svcca": svcca(X, Y),
        "98% of the correlations": _mean_of_largest(by_variance),
        "99% of the singular values": by_values.mean(),
        "both": _mean_of_largest(by_values),
        "pwcca": pwcca(X, Y),
        "directions of the code": _weighted_by_rotation(X, Y),
    }


def _core(X, power, share=0.99):
    """Return the scores of the leading directions, by the sum of powers of the singular values."""
    X = X - X.mean(axis=0)
    squares, directions = np.linalg.eigh(X.T @ X)
    values = np.sqrt(squares[::-1].clip(0)) ** power
    count = np.searchsorted(np.cumsum(values) / values.sum(), share) + 1
    return X @ directions[:, ::-1][:, :count]


def _correlations(X, Y):
    (Q, _), (R, _) = np.linalg.qr(X), np.linalg.qr(Y)
    return np.linalg.svd(Q.T @ R, compute_uv=False).clip(0, 1)


def _mean_of_largest(correlations, share=0.98):
    count = np.searchsorted(np.cumsum(correlations) / correlations.sum(), share) + 1
    return correlations[:count].mean()


def _weighted_by_rotation(X, Y):
    rows, columns = _inverse_root(X), _inverse_root(Y)
    product = (X - X.mean(axis=0)).T @ (Y - Y.mean(axis=0)) / (len(X) - 1)
    rotation, correlations, _ = np.linalg.svd(rows @ product @ columns)
    mean = X.mean(axis=0)
    basis, _ = np.linalg.qr((X - mean) @ rotation + mean)
    weights = np.abs(basis.T @ X).sum(axis=1)
    return weights @ correlations / weights.sum()


def _inverse_root(X):
    """Return the root of the pseudoinverse of the covariance, as that code computes it."""
    values, vectors = np.linalg.eigh(np.cov(X, rowvar=False))
    # The neurons of a layer may be linearly dependent.
    kept = values > 1e-10 * values.max()
    return vectors[:, kept] / np.sqrt(values[kept]) @ vectors[:, kept].T
