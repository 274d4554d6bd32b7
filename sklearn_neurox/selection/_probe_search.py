# SPDX-License-Identifier: BSD-3-Clause
"""Scores of a probe on subsets of columns and folds, for selectors that search with a probe."""

from numbers import Integral, Real

import numpy as np
from scipy.stats import t
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from sklearn_neurox.probes._default_probe import default_probe
from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.utils._labels import check_class_labels
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._scores._fold_score import score_fold
from sklearn_neurox.utils._validation import check_weight

# Of the one-sided bound on the score that a choice of columns loses.
_CONFIDENCE = 0.9

# Constraints on the parameters that these selectors share.
SEARCH_CONSTRAINTS: dict = {
    "estimator": [HasMethods(["fit", "predict"]), None],
    "delta": [Interval(Real, 0, 1, closed="left")],
    "cv": ["cv_object"],
    "scoring": [StrOptions(set(get_scorer_names())), callable, None],
    "n_jobs": [Integral, None],
}


def check_rows(selector, X, y, groups, sample_weight):
    """Validate X and y; y may have several outputs if the selector's probe is a regressor."""
    multi_output = selector.estimator is not None and is_regressor(selector.estimator)
    options = {"beside": {"groups": groups, "sample_weight": sample_weight}}
    return selector._check(X, y, reset=True, multi_output=multi_output, **options)


class FoldScores:
    """Scores the probe of a selector on subsets of columns, always over the same folds."""

    def __init__(self, selector, X, y, groups, sample_weight, default=default_probe):
        estimator = default(y) if selector.estimator is None else selector.estimator
        check_consistent_length(X, groups)
        self.weight = check_weight(sample_weight, X)
        if is_classifier(estimator):
            check_class_labels(y)
        self.estimator, self.X, self.y = estimator, X, y
        self.caller = type(selector).__name__
        self.groups = None if groups is None else np.asarray(groups)
        self.scorer = check_scoring(estimator, scoring=selector.scoring)
        # Threads share X, and the numerical work releases the interpreter lock.
        self.parallel = Parallel(n_jobs=selector.n_jobs, prefer="threads")
        splitter = make_splitter(selector.cv, groups, caller=self.caller)
        self.folds = split_rows(splitter, X, y, groups, caller=self.caller)

    def map(self, function, *arguments):
        """Call a function for each fold, with its rows and its item of each argument.

        The rows are those for training and those for testing.
        """
        jobs = zip(self.folds, *arguments, strict=True)
        return self.parallel(delayed(function)(*rows, *own) for rows, *own in jobs)

    def fit(self, estimator, train, columns=None):
        """Fit a clone of an estimator on the given rows and columns; None means all columns."""
        X = self.X[train] if columns is None else self.X[np.ix_(train, columns)]
        groups = None if self.groups is None else self.groups[train]
        weight = None if self.weight is None else self.weight[train]
        return fit_with_groups(clone(estimator), X, self.y[train], groups, weight)

    def probes(self):
        """Fit the probe on all columns, once per fold."""
        return self.map(lambda train, _: self.fit(self.estimator, train))

    def of_probes(self, probes):
        """Score probes that were fitted on all columns, one per fold."""
        return self._checked(
            self.map(lambda _, test, probe: self._score(probe, self.X[test], test), probes)
        )

    def of_columns(self, columns):
        """Fit and score the probe on the columns given for each fold."""
        return self._checked(self.map(self._score_columns, columns))

    def until_enough(self, choices, oracle_scores, delta, guarantee=False):
        """Score growing choices of columns until one is enough, and return all these scores.

        A choice is enough if its mean score falls short of the oracle's by at most the fraction
        ``delta``; with ``guarantee``, if the upper bound on this is. If none is, the oracle's
        scores come last: its choice is all columns.
        """
        oracle = oracle_scores.mean()
        scores = []
        for columns in choices:
            scores.append(self.of_columns(columns))
            is_enough = scores[-1].mean() >= oracle - delta * abs(oracle)
            if guarantee and is_enough:
                excess = oracle_scores - scores[-1] - delta * np.abs(oracle_scores)
                is_enough = self._upper_bound(excess, abs(oracle)) <= 0
            if is_enough:
                return np.array(scores)
        return np.array([*scores, oracle_scores])

    def _upper_bound(self, differences, oracle):
        """Bound the mean difference between two probes, given one difference per fold.

        The variance is corrected for the rows that the training sets share (Nadeau and Bengio,
        "Inference for the Generalization Error", Machine Learning, 2003). Near a perfect score, all
        folds may agree by chance. The margin is therefore at least the share of all rows that may
        be lost even if none of the held-out rows is (Clopper and Pearson, Biometrika 26, 1934).
        """
        n_folds = len(self.folds)
        if n_folds < 2:
            raise ValueError(
                f"{self.caller}(guarantee=True) needs at least two folds, because it estimates how "
                "much scores vary from one to the next, but cv makes one."
            )
        ratio = np.mean([len(test) / len(train) for train, test in self.folds])
        error = differences.std(ddof=1) * np.sqrt(1 / n_folds + ratio)
        held_out = np.unique(np.concatenate([test for _, test in self.folds]))
        n_rows = len(held_out) if self.weight is None else np.count_nonzero(self.weight[held_out])
        unseen = oracle * (1 - (1 - _CONFIDENCE) ** (1 / n_rows))
        margin = max(t.ppf(_CONFIDENCE, n_folds - 1) * error, unseen)
        return differences.mean() + margin

    def _score_columns(self, train, test, columns):
        columns = np.sort(columns)
        probe = self.fit(self.estimator, train, columns)
        return self._score(probe, self.X[np.ix_(test, columns)], test)

    def _score(self, probe, X, test):
        (number,) = (fold for fold, (_, rows) in enumerate(self.folds) if rows is test)
        return score_fold(
            self.scorer,
            probe,
            X,
            self.y[test],
            where=f"Fold {number} of {self.caller}",
            sample_weight=None if self.weight is None else self.weight[test],
        )

    def _checked(self, scores):
        scores = np.array(scores, dtype=np.float64)
        if not np.isfinite(scores).all():
            fold = int(np.flatnonzero(~np.isfinite(scores))[0])
            lacking = ""
            if is_classifier(self.estimator) and self.y.ndim == 1:
                absent = np.setdiff1d(self.y, self.y[self.folds[fold][1]]).tolist()
                lacking = f" (its test rows lack the classes {absent})" if absent else ""
            raise ValueError(
                f"The score of the probe in fold {fold} of {self.caller} is {scores[fold]}"
                f"{lacking}, so it cannot be compared. Use another scoring, or folds that contain "
                "all classes."
            )
        return scores
