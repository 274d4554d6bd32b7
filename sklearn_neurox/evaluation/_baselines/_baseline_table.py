# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Callable, Iterable, Sequence
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
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._baselines._distance_baseline import are_pairs, distance_baseline
from sklearn_neurox.evaluation._baselines._type_baseline import (
    TypeLabelClassifier,
    TypeMeanRegressor,
)
from sklearn_neurox.evaluation._fits import fit_on_rows, run_fits, take_rows
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._scores._recorded_predictions import as_scorer
from sklearn_neurox.utils._scores._scored_rows import (
    group_codes,
    interval_of,
    outcome_frame,
    score_rows,
)
from sklearn_neurox.utils._validation import check_equal_lengths, check_row_order
from sklearn_neurox.utils._word_columns import word_forms

_FROM_WORDS = ("majority", "word type", "characters")
_FROM_PAIRS = ("distance",)
_FROM_PROBE = ("shuffled labels", "untrained model", "probe")
_NAMES = (*_FROM_WORDS, *_FROM_PAIRS, *_FROM_PROBE)


class _Contender(NamedTuple):
    estimator: BaseEstimator
    X: object
    shuffled: bool = False


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "words": "no_validation",  # may be a table of any library
        "estimator": [HasMethods(["fit", "predict"]), None],
        "X": ["array-like", "sparse matrix", HasMethods(["shape", "__getitem__"]), None],
        "X_untrained": ["array-like", HasMethods(["shape", "__getitem__"]), None],
        "baselines": ["array-like", None],
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
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score the baselines that a probe has to beat, on the same folds.

    The accuracy of a probe means little without a baseline. It says something about a model only
    if it exceeds that of classifiers that never see the model: one that always predicts the same
    label, one that remembers each word type, and one that reads the characters of a word. It should
    also exceed the accuracy of the same probe on shuffled labels and on an untrained model.

    Parameters
    ----------
    words : table with the column ``word``, or array-like of str of shape (n_words,)
        The words, or pairs of words as returned by `pair_frame`. Must be a frame if ``estimator``
        is fitted on words.

    y : array-like of shape (n_words,)
        Labels or targets.

    estimator : estimator instance or None, default=None
        The probe, or the whole pipeline from words to predictions; cloned for each fit. None
        omits the rows that need it.

    X : array-like of shape (n_words, n_features) or None, default=None
        Data to fit the estimator on, one row per word. None uses ``words``.

    X_untrained : array-like of shape (n_words, n_features) or None, default=None
        Activations of the untrained model, used in place of X. None clones a pipeline that is
        fitted on words and sets ``weights="random"`` in its `ActivationExtractor`. The row is
        omitted if there is no such extractor that loads its model by name or folder.

    baselines : sequence of str or None, default=None
        Names of the rows to compute. None computes all that are possible.

    groups : array-like of shape (n_words,) or None, default=None
        Group labels, such as ``words["text"]``; each group stays in one fold.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds, which keep ``groups``
        whole; without groups the folds are contiguous, and a warning is issued.

    scoring : str, callable or None, default=None
        Scorer. None uses accuracy for class labels and R^2 for numeric targets.

    confidence : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_jobs : int or None, default=None
        Number of parallel fits, in threads. Does not change the results.

    verbose : bool or int, default=False
        Whether to show a progress bar over fits.

    random_state : int, RandomState instance or None, default=None
        Seed for shuffling the labels.

    Returns
    -------
    table : DataFrame of shape (n_baselines, 5 + n_folds)
        Columns ``name``, ``score`` (mean over folds; missing if that of a fold is), its confidence
        interval from ``low`` to ``high`` (see `interval_table`; missing without groups), ``std``
        (over folds, with ``ddof=1``; missing for a single fold), and ``fold_0``, ``fold_1``, ...
        The rows are

        - ``"majority"``: predicts the most frequent label, or the mean of the targets;
        - ``"word type"``: predicts the most frequent training label of the word type, or the mean
          of its targets; types are case-sensitive, and unseen types get the
          prediction of ``"majority"``;
        - ``"characters"``: logistic regression, or ridge regression, on the counts of character
          n-grams (1 to 4 characters, with word boundaries marked);
        - ``"distance"``, only for pairs: a decision tree (at least 10 training pairs per leaf) on
          the distance between the words of a pair and on which of them is first. The distance is
          the column ``distance`` or, without it, that of the positions or else of the spans. For
          pairs, ``"word type"`` and ``"characters"`` read only the first word;
        - ``"shuffled labels"``: the estimator with permuted training labels; a score above chance
          means that something leaks, such as neurons that were selected on test rows;
        - ``"untrained model"``: the estimator on the untrained model;
        - ``"probe"``: the estimator itself.

    of_words : DataFrame
        Only with ``return_words``. One row per baseline and test word, with the columns ``name``
        (of the baseline), ``fold``, ``n_train`` (the number of training words of the fold), ``row``
        (the number of the word), ``group`` and ``outcome``, whose mean over a fold is its score.
        `compare` takes the rows of two baselines.

    Raises
    ------
    ValueError
        If labels or words are missing, or a requested row cannot be computed.

    Warns
    -----
    UserWarning
        If a group is on both sides of a split, a label of a test fold is absent from its training
        rows, or the indexes of the words (or of X) and y share labels in different orders.

    See Also
    --------
    layer_profile : Score a probe on each layer, with confidence intervals.
    leakage_report : Count what test folds share with their training rows.

    Notes
    -----
    A pipeline that is fitted on words extracts activations for each fit, unless its
    `ActivationExtractor` has a ``cache``. Alternatively, extract once, and pass the probe together
    with ``X`` and ``X_untrained``.

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
    >>> table[["name", "score", "low", "high"]].round(2)
             name  score   low  high
    0    majority   0.21  0.19  0.22
    1   word type   0.75  0.73  0.78
    2  characters   0.78  0.75  0.80
    """
    words, y, X, X_untrained, groups = map(to_pandas, (words, y, X, X_untrained, groups))
    _check_rows(words, y, X, X_untrained, groups)
    labels = column_or_1d(np.asarray(y))
    classes = _are_classes(labels) if estimator is None else is_classifier(estimator)
    contenders = _contenders(words, estimator, X, X_untrained, classes)
    contenders = _choose(contenders, baselines)
    if "characters" in contenders:
        _check_characters(words)
    folds = make_folds(cv, words, labels, groups, classes=classes, caller="baseline_table")
    rng = check_random_state(random_state)
    shuffled = [train[rng.permutation(len(train))] for train, _ in folds]
    codes = group_codes(groups)
    jobs = [
        delayed(_score)(contender, labels, groups, codes, number, *folds[number], own, scoring)
        for contender in contenders.values()
        for number, own in enumerate(shuffled)
    ]
    measured = run_fits(jobs, n_jobs, verbose)
    starts = range(0, len(measured), len(folds))
    of_names = {
        name: measured[start : start + len(folds)]
        for name, start in zip(contenders, starts, strict=True)
    }
    table = pd.DataFrame([_row(one, folds, codes, confidence) for one in of_names.values()])
    table.insert(0, "name", list(of_names))
    if not return_words:
        return table
    parts = [
        ({"name": name, "fold": number}, len(train), test, {"outcome": scored.outcomes})
        for name, of_folds in of_names.items()
        for number, ((train, test), scored) in enumerate(zip(folds, of_folds, strict=True))
    ]
    return table, outcome_frame(parts, groups)


def _check_rows(words, y, X, X_untrained, groups):
    check_no_missing_labels(y)
    rows = {"words": words, "X": X, "X_untrained": X_untrained, "y": y, "groups": groups}
    check_equal_lengths("baseline_table", **rows)
    check_row_order(**rows)
    word_forms(words, caller="baseline_table")


def _check_characters(words):
    forms = word_forms(words, caller="baseline_table").astype(str)
    if not forms.str.strip().any():
        raise ValueError(
            f"The row 'characters' of baseline_table cannot be computed, because all words are "
            f"white space, such as {forms.iloc[0]!r} in row 0. If they are the ends of prompts, "
            "pass the list of prompts as words, and the activations as X. Or leave out the row, "
            "with baselines=['majority', 'probe']."
        )


def _are_classes(labels):
    return not type_of_target(labels).startswith("continuous")


def _row(of_folds, folds, codes, confidence):
    """Return the scores of one contender, whose interval is that of the mean over folds."""
    scores = pd.Series([scored.score for scored in of_folds])
    rows = np.concatenate([test for _, test in folds])
    # So weighted, every fold counts alike, whatever its number of words.
    weight = np.concatenate([np.full(len(test), 1 / len(test)) for _, test in folds])
    low, high = interval_of(
        np.concatenate([scored.outcomes for scored in of_folds]),
        None if codes is None else codes[rows],
        weight,
        scale=of_folds[0].scale,
        confidence=confidence,
    )
    mean, std = scores.mean(skipna=False), scores.std(skipna=False)
    summary = {"score": mean, "low": low, "high": high, "std": std}
    return summary | scores.add_prefix("fold_").to_dict()


def _contenders(words, estimator, X, X_untrained, classes):
    """Return the rows that can be scored, by name, in the order of the table."""
    letters = CountVectorizer(analyzer="char_wb", ngram_range=(1, 4), lowercase=False)
    reader = LogisticRegression(max_iter=2000, tol=1e-3) if classes else Ridge()
    constant = DummyClassifier(strategy="prior") if classes else DummyRegressor()
    memory = TypeLabelClassifier() if classes else TypeMeanRegressor()
    spelling = make_pipeline(
        FunctionTransformer(word_forms, kw_args={"caller": "baseline_table"}), letters, reader
    )
    estimators = zip(_FROM_WORDS, (constant, memory, spelling), strict=True)
    contenders = {name: _Contender(own, words) for name, own in estimators}
    if are_pairs(words):
        contenders["distance"] = _Contender(distance_baseline(classes=classes), words)
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
    """Return a clone with random model weights, or None if no step loads a model."""
    # Imported here, because probes on a matrix do not need it.
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
        if name not in _NAMES:
            raise ValueError(
                "The 'baselines' parameter of baseline_table must be a subset of "
                f"{[*_NAMES]}, got {name!r}."
            )
        if name in _FROM_PAIRS and name not in contenders:
            raise ValueError(
                f"The row {name!r} of baseline_table cannot be computed, because the words are not "
                "pairs. Pass a frame of pairs, as returned by pair_frame."
            )
        if name not in contenders:
            raise ValueError(
                f"The row {name!r} of baseline_table cannot be computed. It needs an estimator; "
                "'untrained model' also needs X_untrained, or an estimator that is fitted on words "
                "and has an ActivationExtractor that loads its model by name or folder."
            )
    if not len(baselines):
        raise ValueError(
            "The 'baselines' parameter of baseline_table is empty. Name at least one row, or pass "
            "None for all."
        )
    return {name: contenders[name] for name in contenders if name in set(baselines)}


def _score(contender, y, groups, codes, number, train, test, shuffled_train, scoring):
    label_rows = shuffled_train if contender.shuffled else train
    probe = fit_on_rows(contender.estimator, contender.X, y, groups, train, label_rows)
    return score_rows(
        as_scorer(probe, scoring),
        probe,
        take_rows(contender.X, test),
        y[test],
        None if codes is None else codes[test],
        where=f"Fold {number} of baseline_table",
    )
