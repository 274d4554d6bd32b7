# SPDX-License-Identifier: BSD-3-Clause
"""Intervals and paired tests from scores of resampled groups, and Holm's correction."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm, t


def group_counts(n_groups, n_bootstrap, random_state):
    """Draw how often every group stands in each resample.

    Parameters
    ----------
    n_groups, n_bootstrap : int

    random_state : RandomState instance

    Returns
    -------
    counts : ndarray of shape (n_bootstrap, n_groups), dtype int64
    """
    return random_state.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)


def percentile_interval(replicates, n_groups, confidence):
    """Take the expanded percentile interval of every column.

    The percentiles are those at which a normal distribution is as far out as the t distribution
    with ``n_groups - 1`` degrees of freedom, times the root of ``n_groups / (n_groups - 1)``.

    Parameters
    ----------
    replicates : ndarray of shape (n_bootstrap, n_scores)

    n_groups : int
        At least 2.

    confidence : float

    Returns
    -------
    low, high : ndarrays of shape (n_scores,)
    """
    distance = t.ppf((1 + confidence) / 2, n_groups - 1) * _expansion(n_groups)
    tail = norm.sf(distance)
    return np.quantile(replicates, [tail, 1 - tail], axis=0)


def compare_pairs(names, scores, replicates, n_groups, confidence):
    """Compare every two scores on the same resamples.

    The statistic is the difference over its bootstrap standard error, and its distribution that
    of t with ``n_groups - 1`` degrees of freedom. Unlike a count of resamples, its p-value has no
    floor for the correction to multiply.

    Parameters
    ----------
    names : list of n_scores str

    scores : ndarray of shape (n_scores,)

    replicates : ndarray of shape (n_bootstrap, n_scores)

    n_groups : int

    confidence : float

    Returns
    -------
    pairs : DataFrame of shape (n_pairs, 8)
        Columns ``first``, ``second``, ``difference`` (of the first from the second), ``low``,
        ``high``, ``std_error``, ``p_value`` and ``p_holm``.
    """
    every_two = list(combinations(range(len(names)), 2))
    first, second = np.array(every_two, dtype=np.intp).reshape(-1, 2).T
    difference = scores[first] - scores[second]
    resampled = replicates[:, first] - replicates[:, second]
    error = np.std(resampled, axis=0, ddof=1) * _expansion(n_groups)
    low, high = percentile_interval(resampled, n_groups, confidence)
    p_value = _p_values(difference, error, n_groups)
    names = pd.Series(names)
    return pd.DataFrame(
        {
            "first": names.take(first).to_numpy(),
            "second": names.take(second).to_numpy(),
            "difference": difference,
            "low": low,
            "high": high,
            "std_error": error,
            "p_value": p_value,
            "p_holm": holm(p_value),
        }
    )


def holm(p_values):
    """Correct p-values for their number by Holm's step-down method.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)

    Returns
    -------
    corrected : ndarray of shape (n_tests,)
        Rejecting what is at most alpha keeps the chance of any false rejection at alpha.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def _expansion(n_groups):
    return np.sqrt(n_groups / (n_groups - 1))


def _p_values(difference, error, n_groups):
    # Rounding may leave an error where every resample gives the same difference.
    constant = error <= 1e-12
    statistic = np.divide(difference, error, out=np.zeros_like(error), where=~constant)
    p_values = 2 * t.sf(np.abs(statistic), n_groups - 1)
    # All groups then agree, which by the sign test has this chance if neither is better.
    unanimous = np.where(np.abs(difference) > 1e-12, 2.0 ** (1 - n_groups), 1.0)
    return np.where(constant, unanimous, p_values)
