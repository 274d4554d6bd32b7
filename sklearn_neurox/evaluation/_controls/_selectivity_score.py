# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._controls._control_labels import control_labels
from sklearn_neurox.evaluation._controls._control_task_classifier import check_both_labels
from sklearn_neurox.evaluation._fits import fit_on_rows, run_fits, take_rows
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._scores._scored_rows import (
    group_codes,
    interval_of,
    outcome_frame,
    score_rows,
)
from sklearn_neurox.utils._unique_in_order import unique_in_order


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "estimator": [HasMethods(["fit", "predict"])],
        "control_y": ["array-like", None],
        "types": ["array-like", None],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    },
    prefer_skip_nested_validation=False,
)
def selectivity_score(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    control_y: ArrayLike | None = None,
    *,
    types: ArrayLike | None = None,
    n_draws: int = 5,
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int = 0,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score a probe on a task and, on the same folds, on a control task.

    A control task can only be learned by memorizing. A probe that is accurate on the task but not
    on the control task is selective: its accuracy says something about the representation. How
    accurate a probe can be on the control task depends on how many test words occur in training;
    this upper limit is the ceiling.

    Parameters
    ----------
    estimator : classifier instance
        The probe, or a pipeline that ends in it; cloned for each fit.

    X : array-like of shape (n_samples, n_features) or DataFrame of words
        Data to fit `estimator` on.

    y : array-like of shape (n_samples,)
        Labels of the task.

    control_y : array-like of shape (n_samples,) or (n_samples, n_draws), or None, default=None
        Labels of the control task, from `control_labels`; with several columns, the scores on them
        are averaged. None draws the labels of ``n_draws`` control tasks for the ``types``.

    types : array-like of shape (n_samples,) or None, default=None
        Values that the control labels were drawn for, such as ``words["word"]`` (casefolded, if
        the control was drawn with ``case_sensitive=False``) or ``words["position"]``. Needed for
        the ceiling, and to draw the labels.

    n_draws : int, default=5
        Number of control tasks, if ``control_y`` is None. How many words a probe memorizes depends
        on which labels the frequent types happen to get, so a single draw is uncertain.

    scoring : str, callable or None, default=None
        Scorer. None uses the ``score`` method of the probe, which is the accuracy.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds. Words are never shuffled:
        with ``groups``, the folds are those of `sklearn.model_selection.GroupKFold`; without
        groups, they are contiguous, and a warning is issued. An iterable yields (train, test) index
        arrays; for a single fixed split, pass ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        Group labels; each group stays in one fold. For words, use ``words["text"]``. They are also
        passed to a probe that accepts them.

    confidence : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_jobs : int or None, default=None
        Number of parallel fits, in threads.

    verbose : bool or int, default=False
        Whether to show a progress bar over fits.

    random_state : int, default=0
        Seed of the first control task, if ``control_y`` is None; each further one uses the next
        integer. The labels are those of ``control_labels(types, y, random_state=...)``.

    Returns
    -------
    scores : DataFrame of shape (n_folds, n_columns)
        One row per fold, with the columns

        - ``fold``: the number of the fold;
        - ``task`` and ``control``: the scores on the task and on the control task, the latter
          averaged over draws;
        - ``selectivity``: the task score minus the control score, with its confidence interval from
          ``low`` to ``high`` (see `interval_table`, for accuracies with ``scale="atanh"``;
          missing without groups);
        - with several draws, ``control_std``: the standard deviation of ``control`` over them;
        - with `types`, ``seen``: the share of test words whose type occurs in training;
        - with `types`, ``ceiling``: the accuracy of a perfect memory on the control task. It is
          right on all words of seen types, and on those words of unseen types whose control label
          is the most frequent one among the training types.

    of_words : DataFrame
        Only with ``return_words``. One row per fold and test word, with the columns ``fold``,
        ``n_train`` (the number of training words of the fold), ``row`` (the number of the word),
        ``group``, ``task`` and ``control`` (whether the word is predicted correctly; for the
        control, the share of draws), and ``outcome``, their difference, whose mean over a fold is
        its selectivity. `interval_table` gives the selectivity over all folds.

    Raises
    ------
    ValueError
        If a label is missing, lengths differ, a type has several control labels, or there are
        neither control labels nor types.

    Warns
    -----
    UserWarning
        If there are no groups, a group is on both sides of a split, a label of a test fold is
        absent from its training rows, or the indexes of X and of the labels share row labels in
        different orders.

    See Also
    --------
    control_labels : Draw the control labels.
    ControlTaskClassifier : Do the same inside a search.
    online_codelength : Measure the effort of a probe as a description length.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import selectivity_score
    >>> types = np.random.RandomState(0).randint(100, size=2000)
    >>> X = np.random.RandomState(1).randn(100, 20)[types]  # an embedding: one point per type
    >>> y = np.where(X[:, 0] > 0, "a", "b")
    >>> types = [str(number) for number in types]
    >>> scores = selectivity_score(
    ...     LogisticRegression(), X, y, types=types, cv=2, groups=range(2000)
    ... )
    >>> scores[["task", "control", "selectivity", "low", "high", "ceiling"]].round(1)
       task  control  selectivity  low  high  ceiling
    0   1.0      0.7          0.3  0.3   0.3      1.0
    1   1.0      0.7          0.3  0.3   0.4      1.0
    """
    X, y, control_y, types, groups = matching_rows(
        "selectivity_score", X=X, y=y, control_y=control_y, types=types, groups=groups
    )
    controls = _controls(y, control_y, types, n_draws, random_state)
    for control in controls:
        check_both_labels(X, y, control)
    of_types = None if types is None else [_type_codes(types, control) for control in controls]
    folds = make_folds(cv, X, y, groups, classes=True, caller="selectivity_score")
    codes = group_codes(groups)
    jobs = [
        delayed(_score)(estimator, X, labels, groups, codes, number, train, test, scoring)
        for number, (train, test) in enumerate(folds)
        for labels in (y, *controls)
    ]
    measured = run_fits(jobs, n_jobs, verbose)
    size = 1 + len(controls)
    measured = [measured[start : start + size] for start in range(0, len(measured), size)]
    outcomes = [_outcomes(own) for own in measured]
    table = pd.DataFrame(
        _row(own, of_fold, codes, test, confidence)
        for own, of_fold, (_, test) in zip(measured, outcomes, folds, strict=True)
    )
    table.insert(0, "fold", np.arange(len(folds)))
    if of_types is not None:
        limits = [_mean_limits(of_types, controls, train, test) for train, test in folds]
        table["seen"], table["ceiling"] = np.transpose(limits)
    if not return_words:
        return table
    parts = [
        ({"fold": number}, len(train), test, own)
        for number, ((train, test), own) in enumerate(zip(folds, outcomes, strict=True))
    ]
    return table, outcome_frame(parts, groups)


def _controls(y, control_y, types, n_draws, random_state):
    """Return the labels of each control task."""
    if control_y is None:
        if types is None:
            raise ValueError(
                "selectivity_score draws control labels for 'types', which is None. Pass "
                "types=words['word'], or the labels as control_y=control_labels(words, y)."
            )
        values = np.asarray(types, dtype=object)
        if len(values) > 1 and len(set(map(str, values.tolist()))) == 1:
            raise ValueError(
                "selectivity_score draws a control label for each type, but all rows have the "
                f"same type, {values[0]!r}, and would all get the same label. Pass other types. If "
                "the rows are the ends of prompts, pass the prompts."
            )
        kind = "position" if isinstance(values[0], Integral) else "type"
        seeds = [(random_state + draw) % 2**32 for draw in range(n_draws)]
        return [control_labels(values, y, kind=kind, random_state=seed) for seed in seeds]
    if np.ndim(control_y) == 2 and np.shape(control_y)[1] == 0:
        raise ValueError("The 'control_y' parameter of selectivity_score has no column of labels.")
    if isinstance(control_y, pd.DataFrame):
        return [control_y.iloc[:, draw] for draw in range(control_y.shape[1])]
    if np.ndim(control_y) == 2:
        return list(np.asarray(control_y).T)
    return [control_y]


def _score(estimator, X, y, groups, codes, number, train, test, scoring):
    return score_rows(
        scoring,
        fit_on_rows(estimator, X, y, groups, train),
        take_rows(X, test),
        take_rows(y, test),
        None if codes is None else codes[test],
        where=f"Fold {number} of selectivity_score",
    )


def _outcomes(measured):
    task, *controls = (scored.outcomes for scored in measured)
    control = np.mean(controls, axis=0)
    return {"task": task, "control": control, "outcome": task - control}


def _row(measured, outcomes, codes, test, confidence):
    task, *controls = (scored.score for scored in measured)
    # A difference of two shares is between -1 and 1.
    low, high = interval_of(
        outcomes["outcome"],
        None if codes is None else codes[test],
        scale="atanh" if measured[0].scale == "logit" else "linear",
        confidence=confidence,
    )
    control = np.mean(controls) if len(controls) > 1 else controls[0]
    row = {"task": task, "control": control, "selectivity": task - control}
    row |= {"low": low, "high": high}
    return row | ({"control_std": np.std(controls, ddof=1)} if len(controls) > 1 else {})


def _mean_limits(of_types, controls, train, test):
    limits = [
        _limits(codes, np.asarray(control), train, test)
        for codes, control in zip(of_types, controls, strict=True)
    ]
    return np.mean(limits, axis=0)


def _type_codes(types, control_y):
    """Return the code of each row's type, after checking that each type has one control label."""
    values = np.asarray(types, dtype=object).tolist()
    _, codes = unique_in_order(values)
    labels = np.asarray(control_y, dtype=object)
    _, first = np.unique(codes, return_index=True)
    others = labels != labels[first][codes]
    if others.any():
        row = int(others.argmax())
        raise ValueError(
            f"The type {values[row]!r} has the control label {labels[first[codes[row]]]!r} at row "
            f"{first[codes[row]]} and {labels[row]!r} at row {row}, so the control was not drawn "
            "for these 'types'. Pass the types that were passed to control_labels, casefolded if "
            "it was called with case_sensitive=False."
        )
    return codes


def _limits(codes, labels, train, test):
    """Return the share of test rows of seen types, and the score of a perfect memory."""
    trained, first = np.unique(codes[train], return_index=True)
    classes, counts = np.unique(labels[train][first], return_counts=True)
    seen = np.isin(codes[test], trained)
    guess = labels[test] == classes[counts.argmax()]
    return seen.mean(), (seen | guess).mean()
