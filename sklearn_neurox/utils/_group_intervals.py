# SPDX-License-Identifier: BSD-3-Clause
"""Confidence intervals of means over words, where words of the same group may be dependent."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import norm
from scipy.special import expit, logit
from scipy.stats import t


class MeanInterval(NamedTuple):
    """A mean over words and its confidence interval; NaN where it cannot be computed."""

    mean: float
    low: float
    high: float


def mean_interval(totals, groups, *, sizes=None, scale="linear", confidence=0.95):
    """Estimate a mean, and its confidence interval from the differences between groups.

    Parameters
    ----------
    totals : ndarray of shape (n_words,)
        What is averaged: a number per word, or its total over the parts of the word.

    groups : ndarray of int, of shape (n_words,)
        The group of each word, such as its text, numbered from 0.

    sizes : ndarray of shape (n_words,) or None, default=None
        The number of parts of each word, if the mean is one over parts; None counts every word
        once.

    scale : {"linear", "log", "logit"}, default="linear"
        The scale on which the interval is symmetric: ``"logit"`` for shares, ``"log"`` for numbers
        that cannot be negative.

    confidence : float, default=0.95

    Returns
    -------
    interval : MeanInterval
        Without words, everything is NaN; with one group, the bounds are.

    Notes
    -----
    The mean is the ratio of two sums over groups, whose linearized standard error is
    ``sqrt(G / (G - 1) * sum((total_g - mean * size_g) ** 2)) / sum(size_g)`` for G groups
    (Cochran, "Sampling Techniques", 3rd ed., 1977, chapter 6). The bounds are at the quantiles of
    the t distribution with ``G - 1`` degrees of freedom, in standard errors.

    If no word has what is counted, or all have it, the groups do not differ. The bound on the share
    is then that on the share of groups that have it, ``1 - ((1 - confidence) / 2) ** (1 / G)``
    (Clopper and Pearson, 1934).
    """
    totals = np.asarray(totals, dtype=np.float64)
    sizes = np.ones(len(totals)) if sizes is None else np.asarray(sizes, dtype=np.float64)
    total, size = np.bincount(groups, totals), np.bincount(groups, sizes)
    total, size = total[size > 0], size[size > 0]
    n_groups = len(size)
    if not n_groups:
        return MeanInterval(np.nan, np.nan, np.nan)
    mean = total.sum() / size.sum()
    if n_groups == 1:
        return MeanInterval(mean, np.nan, np.nan)
    residuals = total - mean * size
    # BLAS's norm does not square large numbers.
    error = np.sqrt(n_groups / (n_groups - 1)) * norm(residuals) / size.sum()
    distance = t.ppf((1 + confidence) / 2, n_groups - 1) * error
    if scale == "logit" and not 0 < mean < 1:
        beyond = 1 - ((1 - confidence) / 2) ** (1 / n_groups)
        return MeanInterval(mean, max(mean - beyond, 0.0), min(mean + beyond, 1.0))
    if scale == "logit":
        center, distance = logit(mean), distance / (mean * (1 - mean))
        return MeanInterval(mean, expit(center - distance), expit(center + distance))
    if scale == "log" and mean > 0:
        factor = np.exp(min(distance / mean, 700.0))  # beyond, floats overflow
        return MeanInterval(mean, mean / factor, mean * factor)
    return MeanInterval(mean, mean - distance, mean + distance)
