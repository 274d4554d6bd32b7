# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.evaluation._controls._control_task_classifier import check_both_labels
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._tqdm import counted, progress_bar


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
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
    """Score a probe on the task and, on the same folds, on a control task.

    The control can be learnt by memory alone. A probe that is accurate on the task and not on the
    control is selective: its accuracy says something about the representation. How high the control
    could be scored at all depends on how many test words occur in training, which the ceiling says.

    Parameters
    ----------
    estimator : classifier instance
        The probe, or a pipeline that ends in it, cloned for every fit.

    X : array-like of shape (n_samples, n_features) or DataFrame of words
        What `estimator` is fitted on.

    y : array-like of shape (n_samples,)
        The labels of the task.

    control_y : array-like of shape (n_samples,)
        The labels of the control, from `control_labels`.

    types : array-like of shape (n_samples,) or None, default=None
        What the control labels were drawn for, such as ``words["word"]`` (folded likewise if the
        control was drawn with ``case_sensitive=False``), or ``words["position"]``. It gives the
        ceiling.

    scoring : str, callable or None, default=None
        A scorer; None takes the ``score`` method of the probe, the accuracy.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split. None or an int makes 5 or so many folds that are never shuffled over words:
        `sklearn.model_selection.GroupKFold` when ``groups`` are given, and contiguous folds, with
        a warning, when not. An iterable gives (train, test) index arrays; a single fixed split is
        ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        What must stay in one fold; for words, ``words["text"]``. A probe that splits inside gets
        them too.

    n_jobs : int or None, default=None
        How many fits to make at a time, in threads.

    verbose : bool or int, default=False
        Whether to show a bar of the fits.

    Returns
    -------
    scores : DataFrame of shape (n_folds, n_columns)
        A row a fold, with the columns ``fold``; ``task`` and ``control``, the scores;
        ``selectivity``, their difference; and, with `types`, ``seen``, the share of test words
        whose type is in the training part, and ``ceiling``, the accuracy on the control of a
        perfect memory: all words seen, and of the others those that have the most frequent control
        label of the types in training.

    Raises
    ------
    ValueError
        If a label is missing, lengths differ, or a type has several control labels.

    Warns
    -----
    UserWarning
        If there are no groups, a group stands on both sides of a fold, a label in a test part is
        absent from its training part, or the indexes of X and of the labels share labels of rows,
        but in another order.

    See Also
    --------
    control_labels : Draws the control.
    ControlTaskClassifier : The same inside a search.
    online_codelength : Another measure of how much work the probe does.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import control_labels, selectivity_score
    >>> types = np.random.RandomState(0).randint(100, size=2000)
    >>> X = np.random.RandomState(1).randn(100, 20)[types]  # an embedding: one point a type
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
    check_consistent_length(X, types, groups)
    check_both_labels(X, y, control_y)
    codes = None if types is None else _type_codes(types, control_y)
    folds = make_folds(cv, X, y, groups, classes=True, caller="selectivity_score")
    jobs = [(train, test, labels) for train, test in folds for labels in (y, control_y)]
    # Threads share X.
    measured = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(_score)(estimator, X, labels, groups, train, test, scoring)
        for train, test, labels in jobs
    )
    with progress_bar(len(jobs), verbose, desc="probing", unit="fit") as bar:
        measured = counted(bar, measured)
    task, control = np.array(measured, dtype=np.float64).reshape(-1, 2).T
    scores = pd.DataFrame({"fold": np.arange(len(folds)), "task": task, "control": control})
    scores["selectivity"] = scores["task"] - scores["control"]
    if codes is not None:
        limits = [_limits(codes, np.asarray(control_y), train, test) for train, test in folds]
        scores["seen"], scores["ceiling"] = np.transpose(limits)
    return scores


def _score(estimator, X, y, groups, train, test, scoring):
    groups = None if groups is None else np.asarray(groups)[train]
    probe = clone(estimator)
    fit_with_groups(probe, _safe_indexing(X, train), _safe_indexing(y, train), groups)
    scorer = check_scoring(probe, scoring=scoring)
    return scorer(probe, _safe_indexing(X, test), _safe_indexing(y, test))


def _type_codes(types, control_y):
    """Give every type a number, and check that each has one control label."""
    numbers: dict = {}
    values = np.asarray(types, dtype=object).tolist()
    codes = np.array([numbers.setdefault(value, len(numbers)) for value in values])
    labels = np.asarray(control_y, dtype=object)
    _, first = np.unique(codes, return_index=True)
    others = labels != labels[first][codes]
    if others.any():
        row = int(others.argmax())
        raise ValueError(
            f"The type {values[row]!r} has the control label {labels[first[codes[row]]]!r} at row "
            f"{first[codes[row]]} and {labels[row]!r} at row {row}, so 'types' is not what the "
            "control was drawn for. Give the types that control_labels got, with the case folded "
            "if it was told case_sensitive=False."
        )
    return codes


def _limits(codes, labels, train, test):
    """Tell the share of test rows whose type is in training, and what a perfect memory scores."""
    trained, first = np.unique(codes[train], return_index=True)
    classes, counts = np.unique(labels[train][first], return_counts=True)
    seen = np.isin(codes[test], trained)
    guess = labels[test] == classes[counts.argmax()]
    return seen.mean(), (seen | guess).mean()
