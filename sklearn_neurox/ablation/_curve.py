# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.ablation._measurement import CONSTRAINTS, measure


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "ranker": [HasMethods(["fit"]), None],
        **CONSTRAINTS,
    },
    prefer_skip_nested_validation=False,
)
def ablation_curve(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    ranker: BaseEstimator | None = None,
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
    """Score a probe on only its best, random, or worst neurons.

    In each fold, the probe is fitted on all neurons of the training set, and the neurons are ranked
    there. Then only a fraction of them is kept: the top ones, random ones, or the bottom ones. The
    other neurons are either filled in the test set, where the same probe is scored, or dropped, and
    a clone of the probe is fitted on the kept neurons.

    Parameters
    ----------
    estimator : estimator instance
        The probe, or a `sklearn.pipeline.Pipeline` that ends in it. All steps of a pipeline except
        the last are cloned and fitted once per fold, and the ablation happens right before the last
        step.

    X : array-like or sparse matrix of shape (n_samples, n_features) or DataFrame of words
        The input of ``estimator``. A sparse matrix is never made dense.

    y : array-like of shape (n_samples,)
        The labels or targets.

    ranker : ranker instance or None, default=None
        A ranker, cloned and fitted in each fold. Any scikit-learn selector with ``scores_`` or
        ``ranking_`` works too. None ranks by the weights of the fitted probe:
        ``LCARanker(FrozenEstimator(probe))``.

    fractions : float, int or array-like of these, default=(0.10, 0.15, 0.20)
        How many neurons to keep: fractions of the neurons, as floats in (0, 1], or numbers of
        neurons, as ints. 1 keeps one neuron, and 1.0 keeps all.

    n_draws : int, default=10
        The number of random rankings per fold. Within a draw, the neurons of a smaller fraction are
        a subset of those of a larger one.

    fill : {"zero", "mean", "resample"}, float or list of these, default="mean"
        How the other neurons are filled when the same probe is scored; see `NeuronAblator`. The
        fill acts right before the last step, so after the scaler of a pipeline, zero *is* the mean;
        if the last step itself scales, zero may be an outlier.

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
        How much each row counts: in the fits of the probe and the ranker, which must accept
        weights, in the fill values, and in the score. The steps of a pipeline receive weights only
        if they request them, with ``set_fit_request(sample_weight=True)`` under
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
    curve : DataFrame
        One row per measurement, with the columns ``repeat``, ``fold``, ``which`` (``"all"``,
        ``"top"``, ``"random"`` or ``"bottom"``), ``fraction`` (as asked for; for a number of
        neurons, its share of all), ``n_neurons`` (the number of kept neurons), ``retrained``,
        ``fill`` (``"drop"`` if retrained), ``draw`` (0 except for random neurons), ``score``, and
        its confidence interval from ``low`` to ``high``: how the score of this measurement would
        vary with other test groups. Each fold has one row for all neurons, with ``fill="none"``.
        Without groups, or with a scorer that scikit-learn did not make, the bounds are missing.

    of_words : DataFrame
        Only with ``return_words``. One row per measurement and test word, with the columns that
        identify the measurement, ``n_train`` (the number of training words of the fold), ``row``
        (the number of the word in X), ``group``, ``weight`` (only with ``sample_weight``) and
        ``outcome``, whose (weighted) mean is the score. For accuracy, the outcome is whether the
        prediction is right.
        `sklearn_neurox.evaluation.interval_table` gives intervals over all folds and draws, and
        `sklearn_neurox.evaluation.compare` takes the rows of two measurements.

    Raises
    ------
    ValueError
        If a label is missing, a fraction is not in (0, 1], there are fewer neurons than asked
        for, a weight is negative, weights are given but an estimator does not accept them, ``fill``
        would make a sparse matrix dense (as ``"mean"`` and numbers may), or ``ranker`` is None and
        the probe has no ``coef_``.

    Warns
    -----
    UserWarning
        If the indexes of X and y share labels in different orders; or if ``cv`` makes folds
        without ``groups``.

    See Also
    --------
    ablation_table : The same for several rankers and probes.
    NeuronAblator : The ablation itself.
    sklearn_neurox.ranking.LCARanker : The default ranker.

    Notes
    -----
    A sparse probe gives many neurons no weight at all (`sklearn_neurox.ranking.LCARanker` counts
    them in ``n_tied_``). The bottom neurons are then among these, in the order in which they would
    enter the probe.

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
    features = None
    if isinstance(estimator, Pipeline):
        features, estimator = estimator[:-1] if len(estimator) > 1 else None, estimator[-1]
    curve, of_words = measure(
        X,
        y,
        features=features,
        probes={"probe": estimator},
        rankings={"ranking": ranker},
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
        caller="ablation_curve",
    )
    unnamed = ["probe", "ranking"]
    curve = curve.drop(columns=unnamed)
    return (curve, of_words.drop(columns=unnamed)) if return_words else curve
