# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.ablation._erasure._concept_eraser import ConceptEraser
from sklearn_neurox.ablation._erasure._ridge_probe import ridge_probe
from sklearn_neurox.ablation._erasure._targets import read_targets
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._scores._scored_rows import group_codes, outcome_frame, score_rows
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import check_activations, check_equal_lengths, check_row_order

_CALLER = "erasure_table"
_LABELS = ["fold", "eraser", "draw", "n_directions", "distance", "target", "is_erased"]


class _Fold(NamedTuple):
    number: int
    X: np.ndarray
    concept: ArrayLike
    train: np.ndarray
    test: np.ndarray
    groups: ArrayLike | None
    codes: np.ndarray | None  # numbers of the groups
    targets: list


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "X": ["array-like"],
        "concept": ["array-like"],
        "others": ["array-like", dict, None],
        "erasers": ["array-like", dict],
        "probe": [HasMethods(["fit", "predict"]), None],
        "n_draws": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=False,
)
def erasure_table(
    X: ArrayLike,
    concept: ArrayLike,
    others: ArrayLike | dict | None = None,
    *,
    erasers: Sequence | dict = ("leace",),
    probe: BaseEstimator | None = None,
    n_draws: int = 5,
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score probes before and after a concept is erased, beside random erasure of equal rank.

    In each fold, an eraser is fitted on the training rows and applied to all rows; then a new probe
    is fitted on the erased training rows, and scored on the erased test rows. A good eraser brings
    the probe on the concept down to chance, leaves probes on other concepts as they are, and moves
    the rows little.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Activations.

    concept : array-like of shape (n_samples,) or (n_samples, n_columns)
        The labels or numbers to erase. The columns of a DataFrame are erased together, and each has
        a probe of its own.

    others : array-like of shape (n_samples,) or (n_samples, n_columns), dict or None, default=None
        Other labels or numbers to probe, by name in a dict or DataFrame.

    erasers : list of str or of erasers, or dict of these, default=("leace",)
        The methods of `ConceptEraser`, or erasers, which are cloned. Those in a list are named
        after their methods. An eraser of another class needs ``fit(X, concept)`` and
        ``transform``, and counts for its rank only with ``directions_``.

    probe : estimator instance or None, default=None
        The probe, cloned for each fit. None uses `ElasticNetProbeClassifier` for labels and
        `ElasticNetProbeRegressor` for numbers, with ``alpha=0.01``, ``l1_ratio=0`` and
        ``standardize=True``.

    n_draws : int, default=5
        For each number of directions that an eraser removes, how many times as many random
        directions are removed instead. 0 omits this control.

    scoring : str, callable or None, default=None
        A scorer; None uses the ``score`` method of the probe: accuracy, or R^2 for numbers.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split the data. An int is the number of folds, and None means 5. With ``groups``, the
        splitter is `sklearn.model_selection.GroupKFold`; without them, the folds are contiguous and
        a warning is issued.

    groups : array-like of shape (n_samples,) or None, default=None
        Samples of the same group stay in the same fold; for words, use ``words["text"]``.

    confidence : float, default=0.95
        The confidence level of the intervals, in (0, 1).

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_jobs : int or None, default=None
        How many erasers to measure in parallel, in threads. The results do not depend on it.

    verbose : bool or int, default=False
        Whether to show a progress bar of the erasers.

    random_state : int, RandomState instance or None, default=None
        Controls the random directions.

    Returns
    -------
    table : DataFrame
        One row per fold, eraser and probe:

        - ``fold``, ``eraser`` (``"none"`` for X as it is, the name of an eraser, or ``"random"``),
          ``draw`` (of random directions), ``n_directions`` (how many were removed; missing if the
          eraser does not tell).
        - ``distance``: how far the test rows moved: the root mean square of their changes, divided
          by that of their distances from the mean of the training rows.
        - ``target``: the name of what the probe predicts; ``is_erased``: whether it is the concept.
        - ``score`` on the test rows, and its confidence interval from ``low`` to ``high``: how the
          score of this measurement would vary with other test groups. Without groups, or with a
          scorer that scikit-learn did not make, the bounds are missing.
        - ``chance``, the score of a probe that ignores X: it predicts the frequencies of the
          classes, or the mean.

    of_words : DataFrame
        Only with ``return_words``. One row per measurement and test word, with the columns
        ``fold``, ``eraser``, ``draw``, ``n_directions``, ``distance``, ``target`` and
        ``is_erased``, ``n_train`` (the number of training words of the fold), ``row`` (the number
        of the word in X), ``group``, and ``chance`` and ``outcome``, whose means are the ``chance``
        and the ``score`` of the table. For accuracy, they are whether the prediction is right.
        `sklearn_neurox.evaluation.interval_table` gives intervals over all folds and draws, and
        `sklearn_neurox.evaluation.compare` takes the rows of two measurements.

    Raises
    ------
    ValueError
        If a label is missing, two targets have the same name, or there is no eraser.

    Warns
    -----
    UserWarning
        If ``cv`` makes folds without ``groups``, or the indexes of X and a concept share labels in
        different orders.

    See Also
    --------
    ConceptEraser : The eraser.
    ablation_table : Ablation of neurons instead of directions.

    References
    ----------
    .. [1] Y. Elazar, S. Ravfogel, A. Jacovi, Y. Goldberg, "Amnesic Probing: Behavioral Explanation
       with Amnesic Counterfactuals", TACL 9, 2021.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.ablation import erasure_table
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> planted = make_planted_neurons(effect=2.0, random_state=0)
    >>> table = erasure_table(
    ...     planted.X,
    ...     planted.y,
    ...     {"first neuron": planted.X[:, 0] > 0},
    ...     erasers=["leace", "mean"],
    ...     probe=LogisticRegression(),
    ...     groups=range(1000),
    ...     random_state=0,
    ... )
    >>> table.pivot_table("score", ["eraser", "n_directions"], "target").round(1)
    target               concept  first neuron
    eraser n_directions
    leace  2                 0.3           0.9
    mean   2                 0.3           0.9
    none   0                 1.0           0.9
    random 2                 1.0           0.9
    """
    X, concept, others, groups = map(to_pandas, (X, concept, others, groups))
    named: dict = others if isinstance(others, dict) else {None: others}
    beside = {"others" + f"[{name!r}]" * (name is not None): rows for name, rows in named.items()}
    check_row_order(X=X, concept=concept, **beside, groups=groups)
    matrix, _ = check_activations(X, caller=_CALLER)
    named_erasers = _named_erasers(erasers)
    targets = read_targets(concept, others, probe, caller=_CALLER)
    named = {target.name: target.values for target in targets}
    check_equal_lengths(_CALLER, X=matrix, groups=groups, **named)
    # The eraser decides by itself what the columns of the concept are.
    concept = concept if isinstance(concept, pd.DataFrame) else np.asarray(concept)
    random_state = check_random_state(random_state)
    splitter = make_splitter(cv, groups, caller=_CALLER)
    folds = split_rows(splitter, matrix, targets[0].values, groups, caller=_CALLER)
    codes, how = group_codes(groups), (probe, scoring, confidence)
    # Threads share X, and long numerical work releases the interpreter lock.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    parts = []
    total = len(folds) * (1 + len(named_erasers))
    with progress_bar(total, verbose, desc="erasing", unit="fit") as bar:
        for number, (train, test) in enumerate(folds):
            fold = _Fold(number, matrix, concept, train, test, groups, codes, targets)
            jobs = [
                ("none", 0, None),
                *((name, 0, eraser) for name, eraser in named_erasers.items()),
            ]
            found = parallel(delayed(_measure)(fold, *job, *how) for job in jobs)
            measured = list(counted(bar, found))
            jobs = _random_jobs(measured, n_draws, random_state)
            measured += parallel(delayed(_measure)(fold, *job, *how) for job in jobs)
            sizes = len(train), test
            parts += [(row, *sizes, words) for part in measured for row, words in part]
    table = _with_counts(pd.DataFrame([row for row, *_ in parts]))
    if not return_words:
        return table
    parts = [({name: row[name] for name in _LABELS}, *others) for row, *others in parts]
    return table, _with_counts(outcome_frame(parts, groups))


def _with_counts(table):
    """Return the table with integer numbers of directions, even if some are missing."""
    return table.astype({"n_directions": "Int64"}) if table["n_directions"].hasnans else table


def _random_jobs(measured, n_draws, random_state):
    """List draws of random erasers that have the ranks of the measured ones."""
    ranks = {part[0][0]["n_directions"] for part in measured} - {0, None}
    return [
        ("random", draw, _random(rank, random_state))
        for rank in sorted(ranks)
        for draw in range(n_draws)
    ]


def _named_erasers(erasers):
    if not isinstance(erasers, dict):
        names = [_name(eraser) for eraser in erasers]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(
                f"{_CALLER} was given several erasers named {min(repeated)!r}. Pass them in a dict."
            )
        erasers = dict(zip(names, erasers, strict=True))
    erasers = {
        name: ConceptEraser(eraser) if isinstance(eraser, str) else eraser
        for name, eraser in erasers.items()
    }
    for name, eraser in erasers.items():
        if isinstance(eraser, type) or not all(hasattr(eraser, m) for m in ("fit", "transform")):
            raise ValueError(
                f"The 'erasers' parameter of {_CALLER} must contain methods of ConceptEraser, or "
                f"estimators with fit and transform. Got {eraser!r}."
            )
        if name in ("none", "random") and getattr(eraser, "method", "") != "random":
            raise ValueError(f"The name {name!r} is reserved for the controls of {_CALLER}.")
    if not erasers:
        raise ValueError(f"The 'erasers' parameter of {_CALLER} must contain at least one eraser.")
    return erasers


def _name(eraser):
    return eraser if isinstance(eraser, str) else getattr(eraser, "method", type(eraser).__name__)


def _random(n_directions, random_state):
    seed = int(random_state.randint(np.iinfo(np.int32).max))
    return ConceptEraser("random", n_directions=n_directions, random_state=seed)


def _measure(fold, name, draw, eraser, probe, scoring, confidence):
    """Return the rows of the table for one eraser, each with the outcomes of the words."""
    X_train, X_test = fold.X[fold.train], fold.X[fold.test]
    n_directions, distance = 0, 0.0
    if eraser is not None:
        eraser = clone(eraser).fit(X_train, _safe_indexing(fold.concept, fold.train))
        mean = X_train.mean(axis=0, dtype=np.float64)
        before, X_train, X_test = X_test, eraser.transform(X_train), eraser.transform(X_test)
        n_directions = len(eraser.directions_) if hasattr(eraser, "directions_") else None
        distance = _distance(before, X_test, mean)
    measured = []
    for target in fold.targets:
        label = fold.number, name, draw, n_directions, distance, target.name, target.is_erased
        of_probe, ignorant = _scores(fold, target, X_train, X_test, name, probe, scoring)
        codes = None if fold.codes is None else fold.codes[fold.test]
        low, high = of_probe.interval(codes, confidence=confidence)
        scores = {"score": of_probe.score, "low": low, "high": high, "chance": ignorant.score}
        words = {"chance": ignorant.outcomes, "outcome": of_probe.outcomes}
        measured.append(({**dict(zip(_LABELS, label, strict=True)), **scores}, words))
    return measured


def _distance(before, after, mean):
    moved, spread = 0.0, 0.0
    for block in row_blocks(before):
        rows = before[block].astype(np.float64)
        moved += np.square(after[block] - rows).sum()
        spread += np.square(rows - mean).sum()
    return float(np.sqrt(moved / spread)) if spread else 0.0


def _scores(fold, target, X_train, X_test, name, probe, scoring):
    """Fit a probe, and score it and a probe that ignores X."""
    y_train, y_test = target.values[fold.train], target.values[fold.test]
    if probe is None:
        probe = ridge_probe(is_number=target.is_number, standardize=True)
    ignorant = DummyRegressor() if target.is_number else DummyClassifier(strategy="prior")
    groups = None if fold.groups is None else np.asarray(fold.groups)[fold.train]
    codes = None if fold.codes is None else fold.codes[fold.test]
    scores = []
    for estimator in (clone(probe), ignorant):
        fit_with_groups(estimator, X_train, y_train, groups)
        where = f"Fold {fold.number} of {_CALLER} ({target.name!r}, eraser {name!r})"
        scores.append(score_rows(scoring, estimator, X_test, y_test, codes, where=where))
    return scores
