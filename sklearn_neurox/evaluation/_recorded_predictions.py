# SPDX-License-Identifier: BSD-3-Clause
"""Predictions that were made once, and scored on any choice of their rows."""

import inspect
import warnings
from copy import copy
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
from sklearn.utils.validation import _check_response_method

# Metrics whose value for many rows is the mean of their values for each.
_ROW_MEANS = (accuracy_score, log_loss, mean_squared_error, mean_absolute_error)
_METHODS = ("predict", "predict_proba", "decision_function")


class _Recorded(BaseEstimator):
    """What a scorer takes for an estimator; its X are the numbers of rows."""

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
    """Make a scorer that asks an estimator for nothing but its predictions.

    Parameters
    ----------
    estimator : estimator instance

    scoring : str, callable or None
        None is accuracy for classifiers and R^2 for the others.

    Returns
    -------
    scorer : callable
    """
    if scoring is None:
        return get_scorer("accuracy" if is_classifier(estimator) else "r2")
    return check_scoring(estimator, scoring=scoring)


def record(estimator, X, scorer):
    """Predict what a scorer may ask for.

    Parameters
    ----------
    estimator : fitted estimator

    X : array-like of shape (n_samples, n_features)

    scorer : callable
        Where it is not one of scikit-learn's, all methods that the estimator has are recorded.

    Returns
    -------
    responses : dict of str to ndarray
        What each method gave, by its name.
    """
    needed = getattr(scorer, "_response_method", None)
    if needed is None:
        methods = [method for method in _METHODS if hasattr(estimator, method)]
    else:
        methods = [_check_response_method(estimator, needed).__name__]
    return {method: np.asarray(getattr(estimator, method)(X)) for method in methods}


class RecordedPredictions:
    """Held-out predictions of one probe, to be scored again and again.

    Parameters
    ----------
    responses : dict of str to ndarray
        As `record` makes them, of all folds.

    y : ndarray of shape (n_predictions,)
        The labels or targets.

    groups : ndarray of shape (n_predictions,), of int
        The number of the group of each, from 0.

    classes : ndarray or None
        Those of a classifier; None makes it a regressor.

    scorer : callable
    """

    def __init__(self, responses, y, groups, *, classes, scorer):
        kind = _RecordedRegressor if classes is None else _RecordedClassifier
        self.estimator = kind(responses, classes)
        self.y, self.groups, self.scorer = y, groups, scorer
        self.by_cells = (
            classes is not None and list(responses) == ["predict"] and self._takes("sample_weight")
        )
        if list(responses) == ["predict_proba"] and self._takes("labels"):
            # The columns of probabilities are known even where a resample lacks a class.
            self.scorer = copy(scorer)
            self.scorer._kwargs = {**scorer._kwargs, "labels": classes}

    def score(self):
        """Score all of them."""
        return float(self._score(np.arange(len(self.y))))

    def resampled_scores(self, counts):
        """Score resamples of the groups.

        Parameters
        ----------
        counts : ndarray of shape (n_resamples, n_groups)
            How often each group stands in a resample.

        Returns
        -------
        scores : ndarray of shape (n_resamples,)
            NaN where a resample has no score.
        """
        with warnings.catch_warnings():
            # A resample may lack a class that all rows together have.
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
        """Average the scores of the groups, once computed, by how often each is there."""
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
        """Score the distinct pairs of label and prediction, which are few, by their weights."""
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
