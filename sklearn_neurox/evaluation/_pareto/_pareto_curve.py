# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._fits import run_fits
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.probes import LowRankProbeClassifier
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._labels import check_class_labels, check_groups, check_no_missing_labels
from sklearn_neurox.utils._scores._recorded_predictions import as_scorer
from sklearn_neurox.utils._scores._scored_rows import group_codes, outcome_frame, score_rows
from sklearn_neurox.utils._validation import check_activations

_CALLER = "pareto_curve"


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "X": ["array-like", "sparse matrix"],
        "alphas": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "estimator": [LowRankProbeClassifier, None],
        "complexity": [StrOptions({"nuclear_norm", "rank"})],
    },
    prefer_skip_nested_validation=False,
)
def pareto_curve(
    X: ArrayLike,
    y: ArrayLike,
    *,
    alphas: float | Iterable[float] = (0.3, 0.1, 0.03, 0.01, 0.003),
    estimator: LowRankProbeClassifier | None = None,
    complexity: str = "nuclear_norm",
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score low-rank probes by their complexity: Pareto probing.

    On nearly any representation, more complex probes reach higher accuracies, up to a point. On a
    good representation, simple probes already reach them [1]_. In each fold, one
    `LowRankProbeClassifier` per penalty is fitted to the training rows, and scored on the test
    rows.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Activations.

    y : array-like of shape (n_samples,)
        Labels.

    alphas : float or array-like of float, default=(0.3, 0.1, 0.03, 0.01, 0.003)
        Penalties. Each fit starts from the solution for the next larger one.

    estimator : LowRankProbeClassifier or None, default=None
        The probe, cloned for each fold, whose ``alpha`` is replaced. None uses the defaults.

    complexity : {"nuclear_norm", "rank"}, default="nuclear_norm"
        The measure of complexity that decides which probes are efficient.

    scoring : str, callable or None, default=None
        Scorer. None uses accuracy.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds, which keep ``groups``
        whole; without groups the folds are contiguous, and a warning is issued. For a single fixed
        split, use ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        Group labels, such as ``words["text"]``; each group stays in one fold.

    confidence : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_jobs : int or None, default=None
        Number of folds to process in parallel, in threads. Does not change the results.

    verbose : bool or int, default=False
        Whether to show a progress bar over folds.

    Returns
    -------
    curve : DataFrame of shape (n_folds * (n_alphas + 1), 8)
        One row per fold and penalty, from the largest penalty to the smallest, with the columns
        ``fold``, ``alpha``, ``rank``, ``nuclear_norm``, ``score``, its confidence interval from
        ``low`` to ``high`` (how the score of this fold would vary with other test groups), and
        ``is_efficient``: whether no other probe of the fold dominates it, that is, has at most
        its complexity and at least its score, and differs in one of the two. The first row of a
        fold, with an infinite ``alpha``, is a probe of complexity 0, which predicts the label
        frequencies. Without groups, or with a scorer that is not one of scikit-learn's, the bounds
        are missing.

    of_words : DataFrame
        Only with ``return_words``. One row per probe and test word, with the columns ``fold``,
        ``alpha``, ``n_train`` (the number of training words of the fold), ``row`` (the number of
        the word in X), ``group`` and ``outcome``, whose mean is the score. `interval_table` gives
        intervals over all folds, and `compare` takes the rows of two probes or two layers.

    Raises
    ------
    ValueError
        If X contains NaN or infinity, a label is missing, an alpha is not positive, or a fold
        cannot be scored.

    Warns
    -----
    UserWarning
        If ``cv`` makes folds without ``groups``, or splits groups; or if the indexes of X and y
        share labels in different orders.

    ConvergenceWarning
        If a probe does not converge.

    See Also
    --------
    pareto_hypervolume : Summarize a curve by one number.
    interval_table : Compute intervals over all folds.
    sparse_probing_curve : Scores by the number of neurons.
    selectivity_score : Compare with the score on a control task.

    References
    ----------
    .. [1] T. Pimentel, N. Saphra, A. Williams, R. Cotterell, "Pareto Probing: Trading Off Accuracy
       for Complexity", EMNLP 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.evaluation import pareto_curve, pareto_hypervolume
    >>> rng = np.random.RandomState(0)
    >>> y = rng.randint(4, size=600)
    >>> X = rng.randn(4, 2)[y] @ rng.randn(2, 20) + rng.randn(600, 20)
    >>> split = [(range(400), range(400, 600))]
    >>> curve = pareto_curve(X, y, alphas=[0.6, 0.3, 0.1], groups=np.arange(600), cv=split)
    >>> curve[["alpha", "rank", "score"]].round(2)
       alpha  rank  score
    0    inf     0   0.24
    1    0.6     1   0.76
    2    0.3     2   0.92
    3    0.1     2   0.94
    >>> round(pareto_hypervolume(curve["rank"], curve["score"], max_complexity=3), 2)
    0.65
    """
    X, y, groups = matching_rows(_CALLER, X=X, y=y, groups=groups)
    check_no_missing_labels(y)
    check_groups(groups, _CALLER)
    matrix, _ = check_activations(X, caller=_CALLER, accept_sparse="csr")
    check_class_labels(y)
    labels = np.asarray(y)
    probe = clone(estimator or LowRankProbeClassifier()).set_params(warm_start=True)
    probe._validate_params()
    scorer = as_scorer(probe, scoring)
    alphas = _descending(alphas)
    groups = None if groups is None else np.asarray(groups)
    codes = group_codes(groups)
    folds = make_folds(cv, matrix, labels, groups, classes=True, caller=_CALLER)
    jobs = [
        delayed(_path)(probe, matrix, labels, codes, number, rows, alphas, scorer, confidence)
        for number, rows in enumerate(folds)
    ]
    measured = run_fits(jobs, n_jobs, verbose)
    parts = [pd.DataFrame([row for row, _ in own]) for own in measured]
    for part in parts:
        part["is_efficient"] = _is_efficient(part[complexity].to_numpy(), part["score"].to_numpy())
    curve = pd.concat(parts, ignore_index=True)
    if not return_words:
        return curve
    of_words = [
        ({name: row[name] for name in ("fold", "alpha")}, len(train), test, {"outcome": outcomes})
        for (train, test), own in zip(folds, measured, strict=True)
        for row, outcomes in own
    ]
    return curve, outcome_frame(of_words, groups)


def _descending(alphas):
    try:
        values = np.unique(np.asarray(alphas, dtype=np.float64))[::-1]
    except (TypeError, ValueError):
        values = np.array([])
    if not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(
            f"The 'alphas' parameter of {_CALLER} must be positive numbers, got {alphas!r}."
        )
    return values.tolist()


def _path(probe, X, y, codes, number, rows, alphas, scorer, confidence):
    """Fit the probes of one fold, from the largest penalty to the smallest, and score them.

    Return the row of each in the curve, and the outcomes of the test words.
    """
    (train, test), probe = rows, clone(probe)
    of_test = None if codes is None else codes[test]
    found = []

    def add(fitted, **known):
        where = f"Fold {number} of {_CALLER}"
        own = score_rows(scorer, fitted, X[test], y[test], of_test, where=where)
        low, high = own.interval(of_test, confidence=confidence)
        row = {"fold": number, **known, "score": own.score, "low": low, "high": high}
        found.append((row, own.outcomes))

    constant = DummyClassifier(strategy="prior").fit(X[train], y[train])
    add(constant, alpha=np.inf, rank=0, nuclear_norm=0.0)
    for alpha in alphas:
        # A probe of rank 0 is a point of the curve like others, and no reason to warn.
        probe.set_params(alpha=alpha)._fit(X[train], y[train])
        add(probe, alpha=alpha, rank=probe.rank_, nuclear_norm=probe.nuclear_norm_)
    return found


def _is_efficient(complexity, score):
    """Return which points no other point dominates; of equal points, none dominates the other."""
    no_worse = (complexity <= complexity[:, None]) & (score >= score[:, None])
    better = (complexity < complexity[:, None]) | (score > score[:, None])
    return ~(no_worse & better).any(axis=1)
