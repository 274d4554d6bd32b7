# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.ablation._measurement import CONSTRAINTS, measure


@validate_params(
    {
        "rankings": [dict, list, tuple],
        "probes": [dict, list, tuple],
        "features": [HasMethods(["fit_transform", "transform"]), None],
        **CONSTRAINTS,
    },
    prefer_skip_nested_validation=False,
)
def ablation_table(
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    rankings: Mapping[str, BaseEstimator] | Iterable[BaseEstimator],
    probes: Mapping[str, BaseEstimator] | Iterable[BaseEstimator],
    features: BaseEstimator | None = None,
    fractions: int | float | Iterable[int | float] = (0.10, 0.15, 0.20),
    n_draws: int = 10,
    fill: str | float | Iterable[str | float] = "mean",
    retrain: bool | Iterable[bool] = (False, True),
    scoring: str | Callable | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    n_repeats: int = 1,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Score several probes on the best and worst neurons of several rankings.

    A ranking by the weights of a probe favors that probe. This function therefore scores every
    ranking with every probe, on the same folds and against the same random neurons. See
    `ablation_curve` for what is measured.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features) or DataFrame of words
        The activations, or the input that ``features`` turns into activations. A sparse matrix
        is never made dense.

    y : array-like of shape (n_samples,)
        The labels or targets.

    rankings : dict of str to ranker, or list of rankers
        The rankers, each cloned and fitted once per fold. Any scikit-learn selector with
        ``scores_`` or ``ranking_`` works too. Rankers in a list are named after their classes.

    probes : dict of str to estimator, or list of estimators
        The probes. A pipeline counts as one probe, whose neurons are the columns that it receives,
        so a scaler inside it acts after the ablation.

    features : transformer or None, default=None
        Turns X into a matrix of activations; cloned and fitted once per fold. None uses X itself.

    fractions : float, int or array-like of these, default=(0.10, 0.15, 0.20)
        How many neurons to keep: fractions of the neurons, as floats in (0, 1], or numbers of
        neurons, as ints. 1 keeps one neuron, and 1.0 keeps all.

    n_draws : int, default=10
        The number of random rankings per fold. Within a draw, the neurons of a smaller fraction are
        a subset of those of a larger one.

    fill : {"zero", "mean", "resample"}, float or list of these, default="mean"
        How the other neurons are filled when the same probe is scored; see `NeuronAblator`. The
        fill acts on the input of the probes, where zero may be an outlier.

    retrain : bool or array-like of bool, default=(False, True)
        Whether to fit a new probe on the kept neurons; ``(False, True)`` does both.

    scoring : str, callable or None, default=None
        A scorer; None uses the ``score`` method of the probe.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split the data. An int is the number of folds, and None means 5; words are never
        shuffled between folds. With ``groups``, the splitter is
        `sklearn.model_selection.GroupKFold`; without them, the folds are contiguous and a warning
        is issued. An iterable yields (train, test) index arrays; for a single fixed split, use
        ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        Samples of the same group stay in the same fold; for words, use ``words["text"]``. A ranker
        or probe with an inner split receives the groups too.

    sample_weight : array-like of shape (n_samples,) or None, default=None
        How much each row counts: in the fits of the probes and the rankers, which must accept
        weights, in the fill values, and in the score. ``features`` receives the weights if it
        accepts them; the steps of a pipeline receive them only if they request them, with
        ``set_fit_request(sample_weight=True)`` under
        ``sklearn.set_config(enable_metadata_routing=True)``.

    confidence : float, default=0.95
        The confidence level of the intervals, in (0, 1).

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_repeats : int, default=1
        How many times to measure each fold. If more than once, the probes and the rankers get new
        seeds each time, drawn from ``random_state``, which gives error bars over seeds.

    n_jobs : int or None, default=None
        How many measurements of a fold to run in parallel, in threads. The results do not depend on
        it.

    verbose : bool or int, default=False
        Whether to show a progress bar of the measurements.

    random_state : int, RandomState instance or None, default=None
        Controls the random neurons, the draws of ``fill="resample"`` and the seeds of the repeats.

    Returns
    -------
    table : DataFrame
        One row per measurement, with the columns of `ablation_curve` and the names ``probe`` and
        ``ranking``. Rows that belong to no ranker have ``"random"`` or ``"all"`` as their ranking.

    of_words : DataFrame
        Only with ``return_words``. The outcomes of the words, as in `ablation_curve`, with the
        names ``probe`` and ``ranking``.

    Raises
    ------
    ValueError
        If a label is missing, a fraction is not in (0, 1], there are fewer neurons than asked
        for, a weight is negative, weights are given but an estimator does not accept them, ``fill``
        would make a sparse matrix dense (as ``"mean"`` and numbers may), or there is no ranking or
        no probe.

    Warns
    -----
    UserWarning
        If the indexes of X and y share labels in different orders; or if ``cv`` makes folds
        without ``groups``.

    See Also
    --------
    ablation_curve : The same for one probe and one ranking.
    NeuronAblator : The ablation itself.

    References
    ----------
    .. [1] O. Antverg, Y. Belinkov, "On the Pitfalls of Analyzing Individual Neurons in Language
       Models", ICLR 2022.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_neurox.ablation import ablation_table
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.ranking import LCARanker, ProbelessRanker
    >>> planted = make_planted_neurons(effect=2.0, random_state=0)
    >>> table = ablation_table(
    ...     planted.X,
    ...     planted.y,
    ...     rankings=[LCARanker(LogisticRegression()), ProbelessRanker()],
    ...     probes=[LogisticRegression(), GaussianNB()],
    ...     fractions=[0.05],
    ...     groups=range(1000),
    ...     random_state=0,
    ... )
    >>> filled = table[~table["retrained"]]
    >>> filled.pivot_table("score", ["ranking", "which"], "probe").round(1)
    probe                   GaussianNB  LogisticRegression
    ranking         which
    LCARanker       bottom         0.3                 0.3
                    top            1.0                 1.0
    ProbelessRanker bottom         0.3                 0.3
                    top            1.0                 1.0
    all             all            1.0                 1.0
    random          random         0.4                 0.4
    """
    table, of_words = measure(
        X,
        y,
        features=features,
        probes=_named(probes, "probes", ["fit", "predict"]),
        rankings=_named(rankings, "rankings", ["fit"]),
        fractions=fractions,
        n_draws=n_draws,
        fill=fill,
        retrain=retrain,
        scoring=scoring,
        cv=cv,
        groups=groups,
        sample_weight=sample_weight,
        confidence=confidence,
        return_words=return_words,
        n_repeats=n_repeats,
        n_jobs=n_jobs,
        verbose=verbose,
        random_state=random_state,
        caller="ablation_table",
    )
    return (table, of_words) if return_words else table


def _named(estimators, parameter, methods):
    if not isinstance(estimators, dict):
        classes = [type(estimator).__name__ for estimator in estimators]
        names = [
            name if classes.count(name) == 1 else f"{name}-{classes[: place + 1].count(name)}"
            for place, name in enumerate(classes)
        ]
        estimators = dict(zip(names, estimators, strict=True))
    wrong = [
        name
        for name, estimator in estimators.items()
        if isinstance(estimator, type) or not all(hasattr(estimator, m) for m in methods)
    ]
    if wrong or not estimators:
        raise ValueError(
            f"The '{parameter}' parameter of ablation_table must contain at least one estimator, "
            f"each with {' and '.join(methods)}. Got {wrong[0] if wrong else 'none'}."
        )
    return estimators
