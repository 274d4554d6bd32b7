# SPDX-License-Identifier: BSD-3-Clause
"""The score of a fitted probe on test rows, with an interval and an outcome per row."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sklearn_neurox.utils._scores._fold_score import flat_classes, score_fold
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.utils._scores._outcomes import metric_scale
from sklearn_neurox.utils._scores._recorded_predictions import RecordedPredictions, record

# The ``score`` methods that are always the same metric.
_SCORES = {
    ClassifierMixin.score: "accuracy",
    DummyClassifier.score: "accuracy",
    RegressorMixin.score: "r2",
    DummyRegressor.score: "r2",
}


class ScoredRows(NamedTuple):
    """A score, and the numbers of the rows whose mean it is, weighted if there are weights.

    ``scale`` is that of `mean_interval`. The outcomes are NaN if the scorer is not scikit-learn's.
    """

    score: float
    outcomes: np.ndarray
    scale: str

    def interval(self, groups, weight=None, *, confidence):
        """Return the bounds of the score; NaN without groups, outcomes or differences."""
        return interval_of(self.outcomes, groups, weight, scale=self.scale, confidence=confidence)


def score_rows(scoring, probe, X, y, groups, *, where, sample_weight=None):
    """Score a fitted probe on test rows; see `score_fold` for ``where`` and errors.

    ``groups`` (ndarray of int or None) are those of the rows; some metrics need them for outcomes.
    """
    scorer, classes, labels = _known_scorer(scoring, probe), flat_classes(probe), np.asarray(y)
    if scorer is None or labels.ndim != 1 or (classes is None and is_classifier(probe)):
        scorer = check_scoring(probe, scoring=scoring)
        score = score_fold(scorer, probe, X, y, where=where, sample_weight=sample_weight)
        return ScoredRows(score, np.full(len(labels), np.nan), "linear")
    recorded = None

    def through_record(probe, X, y, **given):
        nonlocal recorded
        responses, made = record(probe, X, scorer), {"classes": classes, "scorer": scorer}
        recorded = RecordedPredictions(responses, labels, groups, **made, weight=sample_weight)
        return recorded.score()

    score = score_fold(through_record, probe, X, y, where=where, sample_weight=sample_weight)
    return ScoredRows(score, recorded.outcomes(score), metric_scale(scorer))


def _known_scorer(scoring, probe):
    """Return the scorer, if it is one of scikit-learn's, which only use predictions."""
    if scoring is None:
        return _own_scorer(probe)
    scorer = check_scoring(probe, scoring=scoring)
    return scorer if hasattr(scorer, "_score_func") else None


def _own_scorer(probe):
    """Return the scorer that the ``score`` method of a fitted probe computes, if it is known."""
    own = getattr(type(probe), "score", None)
    if isinstance(probe, Pipeline):
        return _own_scorer(probe[-1])
    if isinstance(probe, FrozenEstimator):
        return _own_scorer(probe.estimator)
    if own is GridSearchCV.score:  # that of all searches
        if probe.scoring is None:
            return _own_scorer(probe.best_estimator_)
        scorer = probe.scorer_[probe.refit] if probe.multimetric_ else probe.scorer_
    elif own is LogisticRegressionCV.score:
        chosen = "accuracy" if probe.scoring in (None, "warn") else probe.scoring
        scorer = get_scorer(chosen)
    else:
        scorer = get_scorer(_SCORES[own]) if own in _SCORES else None
    return scorer if hasattr(scorer, "_score_func") else None


def interval_of(outcomes, groups, weight=None, *, scale, confidence):
    """Return the bounds of the mean of outcomes; NaN without groups or an outcome."""
    if groups is None or not np.isfinite(outcomes).all():
        return np.nan, np.nan
    totals = outcomes if weight is None else outcomes * weight
    found = mean_interval(totals, groups, sizes=weight, scale=scale, confidence=confidence)
    return found.low, found.high


def group_codes(groups):
    """Return the number of each row's group, by first appearance, or None without groups."""
    return None if groups is None else pd.factorize(np.asarray(groups, dtype=object))[0]


def outcome_frame(parts, groups):
    """Stack the outcomes of measurements into one frame, which `compare` takes.

    Parameters
    ----------
    parts : list of tuple
        For each measurement: its labels (dict), its number of training rows, the row numbers, and
        a dict of columns, the last of which is ``outcome``.

    groups : array-like or None
        The group of every row of the data.
    """
    lengths = [len(rows) for _, _, rows, _ in parts]
    columns = {
        name: np.repeat(_column(labels[name] for labels, *_ in parts), lengths)
        for name in parts[0][0]
    }
    columns["n_train"] = np.repeat([n_train for _, n_train, *_ in parts], lengths)
    rows = columns["row"] = np.concatenate([rows for _, _, rows, _ in parts])
    columns["group"] = None if groups is None else np.asarray(groups)[rows]
    for name in parts[0][3]:
        columns[name] = np.concatenate([values[name] for *_, values in parts])
    return pd.DataFrame(columns)


def _column(values):
    return pd.Series(list(values)).to_numpy()
