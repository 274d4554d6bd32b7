# SPDX-License-Identifier: BSD-3-Clause
"""Confidence intervals of means over words, where words of the same group may be dependent."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import norm
from scipy.special import expit, logit
from scipy.stats import beta, t


class MeanInterval(NamedTuple):
    """A mean over words and its confidence interval; NaN where it cannot be computed."""

    mean: float
    low: float
    high: float


class GroupMean(NamedTuple):
    """A mean over words, with what the differences between groups say about its error."""

    mean: float
    error: float
    df: float
    n_groups: int
    n_effective: float  # number of groups of one size that would say as much


def group_mean(totals, groups, sizes=None):
    """Estimate a mean, its standard error, and the degrees of freedom of that error.

    See `mean_interval` for the parameters and the formulas. Without groups or if a total is NaN,
    everything is NaN; with one group, the error is.
    """
    total, size = _of_groups(totals, groups, sizes)
    n_groups = len(size)
    mean = total.sum() / size.sum() if n_groups else np.nan
    if n_groups < 2 or np.isnan(mean):
        return GroupMean(mean, np.nan, np.nan, n_groups, np.nan)
    residuals = total - mean * size
    # BLAS's norm does not square large numbers.
    length = norm(residuals)
    error = np.sqrt(n_groups / (n_groups - 1)) * length / size.sum()
    n_effective = (size.sum() / norm(size)) ** 2
    return GroupMean(mean, error, _degrees_of_freedom(residuals, length), n_groups, n_effective)


def _of_groups(totals, groups, sizes):
    """Return the total and the size of each group that has one."""
    totals = np.asarray(totals, dtype=np.float64)
    size = np.bincount(groups, sizes).astype(np.float64)
    return np.bincount(groups, totals)[size > 0], size[size > 0]


def _degrees_of_freedom(residuals, length):
    """Return Satterthwaite's degrees of freedom of the sum of squared residuals."""
    n_groups = len(residuals)
    if not length:
        return float(n_groups - 1)
    fourth = np.sum((residuals / length) ** 4)
    spread = fourth - 1 / n_groups  # 0 if all squares are equal
    return float(np.clip(2 / max(spread, 1e-300), 1, n_groups - 1))


