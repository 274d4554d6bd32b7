# SPDX-License-Identifier: BSD-3-Clause
"""Confidence intervals and paired tests from scores on resampled groups; Holm's correction."""

import numpy as np
import pandas as pd
from scipy.stats import norm, t


def group_counts(n_groups, n_bootstrap, random_state):
    """Draw how often each group occurs in each resample, of shape (n_bootstrap, n_groups)."""
    return random_state.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)


def percentile_interval(replicates, n_groups, confidence):
    """Compute the bounds of the expanded percentile interval of each column.

    The percentiles are those of a normal distribution at the quantiles of the t distribution with
    ``n_groups - 1`` degrees of freedom, times the square root of ``n_groups / (n_groups - 1)``.
    """
    distance = t.ppf((1 + confidence) / 2, n_groups - 1) * _expansion(n_groups)
    tail = norm.sf(distance)
    return np.quantile(replicates, [tail, 1 - tail], axis=0)


def compare_pairs(names, scores, replicates, n_groups, confidence):
    """Compare each pair of scores on the same resamples; return one row per pair.

    The statistic is the difference (first minus second) divided by its bootstrap standard error.
    It is compared with the t distribution with ``n_groups - 1`` degrees of freedom. Unlike the
    fraction of resamples, this p-value has no lower limit that the correction would multiply.
    """
    first, second = np.triu_indices(len(names), k=1)
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
    """Correct p-values for multiple testing with Holm's step-down method.

    Rejecting corrected values up to alpha keeps the chance of any false rejection at most alpha.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    return np.minimum(np.maximum.accumulate(steps), 1.0)[np.argsort(order)]


def _expansion(n_groups):
    return np.sqrt(n_groups / (n_groups - 1))


def _p_values(difference, error, n_groups):
    # Rounding may leave a tiny error even if all resamples give the same difference.
    constant = error <= 1e-12
    statistic = np.divide(difference, error, out=np.zeros_like(error), where=~constant)
    p_values = 2 * t.sf(np.abs(statistic), n_groups - 1)
    # All groups then agree. By the sign test, this is how likely that is if neither is better.
    unanimous = np.where(np.abs(difference) > 1e-12, 2.0 ** (1 - n_groups), 1.0)
    return np.where(constant, unanimous, p_values)
