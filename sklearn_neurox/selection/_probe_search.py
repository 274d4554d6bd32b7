# SPDX-License-Identifier: BSD-3-Clause
"""What the selectors that search with a probe share: scores of choices of columns over folds."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from sklearn_neurox.utils._folds import make_splitter
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._validation import check_weight


def reaches(score, oracle, delta):
    """Tell whether a score lies at most a share ``delta`` of the oracle's below it."""
    return score >= oracle - delta * abs(oracle)


class FoldScores:
    """Scores a probe on choices of columns, over the same folds every time.

    Parameters
    ----------
    estimator : estimator
        The probe, cloned for every fit.

    X, y : ndarrays
        All rows.

    groups, sample_weight, cv, scoring, n_jobs
        As of the selector that asks.

    caller : str
        Its name, for messages.
    """

    def __init__(self, estimator, X, y, *, groups, sample_weight, cv, scoring, n_jobs, caller):
        check_consistent_length(X, groups)
        self.weight = check_weight(sample_weight, X)
        if is_classifier(estimator):
            check_classification_targets(y)
        self.estimator, self.X, self.y, self.caller = estimator, X, y, caller
        self.groups = None if groups is None else np.asarray(groups)
        self.scorer = check_scoring(estimator, scoring=scoring)
        # Threads share X, and what computes at length lets go of the interpreter.
        self.parallel = Parallel(n_jobs=n_jobs, prefer="threads")
        folds = make_splitter(cv, groups, caller=caller)
        self.folds = list(folds.split(X, y, groups))

    def map(self, function, *arguments):
        """Call a function with the training rows of every fold and one of each argument."""
        jobs = zip(self.folds, *arguments, strict=True)
        return self.parallel(delayed(function)(train, *own) for (train, _), *own in jobs)

    def fit(self, estimator, train, columns=None):
        """Fit a clone on some rows, and on all columns or some."""
        X = self.X[train] if columns is None else self.X[np.ix_(train, columns)]
        groups = None if self.groups is None else self.groups[train]
        weight = None if self.weight is None else self.weight[train]
        return fit_with_groups(clone(estimator), X, self.y[train], groups, weight)

    def probes(self):
        """Fit the probe on all columns of every fold."""
        return self.map(lambda train: self.fit(self.estimator, train))

    def of_probes(self, probes):
        """Score probes that were fitted on all columns, one a fold."""
        return self._checked(
            self.parallel(
                delayed(self._score)(probe, self.X[test], test)
                for (_, test), probe in zip(self.folds, probes, strict=True)
            )
        )

    def of_columns(self, columns):
        """Fit and score the probe on a choice of columns of each fold.

        Parameters
        ----------
        columns : list of n_folds ndarrays

        Returns
        -------
        scores : ndarray of shape (n_folds,)
        """
        return self._checked(
            self.parallel(
                delayed(self._score_columns)(train, test, own)
                for (train, test), own in zip(self.folds, columns, strict=True)
            )
        )

    def _score_columns(self, train, test, columns):
        columns = np.sort(columns)
        probe = self.fit(self.estimator, train, columns)
        return self._score(probe, self.X[np.ix_(test, columns)], test)

    def _score(self, probe, X, test):
        given = {} if self.weight is None else {"sample_weight": self.weight[test]}
        return self.scorer(probe, X, self.y[test], **given)

    def _checked(self, scores):
        scores = np.array(scores, dtype=np.float64)
        if not np.isfinite(scores).all():
            fold = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise ValueError(
                f"The score of the probe in fold {fold} of {self.caller} is {scores[fold]}, which "
                "cannot be compared. Use another scoring, or folds in which every class occurs."
            )
        return scores
