# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._controls._control_task_classifier import check_both_labels
from sklearn_neurox.evaluation._fits import fit_on_rows, run_fits, take_rows
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._fold_score import score_fold
from sklearn_neurox.utils._unique_in_order import unique_in_order


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "X": ["array-like", "sparse matrix", HasMethods(["shape", "__getitem__"])],
        "y": ["array-like"],
        "control_y": ["array-like"],
        "types": ["array-like", None],
        "scoring": [str, callable, None],
        "cv": ["cv_object"],
        "groups": ["array-like", None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=False,
)
def selectivity_score(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    control_y: ArrayLike,
    *,
    types: ArrayLike | None = None,
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
    verbose: bool | int = False,
) -> pd.DataFrame:
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

    control_y : array-like of shape (n_samples,)
        Labels of the control task, from `control_labels`.

    types : array-like of shape (n_samples,) or None, default=None
        Values that the control labels were drawn for, such as ``words["word"]`` (casefolded, if
        the control was drawn with ``case_sensitive=False``) or ``words["position"]``. Needed for
        the ceiling.

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

    n_jobs : int or None, default=None
        Number of parallel fits, in threads.

    verbose : bool or int, default=False
        Whether to show a progress bar over fits.

    Returns
    -------
    scores : DataFrame of shape (n_folds, n_columns)
        One row per fold, with the columns

        - ``fold``: the number of the fold;
        - ``task`` and ``control``: the scores on the task and on the control task;
        - ``selectivity``: the task score minus the control score;
        - with `types`, ``seen``: the share of test words whose type occurs in training;
        - with `types`, ``ceiling``: the accuracy of a perfect memory on the control task. It is
          right on all words of seen types, and on those words of unseen types whose control label
          is the most frequent one among the training types.

    Raises
    ------
    ValueError
        If a label is missing, lengths differ, or a type has several control labels.

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
    online_codelength : Measure the effort of the probe by a description length.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import control_labels, selectivity_score
    >>> types = np.random.RandomState(0).randint(100, size=2000)
    >>> X = np.random.RandomState(1).randn(100, 20)[types]  # an embedding: one point per type
    >>> y = np.where(X[:, 0] > 0, "a", "b")
    >>> types = [str(number) for number in types]
    >>> control = control_labels(types, y)
    >>> scores = selectivity_score(
    ...     LogisticRegression(), X, y, control, types=types, cv=2, groups=range(2000)
    ... )
    >>> scores.round(1)
       fold  task  control  selectivity  seen  ceiling
    0     0   1.0      0.6          0.4   1.0      1.0
    1     1   1.0      0.6          0.4   1.0      1.0
    """
    X, y, control_y, types, groups = map(to_pandas, (X, y, control_y, types, groups))
    check_consistent_length(X, types, groups)
    check_both_labels(X, y, control_y)
    codes = None if types is None else _type_codes(types, control_y)
    folds = make_folds(cv, X, y, groups, classes=True, caller="selectivity_score")
    jobs = [
        delayed(_score)(estimator, X, labels, groups, number, train, test, scoring)
        for number, (train, test) in enumerate(folds)
        for labels in (y, control_y)
    ]
    measured = np.array(run_fits(jobs, n_jobs, verbose), dtype=np.float64)
    task, control = measured.reshape(-1, 2).T
    scores = pd.DataFrame({"fold": np.arange(len(folds)), "task": task, "control": control})
    scores["selectivity"] = scores["task"] - scores["control"]
    if codes is not None:
        limits = [_limits(codes, np.asarray(control_y), train, test) for train, test in folds]
        scores["seen"], scores["ceiling"] = np.transpose(limits)
    return scores


def _score(estimator, X, y, groups, number, train, test, scoring):
    probe = fit_on_rows(estimator, X, y, groups, train)
    scorer, where = check_scoring(probe, scoring=scoring), f"Fold {number} of selectivity_score"
    return score_fold(scorer, probe, take_rows(X, test), take_rows(y, test), where=where)


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
