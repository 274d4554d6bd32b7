# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import (
    _safe_indexing,
    check_consistent_length,
    check_random_state,
    column_or_1d,
)
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._recorded_predictions import as_scorer
from sklearn_neurox.evaluation._type_baseline import TypeLabelClassifier, TypeMeanRegressor
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import check_no_missing_labels, check_row_order
from sklearn_neurox.utils._word_columns import word_forms

_FROM_WORDS = ("majority", "word type", "characters")
_FROM_PROBE = ("shuffled labels", "untrained model", "probe")


class _Contender(NamedTuple):
    estimator: BaseEstimator
    X: object
    shuffled: bool = False


@validate_params(
    {
        "words": ["array-like"],
        "estimator": [HasMethods(["fit", "predict"]), None],
        "X": ["array-like", "sparse matrix", HasMethods(["shape", "__getitem__"]), None],
        "X_untrained": ["array-like", HasMethods(["shape", "__getitem__"]), None],
        "baselines": ["array-like", None],
        "groups": ["array-like", None],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def baseline_table(
    words: pd.DataFrame | ArrayLike,
    y: ArrayLike,
    *,
    estimator: BaseEstimator | None = None,
    X: ArrayLike | None = None,
    X_untrained: ArrayLike | None = None,
    baselines: Sequence[str] | None = None,
    groups: ArrayLike | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    scoring: str | Callable | None = None,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Score what a probe has to beat, on the same folds.

    A probe says something about a model only by what it scores above those who never saw the
    model: who always says the same, who remembers each word type, and who reads its letters; and
    above itself on shuffled labels and on an untrained model.

    Parameters
    ----------
    words : DataFrame with the column ``word``, or array-like of str of shape (n_words,)
        The words. A frame of words where ``estimator`` is to be fitted on it.

    y : array-like of shape (n_words,)
        The labels or targets.

    estimator : estimator instance or None, default=None
        The probe, or the whole pipeline from words to predictions; cloned for every fit. None
        leaves its rows out.

    X : array-like of shape (n_words, n_features) or None, default=None
        What the estimator is fitted on, a row a word. None takes ``words``.

    X_untrained : array-like of shape (n_words, n_features) or None, default=None
        The activations of the untrained model, in place of X. None clones a pipeline fitted on
        words with ``weights="random"`` for its `ActivationExtractor`; where there is none that
        reads a model by name or folder, the row is left out.

    baselines : sequence of str or None, default=None
        Which rows to make. None makes all that can be made.

    groups : array-like of shape (n_words,) or None, default=None
        What must stay in one fold, such as ``words["text"]``.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split. None or an int makes 5 or so many folds: of whole groups where they are
        given, and otherwise contiguous, with a warning.

    scoring : str, callable or None, default=None
        A scorer. None is accuracy for classes and R^2 for numbers.

    n_jobs : int or None, default=None
        How many fits at a time, in threads. The results do not depend on it.

    verbose : bool or int, default=False
        Whether to show a bar of the fits.

    random_state : int, RandomState instance or None, default=None
        Fixes the shuffled labels.

    Returns
    -------
    table : DataFrame of shape (n_baselines, 3 + n_folds)
        Columns ``name``, ``score`` (the mean over folds), ``std`` (over folds, with one degree of
        freedom less; missing for a single one), and ``fold_0``, ``fold_1``, ... The rows are

        - ``"majority"``: the most frequent label, or the mean of the targets;
        - ``"word type"``: the most frequent label of the word's type in training, or their mean,
          case-sensitive; the overall one for types unseen;
        - ``"characters"``: logistic regression, or ridge regression, on how often each run of 1
          to 4 characters stands in the word, its ends marked;
        - ``"shuffled labels"``: the estimator, its training labels permuted; more than chance
          means that something leaks, such as a choice of neurons made on test rows;
        - ``"untrained model"``: the estimator on the untrained model;
        - ``"probe"``: the estimator itself.

    Raises
    ------
    ValueError
        For missing labels or words, and for a row asked for that cannot be made.

    Warns
    -----
    UserWarning
        If a group stands on both sides of a fold, a label in a test part is absent from its
        training part, or the indexes of the words (or of X) and y share labels, but in another
        order.

    See Also
    --------
    layer_profile : Scores by layer, with intervals.
    leakage_report : What test folds share with training.

    Notes
    -----
    A pipeline fitted on words extracts once for every fit unless its `ActivationExtractor` has a
    ``cache``; or extract once, and pass the probe with ``X`` and ``X_untrained``.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    .. [2] Y. Belinkov, "Probing Classifiers: Promises, Shortcomings, and Advances", Computational
       Linguistics 48, 2022.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_tagged_words
    >>> from sklearn_neurox.evaluation import baseline_table
    >>> words = make_tagged_words(100, random_state=0)
    >>> table = baseline_table(words, words["upos"], groups=words["text"], cv=3)
    >>> table[["name", "score", "std"]].round(2)
             name  score   std
    0    majority   0.21  0.01
    1   word type   0.75  0.04
    2  characters   0.78  0.02
    """
    check_no_missing_labels(y)
    check_consistent_length(words, y, X, X_untrained, groups)
    for name, rows in (("words", words), ("X", X), ("X_untrained", X_untrained)):
        check_row_order(rows, y, names=(name, "y"))
    word_forms(words, caller="baseline_table")
    y = column_or_1d(np.asarray(y))
    if estimator is None:
        classes = not type_of_target(y).startswith("continuous")
    else:
        classes = is_classifier(estimator)
    contenders = _contenders(words, estimator, X, X_untrained, classes)
    contenders = _choose(contenders, baselines)
    folds = make_folds(cv, words, y, groups, classes=classes, caller="baseline_table")
    random_state = check_random_state(random_state)
    orders = [random_state.permutation(len(train)) for train, _ in folds]
    groups = None if groups is None else np.asarray(groups)
    # Threads share the matrices; what fits at length lets them work.
    scores = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(_score)(contender, y, groups, train, test, order, scoring)
        for contender in contenders.values()
        for (train, test), order in zip(folds, orders, strict=True)
    )
    total = len(contenders) * len(folds)
    with progress_bar(total, verbose, desc="probing", unit="fit") as bar:
        scores = counted(bar, scores)
    by_fold = pd.DataFrame(np.reshape(scores, (len(contenders), len(folds))))
    summary = {"name": list(contenders), "score": by_fold.mean(axis=1), "std": by_fold.std(axis=1)}
    return pd.DataFrame(summary).join(by_fold.add_prefix("fold_"))


def _contenders(words, estimator, X, X_untrained, classes):
    """Give what can be scored, by name, in the order of the table."""
    letters = CountVectorizer(analyzer="char_wb", ngram_range=(1, 4), lowercase=False)
    reader = LogisticRegression(max_iter=2000, tol=1e-3) if classes else Ridge()
    constant = DummyClassifier(strategy="prior") if classes else DummyRegressor()
    memory = TypeLabelClassifier() if classes else TypeMeanRegressor()
    spelling = make_pipeline(
        FunctionTransformer(word_forms, kw_args={"caller": "baseline_table"}), letters, reader
    )
    estimators = zip(_FROM_WORDS, (constant, memory, spelling), strict=True)
    contenders = {name: _Contender(own, words) for name, own in estimators}
    if estimator is None:
        return contenders
    own_X = words if X is None else X
    contenders["shuffled labels"] = _Contender(estimator, own_X, shuffled=True)
    if X_untrained is not None:
        contenders["untrained model"] = _Contender(estimator, X_untrained)
    elif X is None and (untrained := _untrained(estimator)) is not None:
        contenders["untrained model"] = _Contender(untrained, words)
    contenders["probe"] = _Contender(estimator, own_X)
    return contenders


def _untrained(estimator):
    """Clone a pipeline for random weights, or give None where no part of it loads a model."""
    # Imported late, for probes on a matrix need it not.
    from sklearn_neurox.extraction import ActivationExtractor

    estimator = clone(estimator)
    loaders = [
        part
        for part in estimator.get_params(deep=True).values()
        if isinstance(part, ActivationExtractor) and isinstance(part.model, (str, os.PathLike))
    ]
    for part in loaders:
        part.set_params(weights="random")
    return estimator if loaders else None


def _choose(contenders, baselines):
    if baselines is None:
        return contenders
    for name in baselines:
        if name not in (*_FROM_WORDS, *_FROM_PROBE):
            raise ValueError(
                "The 'baselines' parameter of baseline_table must hold some of "
                f"{[*_FROM_WORDS, *_FROM_PROBE]}, got {name!r}."
            )
        if name not in contenders:
            raise ValueError(
                f"The row {name!r} of baseline_table cannot be made. It needs an estimator; and "
                "'untrained model' needs X_untrained, or an estimator that is fitted on words by "
                "an ActivationExtractor with the name or folder of a model."
            )
    if not len(baselines):
        raise ValueError("The 'baselines' parameter of baseline_table names no row.")
    return {name: contenders[name] for name in contenders if name in set(baselines)}


def _score(contender, y, groups, train, test, order, scoring):
    y_train = y[train][order] if contender.shuffled else y[train]
    groups = None if groups is None else groups[train]
    fitted = fit_with_groups(
        clone(contender.estimator), _safe_indexing(contender.X, train), y_train, groups
    )
    return as_scorer(fitted, scoring)(fitted, _safe_indexing(contender.X, test), y[test])
