# SPDX-License-Identifier: BSD-3-Clause
"""Predictions that are made once and scored on any subset of their rows.

scikit-learn's scorers expose their metric, its arguments and the response method only as private
attributes. Scorers without these are supported too, but more slowly.
"""

import inspect
import warnings
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.metrics import (
    accuracy_score,
    check_scoring,
    get_scorer,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
)

# Private in scikit-learn, but it decides which of several methods a scorer calls.
from sklearn.utils.validation import _check_response_method

from sklearn_neurox.utils._fold_score import with_classes

# Metrics that are means over rows.
_ROW_MEANS = (accuracy_score, log_loss, mean_squared_error, mean_absolute_error)
_METHODS = ("predict", "predict_proba", "decision_function")


class _Recorded(BaseEstimator):
    """A stand-in for a fitted estimator; its X are row numbers."""

    def __init__(self, responses=None, classes=None):
        self.responses = responses
        self.classes = classes

    def __getattr__(self, name):
        responses = self.__dict__.get("responses") or {}
        if name in responses:
            method = partial(np.take, responses[name], axis=0)
            method.__name__ = name
            return method
        if name == "classes_" and self.__dict__.get("classes") is not None:
            return self.classes
        raise AttributeError(name)


class _RecordedClassifier(ClassifierMixin, _Recorded):
    pass


class _RecordedRegressor(RegressorMixin, _Recorded):
    pass


def as_scorer(estimator, scoring):
    """Return a scorer that only uses predictions; None is accuracy for classifiers, else R^2."""
    if scoring is None:
        return get_scorer("accuracy" if is_classifier(estimator) else "r2")
    return check_scoring(estimator, scoring=scoring)


def record(estimator, X, scorer):
    """Return the predictions that a scorer may need, by method name.

    If it is not a scikit-learn scorer, this calls all methods that the estimator has.
    """
    needed = getattr(scorer, "_response_method", None)
    if needed is None:
        methods = [method for method in _METHODS if hasattr(estimator, method)]
    else:
        methods = [_check_response_method(estimator, needed).__name__]
    return {method: np.asarray(getattr(estimator, method)(X)) for method in methods}


class RecordedPredictions:
    """Held-out predictions of one probe, to be scored repeatedly.

    Parameters
    ----------
    responses : dict of str to ndarray
        Predictions from `record`, concatenated over folds.

    y : ndarray of shape (n_predictions,)
        Labels or targets.

    groups : ndarray of shape (n_predictions,), of int
        Group codes from 0.

    classes : ndarray or None
        Classes of a classifier; None for a regressor.

    scorer : callable
    """

    def __init__(self, responses, y, groups, *, classes, scorer):
        kind = _RecordedRegressor if classes is None else _RecordedClassifier
        self.estimator = kind(responses, classes)
        # A resample may lack a class, but the columns of the probabilities stay the same.
        self.y, self.groups, self.scorer = y, groups, with_classes(scorer, classes)
        self.by_cells = (
            classes is not None and list(responses) == ["predict"] and self._takes("sample_weight")
        )

    def score(self):
        """Score all predictions."""
        return float(self._score(np.arange(len(self.y))))

    def resampled_scores(self, counts):
        """Score resamples, given the counts (n_resamples, n_groups) of groups; NaN if undefined."""
        with warnings.catch_warnings():
            # Metrics warn about classes that a resample lacks.
            warnings.simplefilter("ignore", UserWarning)
            if self._is_mean_over_rows():
                return self._means(counts)
            if self.by_cells:
                scores = list(self._scores_of_cells(counts))
            else:
                scores = [self._score(self._repeated(row)) for row in counts]
        return np.array(scores, dtype=np.float64)

    def _score(self, rows, **metadata):
        return self.scorer(self.estimator, rows, self.y[rows], **metadata)

    def _takes(self, parameter):
        metric = getattr(self.scorer, "_score_func", None)
        given = getattr(self.scorer, "_kwargs", {})
        return (
            metric is not None
            and parameter in inspect.signature(metric).parameters
            and parameter not in given
        )

    def _is_mean_over_rows(self):
        metric, given = (getattr(self.scorer, part, None) for part in ("_score_func", "_kwargs"))
        return metric in _ROW_MEANS and set(given) <= {"labels"}

    def _means(self, counts):
        """Average the scores of the groups, computed once, weighted by their counts."""
        sizes = np.bincount(self.groups, minlength=counts.shape[1])
        if self.scorer._score_func is accuracy_score:
            hits = self.y == self.estimator.responses["predict"]
            sums = np.bincount(self.groups, hits, minlength=counts.shape[1])
        else:
            rows = np.split(np.argsort(self.groups, kind="stable"), np.cumsum(sizes)[:-1])
            sums = sizes * [self._score(of_group) for of_group in rows]
        return (counts @ sums) / (counts @ sizes)

    def _repeated(self, counts):
        return np.repeat(np.arange(len(self.y)), counts[self.groups])

    def _scores_of_cells(self, counts):
        """Score the distinct pairs of label and prediction, which are few, with weights."""
        first, cells = self._cells()
        ones = np.ones(len(cells), dtype=np.int64)
        by_group = csr_array((ones, (self.groups, cells)), shape=(counts.shape[1], len(first)))
        for weights in counts @ by_group:
            present = weights > 0
            yield self._score(first[present], sample_weight=weights[present])

    def _cells(self):
        _, of_label = np.unique(self.y, return_inverse=True)
        labels, of_prediction = np.unique(self.estimator.responses["predict"], return_inverse=True)
        _, first, cells = np.unique(
            of_label * len(labels) + of_prediction, return_index=True, return_inverse=True
        )
        return first, cells
