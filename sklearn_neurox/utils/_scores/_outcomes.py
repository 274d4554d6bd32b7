# SPDX-License-Identifier: BSD-3-Clause
"""Numbers per row whose mean is a score, so that intervals and tests of means serve any metric."""

import inspect
import warnings

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    jaccard_score,
    log_loss,
    matthews_corrcoef,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)

_SHARES = (
    accuracy_score,
    average_precision_score,
    f1_score,
    fbeta_score,
    jaccard_score,
    precision_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)


def metric_scale(scorer):
    """Return the scale of `mean_interval` that keeps an interval within the range of a metric."""
    metric, given = getattr(scorer, "_score_func", None), getattr(scorer, "_kwargs", {})
    if getattr(scorer, "_sign", 1) < 0:
        return "linear"
    if metric in _SHARES or (metric is balanced_accuracy_score and not given.get("adjusted")):
        return "logit"
    return "atanh" if metric in (matthews_corrcoef, cohen_kappa_score) else "linear"


def row_outcomes(recorded, score):
    r"""Return a number per row, whose mean, weighted if there are weights, is the score.

    Parameters
    ----------
    recorded : RecordedPredictions

    score : float
        The score of all its rows.

    Returns
    -------
    outcomes : ndarray of shape (n_rows,)
        All NaN if the score has no derivative, as when a class occurs in a single group.

    Notes
    -----
    The accuracy is the mean of whether predictions are right; the log loss and the squared and
    absolute errors are means as well. For other metrics, the outcome of row i is
    :math:`s + W\, \partial s / \partial w_i`, where s is the score as a function of the weights of
    the rows, and W the sum of the weights (the infinitesimal jackknife: Efron, "The Jackknife, the
    Bootstrap and Other Resampling Plans", SIAM 1982, chapter 6). Its interval is that of the delta
    method. :math:`R^2` has this derivative in closed form. Metrics of predicted labels depend only
    on the weight of each pair of a label and a prediction, in which the derivative is numerical.
    Any other metric is scored without one group at a time, and the change is divided among the rows
    of the group.
    """
    if not np.isfinite(score) or recorded.y.ndim != 1:
        return np.full(len(recorded.y), np.nan)
    with warnings.catch_warnings():
        # Metrics warn about classes that some rows lack.
        warnings.simplefilter("ignore")
        outcomes = _of_means(recorded)
        if outcomes is not None and not np.isclose(_mean(recorded, outcomes), score, rtol=1e-9):
            outcomes = None
        if outcomes is None:
            outcomes = _of_variance(recorded, score)
        if outcomes is None:
            outcomes = _of_cells(recorded, score)
        if outcomes is None:
            outcomes = _without_groups(recorded, score)
    return outcomes


def _mean(recorded, outcomes):
    return np.average(outcomes, weights=recorded.weight)


def _of_means(recorded):
    """Return the rows' own scores, if the metric is their mean."""
    metric, given = _metric(recorded), getattr(recorded.scorer, "_kwargs", {})
    response = next(iter(recorded.responses.values()))
    if metric is accuracy_score and not given:
        return (recorded.y == response).astype(np.float64)
    if metric is log_loss and set(given) <= {"labels"} and response.ndim == 2:
        proba = np.clip(response, np.finfo(response.dtype).eps, 1 - np.finfo(response.dtype).eps)
        column = np.searchsorted(recorded.classes, recorded.y)
        known = recorded.classes[np.minimum(column, len(recorded.classes) - 1)] == recorded.y
        return np.log(proba[np.arange(len(proba)), column]) if known.all() else None
    if metric in (mean_squared_error, mean_absolute_error) and not given and response.ndim == 1:
        distance = np.abs(recorded.y.astype(np.float64) - response)
        return -(distance**2) if metric is mean_squared_error else -distance
    return None


def _of_variance(recorded, score):
    """Return the outcomes of R^2, which is 1 minus the ratio of two sums of squares."""
    response = next(iter(recorded.responses.values()))
    if _metric(recorded) is not r2_score or recorded.scorer._kwargs or response.ndim != 1:
        return None
    y = recorded.y.astype(np.float64)
    weight = np.ones(len(y)) if recorded.weight is None else recorded.weight
    error, spread = (y - response) ** 2, (y - _mean(recorded, y)) ** 2
    total = weight @ spread
    if not total:
        return np.full(len(y), np.nan)
    return score - weight.sum() / total * (error - (1 - score) * spread)


def _of_cells(recorded, score):
    """Differentiate a metric of predicted labels in the weights of label and prediction."""
    takes_weights = "sample_weight" in _parameters(recorded)
    if recorded.classes is None or list(recorded.responses) != ["predict"] or not takes_weights:
        return None
    _, of_label = np.unique(recorded.y, return_inverse=True)
    labels, of_prediction = np.unique(recorded.responses["predict"], return_inverse=True)
    _, first, cells = np.unique(
        of_label * len(labels) + of_prediction, return_index=True, return_inverse=True
    )
    mass = np.bincount(cells, recorded.weight)
    slopes = np.zeros(len(mass))
    for cell in np.flatnonzero(mass):
        step = 1e-4 * mass[cell]
        ends = []
        for sign in (1, -1):
            weight = np.zeros(len(cells))
            weight[first] = mass
            weight[first[cell]] += sign * step
            ends.append(recorded.score(first[mass > 0], weight))
        slopes[cell] = (ends[0] - ends[1]) / (2 * step)
    # The slopes are weighted to sum to zero, as those of any ratio do, up to rounding.
    return score + mass.sum() * (slopes - slopes @ mass / mass.sum())[cells]


def _without_groups(recorded, score):
    """Return what the score would change by without each group, spread over the group's rows."""
    nothing = np.full(len(recorded.y), np.nan)
    if recorded.groups is None:
        return nothing
    weight = np.ones(len(recorded.y)) if recorded.weight is None else recorded.weight
    mass = np.bincount(recorded.groups, weight)
    changes, total = np.zeros(len(mass)), mass.sum()
    for group in np.flatnonzero(mass):
        try:
            without = recorded.score(np.flatnonzero(recorded.groups != group))
        except ValueError:
            return nothing
        # By homogeneity, removing the mass m of a group changes the score by about
        # -m / (total - m) times the sum of the derivatives times the total.
        changes[group] = (score - without) * (total - mass[group]) / mass[group]
    if not np.isfinite(changes).all():
        return nothing
    return score + (changes - changes @ mass / total)[recorded.groups]


def _metric(recorded):
    return getattr(recorded.scorer, "_score_func", None)


def _parameters(recorded):
    metric, given = _metric(recorded), getattr(recorded.scorer, "_kwargs", {})
    return () if metric is None else set(inspect.signature(metric).parameters) - set(given)