def mean_interval(totals, groups, *, sizes=None, scale="linear", confidence=0.95):
    """Estimate a mean, and its confidence interval from the differences between groups.

    Parameters
    ----------
    totals : ndarray of shape (n_words,)
        What is averaged: a number per word, or its total over the parts of the word.

    groups : ndarray of int, of shape (n_words,)
        The group of each word, such as its text, numbered from 0.

    sizes : ndarray of shape (n_words,) or None, default=None
        The number of parts of each word, if the mean is one over parts, or its weight; None counts
        every word once.

    scale : {"linear", "log", "logit", "atanh"}, default="linear"
        The scale on which the interval is symmetric: ``"logit"`` for shares, ``"log"`` for numbers
        that cannot be negative, ``"atanh"`` for numbers between -1 and 1.

    confidence : float, default=0.95

    Returns
    -------
    interval : MeanInterval
        Without words, everything is NaN; with one group, the bounds are.

    Notes
    -----
    The mean is the ratio of two sums over groups, whose linearized standard error is
    ``sqrt(G / (G - 1) * sum(r_g ** 2)) / sum(size_g)`` for G groups, with the residuals
    ``r_g = total_g - mean * size_g`` (Cochran, "Sampling Techniques", 3rd ed., 1977, chapter 6).
    The bounds are at quantiles of the t distribution, in standard errors. If a few groups have most
    of the errors, the standard error itself is uncertain. Its degrees of freedom are therefore
    Satterthwaite's, two times the squared mean over the variance of ``sum(r_g ** 2)``, with both
    estimated from the residuals (Satterthwaite, Biometrics Bulletin 2, 1946), and at most
    ``G - 1``.

    The bounds of a share are also limited by the number of groups that have any of what is counted,
    such as an error. The share cannot exceed that of the words in such groups. If k of G groups
    have any, the upper bound is therefore at most Clopper and Pearson's for k of G (Biometrika 26,
    1934), multiplied by the largest group size over the mean one, because these groups may be the
    largest. The lower bound is limited in the same way, by the number of groups in which not all
    words are counted. This matters if there are few: the standard error of one error in thirty
    groups has only two degrees of freedom.

    If no word has what is counted, or all have it, or all groups have the same share, the groups do
    not differ. The words of groups that do might then be as large a share as that bound for none of
    ``sum(size_g) ** 2 / sum(size_g ** 2)`` groups, the effective number of groups (Kish, "Survey
    Sampling", 1965, chapter 11); the bounds are those if all of these words differed. If groups
    differ as a whole, with a chance proportional to their size c, this is the right bound: no group
    differs with a probability near ``exp(-c * sum(size_g))``, and the share of the words in groups
    that differ is ``c * sum(size_g ** 2) / sum(size_g)`` on average. On the linear and log scales,
    nothing says how far such groups could be from the others, so the bounds are NaN.
    """
    found = group_mean(totals, groups, sizes)
    if np.isnan(found.error):
        return MeanInterval(found.mean, np.nan, np.nan)
    distance = t.ppf((1 + confidence) / 2, found.df) * found.error
    # Below this width, only rounding makes the groups differ.
    unknown = not found.error > 1e-13 * abs(found.mean) or (scale == "log" and found.mean <= 0)
    if scale in ("linear", "log") and unknown:
        return MeanInterval(found.mean, np.nan, np.nan)
    if scale == "log":
        factor = np.exp(min(distance / found.mean, 700.0))  # beyond, floats overflow
        return MeanInterval(found.mean, found.mean / factor, found.mean * factor)
    if scale == "logit":
        limits = _limits_of_share(totals, groups, sizes, confidence)
        return MeanInterval(found.mean, *_of_share(found.mean, distance, found, limits, confidence))
    if scale == "atanh":
        # The inverse hyperbolic tangent of m is half the logit of (1 + m) / 2.
        halves = (np.asarray(totals) + (1 if sizes is None else sizes)) / 2
        limits = _limits_of_share(halves, groups, sizes, confidence)
        share = _of_share((1 + found.mean) / 2, distance / 2, found, limits, confidence)
        return MeanInterval(found.mean, *(2 * bound - 1 for bound in share))
    return MeanInterval(found.mean, found.mean - distance, found.mean + distance)


def _of_share(share, distance, found, limits, confidence):
    """Return the bounds of a share whose interval is symmetric on the logit scale."""
    share = min(max(share, 0.0), 1.0)  # rounding may lead out of it
    if not 0 < share < 1 or found.error <= 1e-12:
        beyond = _most(0, found.n_effective, confidence)
        return share - beyond * share, share + beyond * (1 - share)
    center, distance = logit(share), distance / (share * (1 - share))
    lowest, highest = limits
    return max(expit(center - distance), lowest), min(expit(center + distance), highest)


def _limits_of_share(totals, groups, sizes, confidence):
    """Return the limits of a share that follow from how many groups have any, and lack any."""
    size_of_word = 1 if sizes is None else np.asarray(sizes)
    if np.any(totals < 0) or np.any(totals > size_of_word * (1 + 1e-9)):
        return 0.0, 1.0  # linearized outcomes of a metric, which are not shares of the words
    total, size = _of_groups(totals, groups, sizes)
    largest, n_groups = size.max() / size.mean(), len(size)
    having, lacking = (np.sum(part > 1e-9 * size) for part in (total, size - total))
    return (
        1 - largest * _most(lacking, n_groups, confidence),
        largest * _most(having, n_groups, confidence),
    )


def _most(k, n, confidence):
    """Return Clopper and Pearson's upper bound of a share if k of n groups have it."""
    return 1.0 if k == n else float(beta.ppf((1 + confidence) / 2, k + 1, n - k))
