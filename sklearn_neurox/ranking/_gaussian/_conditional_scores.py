# SPDX-License-Identifier: BSD-3-Clause
"""Scores of a Gaussian classifier on each row after adding each column."""

import numpy as np
from scipy.linalg.blas import dgemm, sgemm
from scipy.special import logsumexp

# Size of one block for one class: a few such blocks should fit in the processor's cache.
_BLOCK_BYTES = 100_000
# Smaller sums of exponentials are recomputed relative to their largest term.
_TOO_SMALL = 1e-30
_ENTRIES = 4096


def conditional_scores(columns, Z, base, codes, weights, offsets):
    """Score each column on each row, as the next one to join the chosen columns.

    Given the chosen columns, a column is normal within a class: its mean is ``[1, z] @ weights``
    over the whitened values z of the chosen columns, in units of ``sqrt(2)`` conditional
    deviations.

    Parameters
    ----------
    columns : ndarray of shape (n_samples, n_columns)
        The computation uses their dtype.

    Z : ndarray of shape (n_classes, n_samples, n_chosen + 1)
        A column of ones, then the whitened values of the chosen columns.

    base : ndarray of shape (n_classes, n_samples)
        The joint log-likelihood of the chosen columns, minus its maximum over classes.

    codes : ndarray of shape (n_samples,)
        The true classes.

    weights : ndarray of shape (n_classes, n_chosen + 2, n_columns)
        The coefficient of the column itself, then those of ``Z``.

    offsets : ndarray of shape (n_classes, n_columns)
        The negative logarithms of the conditional deviations.

    Returns
    -------
    log_likelihoods : ndarray of shape (n_samples, n_columns)
        The log-probability of the true class, in nats.

    right : ndarray of shape (n_samples, n_columns), dtype=bool
        Whether the true class is the most probable one.
    """
    # Fancy indexing may return the columns in Fortran order.
    columns = np.ascontiguousarray(columns)
    weights, offsets = weights.astype(columns.dtype, order="C"), offsets.astype(columns.dtype)
    log_likelihoods = np.empty(columns.shape, dtype=columns.dtype)
    right = np.empty(columns.shape, dtype=bool)
    n_rows = max(1, _BLOCK_BYTES // (columns.shape[1] * columns.itemsize))
    for start in range(0, len(columns), n_rows):
        rows = slice(start, start + n_rows)
        block = _Block(columns[rows], Z[:, rows], base[:, rows], codes[rows])
        log_likelihoods[rows], right[rows] = block.score(weights, offsets)
    return log_likelihoods, right


class _Block:
    """A few rows that fit into the processor's cache."""

    def __init__(self, X, Z, base, codes):
        self.X, self.codes = X, codes
        self.base, self.Z = base.astype(X.dtype, copy=False), Z.astype(X.dtype, copy=False)

    def score(self, weights, offsets):
        true, total = np.empty_like(self.X), np.zeros_like(self.X)
        best = np.full_like(self.X, -np.inf)
        for code in range(len(offsets)):
            joint = self._joint(code, weights[code], offsets[code])
            members = self.codes == code
            true[members] = joint[members]
            np.maximum(best, joint, out=best)
            np.exp(joint, out=joint)
            total += joint
        right = true == best
        weak = np.argwhere(total < _TOO_SMALL)
        with np.errstate(divide="ignore"):
            log_likelihoods = np.subtract(true, np.log(total, out=total), out=total)
        for start in range(0, len(weak), _ENTRIES):
            row, column = weak[start : start + _ENTRIES].T
            joint = self._joint_at(row, column, weights, offsets)
            log_likelihoods[row, column] = true[row, column] - logsumexp(joint, axis=0)
            right[row, column] = joint.argmax(axis=0) == self.codes[row]
        return log_likelihoods, right

    def _joint(self, code, weights, offsets):
        joint = self.X * weights[0]
        gemm = sgemm if joint.dtype == np.float32 else dgemm
        # BLAS is column-major: on the transposes, this is joint -= Z @ weights, in place.
        joint = gemm(-1.0, weights[1:].T, self.Z[code].T, 1.0, joint.T, overwrite_c=True).T
        np.square(joint, out=joint)
        np.subtract(offsets, joint, out=joint)
        joint += self.base[code][:, np.newaxis]
        return joint

    def _joint_at(self, row, column, weights, offsets):
        mean = np.einsum("cek,cke->ce", self.Z[:, row], weights[:, 1:, column])
        distance = self.X[row, column] * weights[:, 0, column] - mean
        return self.base[:, row] + offsets[:, column] - np.square(distance)


def column_weights(regression, variances):
    """Scale a regression (n_classes, n_chosen + 1, n_columns) and its residual variances.

    Returns the ``weights`` and ``offsets`` of `conditional_scores`.
    """
    scale = 1 / np.sqrt(2 * variances)[:, np.newaxis]
    return np.concatenate([scale, regression * scale], axis=1), -0.5 * np.log(variances)
