# SPDX-License-Identifier: BSD-3-Clause
"""Score probes on subsets of neurons, for `ablation_curve` and `ablation_table`."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.ensemble._base import _set_random_states
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.ablation._ablator import NeuronAblator
from sklearn_neurox.ranking import LCARanker, RandomRanker
from sklearn_neurox.ranking._order import neuron_order, without_selection
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS, FiniteNumber
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, check_counts, count_neurons
from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._metadata import accepts_metadata, fit_with_groups
from sklearn_neurox.utils._scores._scored_rows import group_codes, outcome_frame, score_rows
from sklearn_neurox.utils._sparse import canonical, dtypes_for
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import check_row_order, check_weight

_LABELS = ["probe", "ranking", "which", "fraction", "n_neurons", "retrained", "fill", "draw"]
_COLUMNS = ["repeat", "fold", *_LABELS, "score", "low", "high"]
_FILLS = ("zero", "mean", "resample")
CONSTRAINTS = {
    **MEASUREMENT_CONSTRAINTS,
    "fractions": [*COUNT_CONSTRAINTS[:2], "array-like"],
    "n_draws": [Interval(Integral, 0, None, closed="left")],
    "fill": [StrOptions(set(_FILLS)), FiniteNumber(), "array-like"],
    "retrain": ["boolean", "array-like"],
    "sample_weight": ["array-like", None],
    "n_repeats": [Interval(Integral, 1, None, closed="left")],
}


class _Plan(NamedTuple):
    """The measurements to make in each fold."""

    probes: dict
    rankings: dict
    fractions: list
    n_draws: int
    fills: list
    modes: list
    scoring: object
    confidence: float
    return_words: bool
    caller: str

    def n_scores(self):
        n_ways = (len(self.fills) if False in self.modes else 0) + (True in self.modes)
        n_orders = 2 * len(self.rankings) + self.n_draws
        return len(self.probes) * (1 + n_orders * len(self.fractions) * n_ways)


class _Fold(NamedTuple):
    Z_train: np.ndarray
    y_train: object
    Z_test: np.ndarray
    y_test: object
    groups: np.ndarray | None
    weight: np.ndarray | None
    test_groups: np.ndarray | None
    test_weight: np.ndarray | None
    fillers: dict
    name: str

    def fit(self, estimator, columns=None):
        """Fit an estimator on the training set, or on some of its columns."""
        Z = self.Z_train if columns is None else self.Z_train[:, columns]
        return fit_with_groups(estimator, Z, self.y_train, self.groups, self.weight)

    def score(self, plan, probe, Z_test):
        """Score a probe on an ablated copy or some columns of the test set.

        Return the score, its interval, and the outcomes of the rows if the plan needs them.
        """
        scored = score_rows(
            plan.scoring,
            probe,
            Z_test,
            self.y_test,
            self.test_groups,
            where=self.name,
            sample_weight=self.test_weight,
        )
        weight, confidence = self.test_weight, plan.confidence
        bounds = scored.interval(self.test_groups, weight, confidence=confidence)
        return scored.score, *bounds, scored.outcomes if plan.return_words else None


class _FittedProbe(NamedTuple):
    template: object
    probe: object


def measure(
    X,
    y,
    *,
    features,
    probes,
    rankings,
    fractions,
    n_draws,
    fill,
    retrain,
    scoring,
    cv,
    groups,
    sample_weight,
    confidence,
    return_words,
    n_repeats,
    n_jobs,
    verbose,
    random_state,
    caller,
):
    """Score each probe on each subset of neurons, in each fold.

    Parameters
    ----------
    features : transformer or None
        Turns X into the matrix of neurons; cloned and fitted once per fold.

    probes, rankings : dict of str to estimator
        A ranking that is None means the weights of the only probe.

    caller : str
        The public function, for messages. The other parameters are those of that function.

    Returns
    -------
    table : DataFrame with the columns _COLUMNS

    of_words : DataFrame or None
        With ``return_words``, one row per measurement and test row.
    """
    modes, fills = _check_modes(retrain, caller), _check_fills(fill, caller)
    fractions = check_counts(fractions, caller=caller, parameter="fractions")
    wanted = (scoring, confidence, return_words, caller)
    plan = _Plan(probes, rankings, fractions, n_draws, fills, modes, *wanted)
    data = _read_rows(X, y, groups, sample_weight)
    X, y, groups, _ = data
    random_state = check_random_state(random_state)
    splitter = make_splitter(cv, groups, caller=caller)
    folds = split_rows(splitter, X, y, groups, caller=caller)
    # Threads share the matrices of the fold, and long fits and scores release the GIL.
    parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")
    codes = group_codes(groups)
    rows, parts = [], []
    total = n_repeats * len(folds) * plan.n_scores()
    with progress_bar(total, verbose, desc="ablating", unit="score") as bar:
        for repeat in range(n_repeats):
            if n_repeats > 1:
                plan = plan._replace(
                    probes=_reseeded(probes, random_state),
                    rankings=_reseeded(rankings, random_state),
                )
            for number, (train, test) in enumerate(folds):
                used = fills if False in modes else []
                fold = _prepare(features, *data, train, test, used, random_state, number, caller)
                fold = fold._replace(test_groups=None if codes is None else codes[test])
                measured = _measure_fold(fold, plan, parallel, bar, random_state)
                rows += [(repeat, number, *row[:-1]) for row in measured]
                if return_words:
                    parts += [_part(repeat, number, row, fold, test) for row in measured]
    table = pd.DataFrame(rows, columns=_COLUMNS)
    return table, outcome_frame(parts, groups) if return_words else None


def _read_rows(X, y, groups, sample_weight):
    """Return X, y, groups and weights, after checking that their rows belong together."""
    X, y, groups = map(to_pandas, (X, y, groups))
    X = X.tocsr() if issparse(X) else X  # the only sparse format whose rows can be chosen
    check_no_missing_labels(y)
    check_consistent_length(X, y, groups)
    check_row_order(X=X, y=y, groups=groups, sample_weight=sample_weight)
    return X, y, groups, check_weight(sample_weight, X)


def _part(repeat, number, row, fold, test):
    labels = {"repeat": repeat, "fold": number, **dict(zip(_LABELS, row, strict=False))}
    weight = {} if fold.test_weight is None else {"weight": fold.test_weight}
    return labels, len(fold.Z_train), test, {**weight, "outcome": row[-1]}


def _check_modes(retrain, caller):
    modes = np.atleast_1d(retrain)
    if modes.dtype != bool or not modes.size:
        raise ValueError(
            f"The 'retrain' parameter of {caller} must be a bool or a list of bools. Got "
            f"{retrain!r}."
        )
    return list(dict.fromkeys(modes.tolist()))


def _check_fills(fill, caller):
    fills = [fill] if isinstance(fill, (str, Real)) else list(fill)
    for one in fills:
        is_name = isinstance(one, str) and one in _FILLS
        if not is_name and not FiniteNumber().is_satisfied_by(one):
            raise ValueError(
                f"The 'fill' parameter of {caller} must contain {', '.join(_FILLS)} or finite "
                f"numbers. Got {one!r}. To drop neurons, use retrain=True."
            )
    if not fills:
        raise ValueError(
            f"The 'fill' parameter of {caller} must contain at least one fill. Got none."
        )
    return fills


def _reseeded(estimators, random_state):
    copies = {name: estimator and clone(estimator) for name, estimator in estimators.items()}
    for estimator in filter(None, copies.values()):
        _set_random_states(estimator, random_state)
    return copies


def _prepare(features, X, y, groups, weight, train, test, fills, random_state, number, caller):
    X_train, X_test = _safe_indexing(X, train), _safe_indexing(X, test)
    y_train, y_test = _safe_indexing(y, train), _safe_indexing(y, test)
    groups = None if groups is None else _safe_indexing(np.asarray(groups), train)
    weight, test_weight = (None, None) if weight is None else (weight[train], weight[test])
    if features is not None:
        features = clone(features)
        ways = ("fit", "fit_transform")  # a pipeline routes metadata by the second
        is_asked = weight is not None and any(
            accepts_metadata(features, "sample_weight", w) for w in ways
        )
        given = {"sample_weight": weight} if is_asked else {}
        X_train = features.fit_transform(X_train, y_train, **given)
        X_test = features.transform(X_test)
    # Plain arrays: a probe fitted on named columns would warn about filled ones without names.
    Z_train, Z_test = _matrix(X_train), _matrix(X_test)
    # One seed for all fills, so that the random neurons drawn later do not depend on their number.
    seed = random_state.randint(np.iinfo(np.int32).max)
    # Fitted on every column, so that all subsets get the same draws.
    every = np.arange(Z_train.shape[1])
    fillers = {
        fill: NeuronAblator(every, fill=fill, random_state=seed).fit(Z_train, sample_weight=weight)
        for fill in fills
    }
    if issparse(Z_test):  # before anything is fitted
        for filler in fillers.values():
            filler._check_growth(Z_test, caller=caller)
    name = f"Fold {number} of {caller}"
    return _Fold(Z_train, y_train, Z_test, y_test, groups, weight, None, test_weight, fillers, name)


def _matrix(X):
    X = check_array(X, accept_sparse="csr", dtype=dtypes_for(X), ensure_all_finite=False)
    return canonical(X) if issparse(X) else X


def _measure_fold(fold, plan, parallel, bar, random_state):
    templates = plan.probes.values()
    fitted = parallel(delayed(_fit_probe)(template, fold) for template in templates)
    probes = dict(zip(plan.probes, fitted, strict=True))
    rankers = [_ranker(ranker, probes, plan.caller) for ranker in plan.rankings.values()]
    rankers = list(parallel(delayed(fold.fit)(ranker) for ranker in rankers))
    orders = {
        name: neuron_order(ranker) for name, ranker in zip(plan.rankings, rankers, strict=True)
    }
    jobs = list(_jobs(fold, plan, probes, orders, random_state))
    scores = parallel(delayed(_score)(fold, plan, probe, *way) for _, probe, way in jobs)
    return [(*label, *score) for (label, *_), score in zip(jobs, counted(bar, scores), strict=True)]


def _fit_probe(template, fold):
    return _FittedProbe(template, fold.fit(clone(template)))


def _ranker(ranker, probes, caller):
    if ranker is not None:
        return without_selection(ranker)
    ((_, probe),) = probes.values()
    if not hasattr(probe, "coef_"):
        raise ValueError(
            f"{caller} ranks by the weights of the probe, but the fitted "
            f"{type(probe).__name__} has no attribute 'coef_'. Pass a ranker, for "
            "example ranker=ProbelessRanker(). If the probe is a search, pass its "
            "best_estimator_ instead."
        )
    return LCARanker(FrozenEstimator(probe))


def _jobs(fold, plan, probes, orders, random_state):
    """Yield a row's labels (see _LABELS), the probe, and the other arguments of `_score`."""
    n_neurons = fold.Z_train.shape[1]
    ways = [(False, fill) for fill in plan.fills] if False in plan.modes else []
    ways += [(True, "drop")] if True in plan.modes else []
    chosen = list(_orders(orders, plan.n_draws, n_neurons, random_state))
    for name, probe in probes.items():
        label = (name, "all", "all", 1.0, n_neurons, False, "none", 0)
        yield label, probe, (np.arange(n_neurons), "none", False)
        for ranking, which, draw, order in chosen:
            for fraction in plan.fractions:
                count = count_neurons(
                    fraction, n_neurons, caller=plan.caller, parameter="fractions"
                )
                kept = np.sort(order[:count])
                # A count stands in the table as its fraction, so that one column has both.
                share = count / n_neurons if isinstance(fraction, Integral) else float(fraction)
                for retrained, fill in ways:
                    label = (name, ranking, which, share, count, retrained, fill, draw)
                    yield label, probe, (kept, fill, retrained)


def _orders(orders, n_draws, n_neurons, random_state):
    for name, order in orders.items():
        yield name, "top", 0, order
        yield name, "bottom", 0, order[::-1]
    # A random ranking depends only on the number of columns.
    row = np.zeros((1, n_neurons))
    for draw in range(n_draws):
        yield "random", "random", draw, RandomRanker(random_state=random_state).fit(row).order_


def _score(fold, plan, fitted, kept, fill, retrained):
    if retrained:
        probe = fold.fit(clone(fitted.template), kept)
        return fold.score(plan, probe, fold.Z_test[:, kept])
    Z_test = fold.Z_test
    if fill != "none":
        # Copied per score, not kept: many fills would otherwise hold many copies.
        others = np.delete(np.arange(Z_test.shape[1]), kept)
        filler = fold.fillers[fill]
        overwrite = filler._overwrite_sparse if issparse(Z_test) else filler._overwrite
        Z_test = overwrite(Z_test, others)
    return fold.score(plan, fitted.probe, Z_test)
