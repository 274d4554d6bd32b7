# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._fits import run_fits
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.probes._default_probe import default_probe
from sklearn_neurox.ranking import ProbelessRanker, RandomRanker
from sklearn_neurox.ranking._order import neuron_order, without_selection
from sklearn_neurox.selection import BestSubsetSelector
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, check_counts, count_neurons
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._scores._scored_rows import group_codes, outcome_frame, score_rows
from sklearn_neurox.utils._validation import check_activations

_CALLER = "sparse_probing_curve"


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "X": ["array-like", "sparse matrix"],
        "n_neurons": [*COUNT_CONSTRAINTS[:2], "array-like"],
        "label": "no_validation",
        "estimator": [HasMethods(["fit", "predict"]), None],
        "rankers": [Mapping, HasMethods(["fit"]), None],
        "n_random": [Interval(Integral, 0, None, closed="left")],
        "n_shuffled": [Interval(Integral, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=False,
)
def sparse_probing_curve(
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_neurons: int | float | Iterable[int | float] = (1, 2, 4, 8, 16),
    label: object = None,
    estimator: BaseEstimator | None = None,
    rankers: Mapping[str, BaseEstimator] | BaseEstimator | None = None,
    n_random: int = 5,
    n_shuffled: int = 1,
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score probes that are fitted on k neurons only, chosen by different methods.

    This is sparse probing [1]_: in each fold, each method chooses k neurons on the training rows,
    and a probe that is fitted to these neurons on the same rows is scored on the test rows. There
    are two controls. Random neurons show what any k neurons can do. Shuffled training labels, from
    which neurons are chosen and a probe is fitted in the same way, show what choosing among so many
    neurons reaches by chance.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Activations.

    y : array-like of shape (n_samples,)
        Labels or targets.

    n_neurons : int, float or array-like of these, default=(1, 2, 4, 8, 16)
        How many neurons to choose: numbers, as ints, or fractions of all, as floats in (0, 1].

    label : object, default=None
        A class to probe for, against all others, as in [1]_. None uses y as it is.

    estimator : estimator instance or None, default=None
        The probe, cloned for each fit. None uses an elastic-net probe with standardization: a
        classifier, or a regressor if y is continuous.

    rankers : mapping from str to estimator, estimator or None, default=None
        How to choose neurons: rankers by name, or a single one. Any selector with ``scores_`` or
        ``ranking_`` works too, and so does `sklearn_neurox.selection.BestSubsetSelector`, which
        chooses the k neurons together. None uses ``BestSubsetSelector(compute_bound=False)``, as
        ``"best subset"``, and for classes ``ProbelessRanker(scale=True)``, as ``"probeless"``.

    n_random : int, default=5
        Number of draws of random neurons in each fold.

    n_shuffled : int, default=1
        Number of permutations of the training labels in each fold, for each method.

    scoring : str, callable or None, default=None
        A scorer. None uses ``"matthews_corrcoef"`` for a classifier, which is 0 for a probe that
        does not beat the majority class, and ``"r2"`` for a regressor.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split the data. An int is the number of folds, and None means 5; words are never
        shuffled between folds. With ``groups``, the splitter is
        `sklearn.model_selection.GroupKFold`; without them, the folds are contiguous and a warning
        is issued. For a single fixed split, use ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        Samples of the same group stay in the same fold; for words, use ``words["text"]``.

    confidence : float, default=0.95
        Confidence level of the intervals, in (0, 1).

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_jobs : int or None, default=None
        How many choices of neurons to make in parallel, in threads. The results do not depend on
        it.

    verbose : bool or int, default=False
        Whether to show a progress bar of the choices of neurons.

    random_state : int, RandomState instance or None, default=None
        Controls the random neurons and the permutations.

    Returns
    -------
    curve : DataFrame
        One row per fold, method, draw and number of neurons, with the columns ``fold``, ``ranker``
        (the name of the method, or ``"random"``), ``labels`` (``"true"`` or ``"shuffled"``),
        ``draw`` (0 except for controls), ``n_neurons``, ``score``, and its confidence interval from
        ``low`` to ``high``: how the score of this fold would vary with other test groups. Without
        groups, or with a scorer that is not one of scikit-learn's, the bounds are missing.

    of_words : DataFrame
        Only with ``return_words``. One row per measurement and test word, with the columns that
        identify the measurement, ``n_train`` (the number of training words of the fold), ``row``
        (the number of the word in X), ``group`` and ``outcome``, whose mean is the score.
        `interval_table` gives intervals over all folds and draws, and `compare` takes the rows of
        two measurements.

    Raises
    ------
    ValueError
        If X contains NaN or infinity, a label is missing, ``label`` is not in y, there are fewer
        neurons than asked for, or a fold cannot be scored.

    Warns
    -----
    UserWarning
        If ``cv`` makes folds without ``groups``, or splits groups; or if the indexes of X and y
        share labels in different orders.

    See Also
    --------
    sklearn_neurox.inspection.SparseProbingDisplay : Draw the curve.
    sklearn_neurox.selection.BestSubsetSelector : Choose k neurons together, with a bound.
    sklearn_neurox.ablation.ablation_curve : Compare the top, random and bottom neurons.

    References
    ----------
    .. [1] W. Gurnee, N. Nanda, M. Pauly, K. Harvey, D. Troitskii, D. Bertsimas, "Finding Neurons in
       a Haystack: Case Studies with Sparse Probing", TMLR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.evaluation import sparse_probing_curve
    >>> planted = make_planted_neurons(600, 50, n_informative=4, n_classes=2, random_state=0)
    >>> curve = sparse_probing_curve(
    ...     planted.X, planted.y, n_neurons=[1, 4], estimator=LogisticRegression(),
    ...     groups=np.arange(600), random_state=0
    ... )
    >>> best = curve[(curve["ranker"] == "best subset") & (curve["labels"] == "true")]
    >>> bool(best.groupby("n_neurons")["score"].mean().is_monotonic_increasing)
    True
    """
    X, y, groups = matching_rows(_CALLER, X=X, y=y, groups=groups)
    check_no_missing_labels(y)
    matrix, _ = check_activations(X, caller=_CALLER, accept_sparse="csr")
    targets = _against_others(np.asarray(y), label)
    estimator = default_probe(targets) if estimator is None else estimator
    classes = is_classifier(estimator)
    groups = None if groups is None else np.asarray(groups)
    curve = _Curve(
        matrix,
        targets,
        groups,
        codes=group_codes(groups),
        sizes=_sizes(n_neurons, matrix.shape[1]),
        estimator=estimator,
        scoring=_default_scoring(classes) if scoring is None else scoring,
        confidence=confidence,
    )
    rankers = _named(rankers, classes, curve.sizes)
    folds = make_folds(cv, matrix, targets, groups, classes=classes, caller=_CALLER)
    rng = check_random_state(random_state)
    jobs = [
        delayed(curve.measure)(number, rows, *choice)
        for number, rows in enumerate(folds)
        for choice in _choices(rankers, n_random, n_shuffled, rng)
    ]
    measured = [one for some in run_fits(jobs, n_jobs, verbose) for one in some]
    return _tables(measured, folds, groups, return_words)


def _tables(measured, folds, groups, return_words):
    """Return the scores as a table and, if asked for, the outcomes of the words."""
    rows = [
        {**labels, "score": own.score, "low": low, "high": high}
        for labels, own, low, high in measured
    ]
    curve = pd.DataFrame(rows)
    if not return_words:
        return curve
    parts = [
        (labels, *_sizes_of(folds[labels["fold"]]), {"outcome": own.outcomes})
        for labels, own, *_ in measured
    ]
    return curve, outcome_frame(parts, groups)


def _sizes_of(fold):
    train, test = fold
    return len(train), test


def _default_scoring(classes):
    return "matthews_corrcoef" if classes else "r2"


def _against_others(y, label):
    if label is None:
        return y
    is_label = np.asarray(y == label, dtype=bool)
    if is_label.shape != y.shape or not is_label.any():
        classes = np.unique(y).tolist()
        raise ValueError(
            f"The 'label' parameter of {_CALLER} must be one of the labels in y, {classes}, got "
            f"{label!r}."
        )
    return is_label.astype(int)


def _sizes(n_neurons, n_features):
    named = {"caller": _CALLER, "parameter": "n_neurons"}
    sizes = check_counts(n_neurons, **named)
    return np.unique([count_neurons(size, n_features, **named) for size in sizes]).tolist()


def _named(rankers, classes, sizes):
    """Return the methods by name, each ready to choose all numbers of neurons."""
    if rankers is None:
        loss = "log_loss" if classes else "squared_error"
        rankers = {"best subset": BestSubsetSelector(loss=loss, compute_bound=False)}
        if classes:
            rankers["probeless"] = ProbelessRanker(scale=True)
    elif not isinstance(rankers, Mapping):
        rankers = {type(rankers).__name__: rankers}
    if "random" in rankers:
        raise ValueError(
            f"The 'rankers' parameter of {_CALLER} has a ranker named 'random', which is the name "
            "of the control. Give it another name."
        )
    return {
        name: clone(ranker).set_params(n_neurons=sizes)
        if isinstance(ranker, BestSubsetSelector)
        else without_selection(ranker)
        for name, ranker in rankers.items()
    }


def _choices(rankers, n_random, n_shuffled, rng):
    """List the choices of one fold: name, ranker, seed of the permutation, and draw."""
    choices = [(name, ranker, None, 0) for name, ranker in rankers.items()]
    for draw in range(n_random):
        ranker = RandomRanker(random_state=rng.randint(2**31))
        choices.append(("random", ranker, None, draw))
    for draw in range(n_shuffled):
        seed = rng.randint(2**31)
        choices += [(name, ranker, seed, draw) for name, ranker in rankers.items()]
    return choices


class _Curve(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    codes: np.ndarray | None  # of the groups
    sizes: list
    estimator: BaseEstimator
    scoring: object
    confidence: float

    def measure(self, fold, rows, name, ranker, seed, draw):
        """Choose neurons on the training rows, and score a probe on each number of them."""
        train, test = rows
        learned, inner = self.y[train], None if self.groups is None else self.groups[train]
        if seed is not None:
            learned = np.random.RandomState(seed).permutation(learned)
        Z = self.X[train]
        ranker = fit_with_groups(clone(ranker), Z, learned, inner)
        of_test = None if self.codes is None else self.codes[test]
        labels = {"fold": fold, "ranker": name, "labels": "true" if seed is None else "shuffled"}
        scores = []
        for place, size in enumerate(self.sizes):
            columns = _columns(ranker, place, size)
            scored = score_rows(
                self.scoring,
                fit_with_groups(clone(self.estimator), Z[:, columns], learned, inner),
                self.X[test][:, columns],
                self.y[test],
                of_test,
                where=f"Fold {fold} of {_CALLER}",
            )
            own = {**labels, "draw": draw, "n_neurons": size}
            scores.append((own, scored, *scored.interval(of_test, confidence=self.confidence)))
        return scores


def _columns(ranker, place, size):
    if isinstance(ranker, BestSubsetSelector):
        return np.flatnonzero(ranker.supports_[place])
    return np.sort(neuron_order(ranker)[:size])
