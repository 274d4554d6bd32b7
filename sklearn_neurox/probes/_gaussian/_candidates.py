# SPDX-License-Identifier: BSD-3-Clause
"""Which columns a Gaussian probe models, and whether their covariances fit into memory."""

import numpy as np

from sklearn_neurox.probes._gaussian._moments import (
    class_means,
    class_variances,
    lift_variances,
    variance_between,
)
from sklearn_neurox.utils._counts import count_neurons
from sklearn_neurox.utils._names import neuron_indices


def choose_candidates(estimator, X, codes, weights, counts):
    """Turn the parameter ``candidates`` of an estimator into columns.

    Parameters
    ----------
    estimator : estimator instance
        Has ``candidates`` and ``max_memory``, and has validated X.

    X, codes, weights, counts : ndarray
        As in `class_means`.

    Returns
    -------
    columns : ndarray of shape (n_chosen,), dtype=intp
        Ascending.
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
    """Give the columns that ``candidates`` names, ascending; None where it says how many."""
    if estimator.candidates is None or np.ndim(estimator.candidates) == 0:
        return None
    caller = type(estimator).__name__
    columns = neuron_indices(
        estimator.candidates,
        names=getattr(estimator, "feature_names_in_", None),
        n_features=estimator.n_features_in_,
        caller=caller,
    )
    if not len(columns):
        raise ValueError(f"The 'candidates' parameter of {caller} chooses no column.")
    return np.sort(columns)


def count_candidates(estimator, named, n_classes):
    """Count the candidates, and raise an error if their covariances would not fit into memory."""
    caller = type(estimator).__name__
    if named is None:
        count = count_neurons(
            estimator.candidates, estimator.n_features_in_, caller=caller, parameter="candidates"
        )
    else:
        count = len(named)
    _check_memory(count, n_classes, estimator.max_memory, caller=caller)
    return count


def _check_memory(n_candidates, n_classes, max_memory, *, caller):
    """Raise an error if the covariances would not fit into ``max_memory`` gigabytes."""
    needed = 8e-9 * n_classes * n_candidates**2
    if needed > max_memory:
        most = int(np.sqrt(max_memory / (8e-9 * n_classes)))
        raise ValueError(
            f"{caller} would need {needed:.3g} GB of memory for the covariances of {n_classes} "
            f"classes and {n_candidates} neurons, but max_memory={max_memory:g}. Set "
            f"candidates={most} or less, select neurons or a layer before it, or raise "
            "max_memory."
        )


def candidate_places(chosen, candidates, n_features, *, caller):
    """Tell where the chosen columns stand among the candidates."""
    if len(chosen) == 0:
        raise ValueError(f"{caller}.subset was given no neuron.")
    place = np.full(n_features, -1)
    place[candidates] = np.arange(len(candidates))
    unknown = chosen[place[chosen] < 0]
    if len(unknown):
        raise ValueError(
            f"{caller}.subset was given neuron {unknown[0]}, which is not one of the "
            f"{len(candidates)} candidates ({len(unknown)} such), so that it has no covariance. "
            "Name it in candidates and fit again."
        )
    return place[chosen]


def information_of_columns(X, codes, weights, counts):
    r"""Estimate what every column alone tells about the class, from the training moments.

    That is :math:`\frac12 (\log \sigma^2_j - \sum_c p_c \log \sigma^2_{cj})`, the mutual
    information if the column were Gaussian, within the classes and over all of them.

    Parameters are those of `class_means`.

    Returns
    -------
    information : ndarray of shape (n_features,)
        In nats; 0 for a constant column.
    """
    columns = np.arange(X.shape[1])
    means = class_means(X, codes, weights, counts, columns)
    variances = class_variances(X, codes, weights, counts, columns, means)
    within = lift_variances(variances, means, variances, counts)
    shares = counts / counts.sum()
    total = shares @ within + variance_between(means, shares)
    return 0.5 * (np.log(total) - shares @ np.log(within))
