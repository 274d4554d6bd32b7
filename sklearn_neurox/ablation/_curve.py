# SPDX-License-Identifier: BSD-3-Clause
import warnings
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

from sklearn_neurox.ablation._ablator import NeuronAblator
from sklearn_neurox.ranking import LCARanker, RandomRanker
from sklearn_neurox.ranking._base import BaseRanker, count_neurons
from sklearn_neurox.utils._folds import check_folds
from sklearn_neurox.utils._validation import check_no_missing_labels

_COLUMNS = ["fold", "which", "fraction", "n_neurons", "retrained", "draw", "score"]


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "ranker": [HasMethods(["fit"]), None],
        "fractions": ["array-like"],
        "n_draws": [Interval(Integral, 0, None, closed="left")],
        "fill": [
            StrOptions({"zero", "mean", "resample"}),
            Interval(Real, None, None, closed="neither"),
        ],
        "retrain": ["boolean", "array-like"],
        "scoring": [str, callable, None],
        "cv": ["cv_object"],
        "groups": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def ablation_curve(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    ranker: BaseEstimator | None = None,
    fractions: Iterable[float] = (0.10, 0.15, 0.20),
    n_draws: int = 10,
    fill: str | float = "mean",
    retrain: bool | Iterable[bool] = (False, True),
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Score a probe on the best, on random and on the worst neurons alone.

    In every fold the probe is fitted on all neurons of the training part, and the neurons are
    ranked there. Then only a fraction of them is kept: the top, random ones, or the bottom. The
    others are filled in the test part, under the same probe; or they are dropped, and a clone of
    the probe is fitted on those kept.

    Parameters
    ----------
    estimator : estimator instance
        The probe; or a `sklearn.pipeline.Pipeline` that ends in it. Of a pipeline, everything
        before the last step is cloned and fitted once a fold, and the ablation happens right
        before the last step.

    X : array-like of shape (n_samples, n_features) or DataFrame of words
        What ``estimator`` is fitted on.

    y : array-like of shape (n_samples,)
        The labels or targets.

    ranker : ranker instance or None, default=None
        A ranker, cloned and fitted in every fold. None ranks by the weights of the fitted probe:
        ``LCARanker(FrozenEstimator(probe))``.

    fractions : array-like of float, default=(0.10, 0.15, 0.20)
        The fractions of the neurons to keep, in (0, 1].

    n_draws : int, default=10
        How many random rankings a fold. The choices of one draw are nested over fractions.

    fill : {"zero", "mean", "resample"} or float, default="mean"
        What the others become under the same probe; see `NeuronAblator`. It acts right before the
        last step, so behind the scaler of a pipeline zero *is* the mean; if the last step scales
        for itself, zero may be an outlier.

    retrain : bool or array-like of bool, default=(False, True)
        Whether to fit a new probe on the kept neurons; ``(False, True)`` does both.

    scoring : str, callable or None, default=None
        A scorer; None takes the ``score`` method of the probe.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split. None or an int makes 5 or so many folds that are never shuffled over words:
        `sklearn.model_selection.GroupKFold` when ``groups`` are given, and contiguous folds, with
        a warning, when not. An iterable gives (train, test) index arrays; a single fixed split is
        ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        What must stay in one fold; for words, ``words["text"]``.

    random_state : int, RandomState instance or None, default=None
        Fixes the random neurons and the draws of ``fill="resample"``.

    Returns
    -------
    curve : DataFrame
        One row a measurement, with the columns ``fold``, ``which`` (``"all"``, ``"top"``,
        ``"random"`` or ``"bottom"``), ``fraction``, ``n_neurons`` (how many were kept),
        ``retrained``, ``draw`` (0 but for random neurons) and ``score``. There is one row for all
        neurons a fold.

    Raises
    ------
    ValueError
        If a label is missing, a fraction is not in (0, 1], or the probe has no ``coef_`` and
        there is no ``ranker``.

    See Also
    --------
    NeuronAblator : The ablation itself.
    sklearn_neurox.ranking.LCARanker : The ranking by default.

    References
    ----------
    .. [1] F. Dalvi, N. Durrani, H. Sajjad, Y. Belinkov, A. Bau, J. Glass, "What Is One Grain of
       Sand in the Desert? Analyzing Individual Neurons in Deep NLP Models", AAAI 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.ablation import ablation_curve
    >>> X, y = make_classification(n_informative=2, n_redundant=0, random_state=0)
    >>> curve = ablation_curve(LogisticRegression(), X, y, groups=range(100), random_state=0)
    >>> curve[~curve["retrained"]].groupby("which")["score"].mean().round(2)
    which
    all       0.80
    bottom    0.40
    random    0.50
    top       0.88
    Name: score, dtype: float64
    """
    fractions, modes = _check_fractions(fractions), _check_modes(retrain)
    check_no_missing_labels(y)
    check_consistent_length(X, y, groups)
    random_state = check_random_state(random_state)
    rows, n_tied = [], []
    folds = check_folds(cv, groups, caller="ablation_curve", stacklevel=4)
    for number, (train, test) in enumerate(folds.split(X, y, groups)):
        fold = _fit_fold(estimator, X, y, train, test, scoring, fill, random_state)
        fitted_ranker = _fit_ranker(ranker, fold)
        n_tied.append(getattr(fitted_ranker, "n_tied_", 0))
        n_neurons = fold.Z_train.shape[1]
        rows.append((number, "all", 1.0, n_neurons, False, 0, _score_all(fold)))
        for which, draw, order in _orders(fitted_ranker.order_, n_draws, random_state):
            for fraction in fractions:
                kept = np.sort(order[: count_neurons(fraction, n_neurons, caller="ablation_curve")])
                for retrained in modes:
                    score = _score_kept(fold, kept, retrained)
                    rows.append((number, which, fraction, len(kept), retrained, draw, score))
    _warn_about_weightless(n_tied, n_neurons)
    return pd.DataFrame(rows, columns=_COLUMNS)


class _Fold(NamedTuple):
    template: object
    probe: object
    scorer: Callable
    Z_train: np.ndarray
    y_train: object
    Z_test: np.ndarray
    y_test: object
    filled: np.ndarray


def _check_fractions(fractions):
    fractions = [float(fraction) for fraction in fractions]
    wrong = [fraction for fraction in fractions if not 0 < fraction <= 1]
    if wrong or not fractions:
        raise ValueError(
            "The 'fractions' parameter of ablation_curve must hold fractions in (0, 1], at least "
            f"one. Got {wrong[0] if wrong else 'none'}."
        )
    return fractions


def _check_modes(retrain):
    modes = np.atleast_1d(retrain)
    if modes.dtype != bool or not modes.size:
        raise ValueError(
            "The 'retrain' parameter of ablation_curve must be a bool or a list of bools. Got "
            f"{retrain!r}."
        )
    return modes.tolist()


def _fit_fold(estimator, X, y, train, test, scoring, fill, random_state):
    X_train, X_test = _safe_indexing(X, train), _safe_indexing(X, test)
    y_train, y_test = _safe_indexing(y, train), _safe_indexing(y, test)
    template = estimator
    if isinstance(estimator, Pipeline):
        template = estimator[-1]
        if len(estimator) > 1:
            features = clone(estimator[:-1])
            X_train, X_test = features.fit_transform(X_train, y_train), features.transform(X_test)
    # Plain arrays, so that a probe fitted on all columns takes the filled ones without names.
    Z_train, Z_test = _matrix(X_train), _matrix(X_test)
    probe = clone(template).fit(Z_train, y_train)
    # Filling everything once, and putting the kept back, gives all choices the same draws.
    ablator = NeuronAblator(np.arange(Z_train.shape[1]), fill=fill, random_state=random_state)
    filled = ablator.fit(Z_train).transform(Z_test)
    scorer = check_scoring(probe, scoring=scoring)
    return _Fold(template, probe, scorer, Z_train, y_train, Z_test, y_test, filled)


def _matrix(X):
    return check_array(X, dtype=[np.float64, np.float32, np.float16], ensure_all_finite=False)


def _fit_ranker(ranker, fold):
    if ranker is None:
        if not hasattr(fold.probe, "coef_"):
            raise ValueError(
                "ablation_curve ranks by the weights of the probe, but the fitted "
                f"{type(fold.probe).__name__} has no attribute 'coef_'. Pass a ranker, for "
                "example ranker=ProbelessRanker(), or the probe that a search found: its "
                "best_estimator_."
            )
        ranker = LCARanker(FrozenEstimator(fold.probe))
    ranker = clone(ranker)
    if isinstance(ranker, BaseRanker):
        # Only its order is used; what it would select itself needs no warning in every fold.
        ranker.set_params(n_neurons=None, which="top")
    return ranker.fit(fold.Z_train, fold.y_train)


def _orders(order, n_draws, random_state) -> Iterator[tuple[str, int, np.ndarray]]:
    yield "top", 0, order
    # A random ranking depends on nothing but the number of columns.
    row = np.zeros((1, len(order)))
    for draw in range(n_draws):
        yield "random", draw, RandomRanker(random_state=random_state).fit(row).order_
    yield "bottom", 0, order[::-1]


def _score_all(fold):
    return fold.scorer(fold.probe, fold.Z_test, fold.y_test)


def _score_kept(fold, kept, retrained):
    if retrained:
        probe = clone(fold.template).fit(fold.Z_train[:, kept], fold.y_train)
        return fold.scorer(probe, fold.Z_test[:, kept], fold.y_test)
    mask = np.zeros(fold.Z_test.shape[1], dtype=bool)
    mask[kept] = True
    return fold.scorer(fold.probe, np.where(mask, fold.Z_test, fold.filled), fold.y_test)


def _warn_about_weightless(n_tied, n_neurons):
    if any(n_tied):
        warnings.warn(
            f"The bottom neurons of ablation_curve include some without any weight in "
            f"{np.count_nonzero(n_tied)} of {len(n_tied)} folds (up to {max(n_tied)} of "
            f"{n_neurons} neurons have none). These tie, and are ordered by the gradient of the "
            "loss, not by weight.",
            UserWarning,
            stacklevel=4,
        )
