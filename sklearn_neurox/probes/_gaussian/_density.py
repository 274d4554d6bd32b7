# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from scipy.linalg import cholesky, solve_triangular

from sklearn_neurox.probes._gaussian._moments import upcast_blocks


def joint_log_likelihood(X, columns, means, covariances, priors):
    """Compute the log of prior times density, of shape (n_samples, n_classes), in nats.

    ``columns`` are the columns of X that the moments belong to.
    """
    joint = np.empty((X.shape[0], len(priors)))
    with np.errstate(divide="ignore"):
        log_priors = np.log(priors)
    # One factor at a time: together they would need as much memory as the covariances.
    for code, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        factor = cholesky(covariance, lower=True, check_finite=False)
        constant = log_priors[code] - np.log(np.diagonal(factor)).sum()
        constant -= len(mean) / 2 * np.log(2 * np.pi)
        for block, values in upcast_blocks(X, columns):
            values -= mean
            whitened = solve_triangular(factor, values.T, lower=True, check_finite=False)
            joint[block, code] = constant - 0.5 * np.einsum("ij,ij->j", whitened, whitened)
    return joint


def encode_labels(y, classes):
    """Turn labels into class codes; raise an error for labels not seen in ``fit``."""
    unseen = ~np.isin(y, classes)
    if unseen.any():
        row = int(np.flatnonzero(unseen)[0])
        raise ValueError(
            f"{unseen.sum()} of {len(y)} labels were not seen in fit; the first is "
            f"{y[row : row + 1].tolist()[0]!r} at row {row}. Their information cannot be bounded. "
            "Drop these rows, or fit on rows of all classes."
        )
    return np.searchsorted(classes, y)


def information_bound(codes, cross_entropy, *, units, normalize):
    """Subtract the cross-entropy of a probe (in nats) from the entropy of the labels."""
    shares = np.bincount(codes) / len(codes)
    shares = shares[shares > 0]
    entropy = -(shares @ np.log(shares))
    if not normalize:
        return float((entropy - cross_entropy) / (np.log(2) if units == "bits" else 1.0))
    if len(shares) < 2:
        raise ValueError(
            "The information cannot be normalized: y has only 1 class, so its entropy is zero. "
            "Use normalize=False, or labels of at least two classes."
        )
    return float(1 - cross_entropy / entropy)
