# SPDX-License-Identifier: BSD-3-Clause
"""Choice of the columns that a Gaussian probe models, within its memory limit."""

import numpy as np

from sklearn_neurox.probes._gaussian._moments import (
    class_means,
    class_variances,
    lift_variances,
    variance_between,
)
from sklearn_neurox.utils._counts import count_neurons
from sklearn_neurox.utils._names import seen_neuron_indices


def choose_candidates(estimator, X, codes, weights, counts):
    """Resolve the ``candidates`` of an estimator that has validated X to ascending columns.

    ``X``, ``codes``, ``weights`` and ``counts`` are those of `class_means`.
    """
    named = named_candidates(estimator)
    count = count_candidates(estimator, named, len(counts))
    if named is not None:
        return named
    if estimator.candidates is None:
        return np.arange(X.shape[1])
    information = information_of_columns(X, codes, weights, counts)
    return np.sort(np.argsort(-information, kind="stable")[:count])


def named_candidates(estimator):
    """Return the columns listed in ``candidates``, ascending; None if it is a number or None."""
    if estimator.candidates is None or np.ndim(estimator.candidates) == 0:
        return None
    columns = seen_neuron_indices(estimator, estimator.candidates)
    if not len(columns):
        raise ValueError(
            f"The 'candidates' parameter of {type(estimator).__name__} selects no columns. Name at "
            "least one."
        )
    return np.sort(columns)


def count_candidates(estimator, named, n_classes):
    """Count the candidates; raise an error if their covariances would not fit into memory."""
    caller = type(estimator).__name__
    if named is None:
        count = count_neurons(
            estimator.candidates, estimator.n_features_in_, caller=caller, parameter="candidates"
        )
    else:
        count = len(named)
    gigabytes = 8e-9 * n_classes
    needed, max_memory = gigabytes * count**2, estimator.max_memory
    if needed > max_memory:
        most = int(np.sqrt(max_memory / gigabytes))
        raise ValueError(
            f"{caller} would need {needed:.3g} GB of memory for the covariances of {n_classes} "
            f"classes and {count} neurons, but max_memory={max_memory:g}. Set "
            f"candidates={most} or less, select neurons or a layer beforehand, or increase "
            "max_memory."
        )
    return count


def candidate_places(chosen, candidates, n_features, *, caller):
    """Return the positions of the chosen columns among the candidates."""
    if len(chosen) == 0:
        raise ValueError(f"{caller}.subset was given no neurons. Give it at least one.")
    place = np.full(n_features, -1)
    place[candidates] = np.arange(len(candidates))
    unknown = chosen[place[chosen] < 0]
    if len(unknown):
        raise ValueError(
            f"{caller}.subset was given neuron {unknown[0]}, which is not one of the "
            f"{len(candidates)} candidates ({len(unknown)} such neurons), so its covariance is "
            "unknown. Add it to candidates and fit again."
        )
    return place[chosen]


def information_of_columns(X, codes, weights, counts):
    r"""Estimate the mutual information between each column and the class, from training moments.

    It is :math:`\frac12 (\log \sigma^2_j - \sum_c p_c \log \sigma^2_{cj})`, as if the column were
    Gaussian both within each class and overall, in nats; 0 for a constant column.
    """
    columns = np.arange(X.shape[1])
    means = class_means(X, codes, weights, counts, columns)
    variances = class_variances(X, codes, weights, counts, columns, means)
    within = lift_variances(variances, means, variances, counts)
    shares = counts / counts.sum()
    total = shares @ within + variance_between(means, shares)
    return 0.5 * (np.log(total) - shares @ np.log(within))
