# SPDX-License-Identifier: BSD-3-Clause
"""Predictions that are made once and scored on any subset of their rows.

scikit-learn's scorers expose their metric, its arguments and the response method only as private
attributes. Scorers without these are supported too, but more slowly.
"""

from functools import partial

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.metrics import check_scoring, get_scorer

# Private in scikit-learn, but it decides which of several methods a scorer calls.
from sklearn.utils.validation import _check_response_method

from sklearn_neurox.utils._scores._fold_score import with_classes
from sklearn_neurox.utils._scores._outcomes import row_outcomes

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

    groups : ndarray of shape (n_predictions,), of int, or None
        Group codes from 0.

    classes : ndarray or None
        Classes of a classifier; None for a regressor.

    scorer : callable

    weight : ndarray of shape (n_predictions,) or None, default=None
        Sample weights.
    """

    def __init__(self, responses, y, groups, *, classes, scorer, weight=None):
        kind = _RecordedRegressor if classes is None else _RecordedClassifier
        self.estimator, self.responses = kind(responses, classes), responses
        self.y, self.groups, self.weight, self.classes = y, groups, weight, classes
        # Some rows may lack a class, but the columns of the probabilities stay the same.
        self.scorer = with_classes(scorer, classes)

    def score(self, rows=None, weight=None):
        """Score all predictions, or some rows, with other weights if they are given."""
        rows = np.arange(len(self.y)) if rows is None else rows
        weight = self.weight if weight is None else weight
        given = {} if weight is None else {"sample_weight": weight[rows]}
        return float(self.scorer(self.estimator, rows, self.y[rows], **given))

    def outcomes(self, score):
        """Return a number per row, whose weighted mean is the score; see `row_outcomes`."""
        return row_outcomes(self, score)
