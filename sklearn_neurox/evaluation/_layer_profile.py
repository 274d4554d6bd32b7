# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._group_bootstrap import (
    compare_pairs,
    group_counts,
    percentile_interval,
)
from sklearn_neurox.evaluation._held_out_blocks import HeldOutBlocks
from sklearn_neurox.evaluation._recorded_predictions import as_scorer
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import check_no_missing_labels, check_row_order, is_word_frame
from sklearn_neurox.utils._warn_user import warn_user


@validate_params(
    {
        "estimator": [HasMethods(["fit", "predict"])],
        "groups": ["array-like"],
        "features": [HasMethods(["fit_transform", "transform"]), None],
        "input_features": ["array-like", None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
        "cv": ["cv_object"],
        "scoring": [str, callable, None],
        "n_bootstrap": [Interval(Integral, 2, None, closed="left")],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
        "return_pairs": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def layer_profile(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    groups: ArrayLike,
    features: BaseEstimator | None = None,
    input_features: ArrayLike | None = None,
    n_layers: int | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    scoring: str | Callable | None = None,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    return_pairs: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    r"""Score a probe on every layer, with intervals and paired tests between layers.

    A clone of the probe is fitted on each layer in the training part of each fold, and predicts
    the test part. The predictions of all folds are scored together. Intervals and tests come from
    a bootstrap of whole groups: words of a sentence are right or wrong together, and resampling
    them one by one would make the intervals too narrow. All layers are scored on the same
    resamples, so that differences between them are paired.

    Parameters
    ----------
    estimator : estimator instance
        The probe. A pipeline is one probe.

    X : array-like of shape (n_samples, n_features), or DataFrame of words
        The activations of all layers, or what ``features`` makes them of.

    y : array-like of shape (n_samples,)
        The labels or targets.

    groups : array-like of shape (n_samples,)
        What is resampled whole and must stay in one fold; for words, ``words["text"]``. To
        resample single rows, give each its own: ``np.arange(len(y))``.

    features : transformer or None, default=None
        What makes the matrix of activations of X, cloned and fitted once a fold. None takes X.

    input_features : array-like of str or None, default=None
        The names of the columns, such as ``"hidden.3.127"``. None takes those of X, or those
        that ``features`` gives. Columns of one layer but of other components are kept apart.

    n_layers : int or None, default=None
        Instead of names: into how many equal blocks the columns divide, the first being layer 0.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split. None or an int makes 5 or so many folds of whole groups. A single fixed
        split is ``cv=[(train, test)]``.

    scoring : str, callable or None, default=None
        A scorer that reads nothing but predictions of the estimator. None is accuracy for
        classifiers and :math:`R^2` for regressors.

    n_bootstrap : int, default=1000
        How many resamples of the groups.

    confidence : float, default=0.95
        Of every single interval, in (0, 1).

    return_pairs : bool, default=False
        Whether to give the comparison of every two layers as well.

    n_jobs : int or None, default=None
        How many layers to work on at a time: fits in threads, resamples in processes. The results
        do not depend on it.

    verbose : bool or int, default=False
        Whether to show a bar of the layers: one step a layer and fold, and one for its resamples.

    random_state : int, RandomState instance or None, default=None
        Fixes the resamples. The seed of the probe is its own.

    Returns
    -------
    profile : DataFrame of shape (n_layers, 14)
        One row a layer, in the order of the columns of X:

        - ``name`` (``"hidden.3"``), ``component``, ``layer`` and ``n_neurons``;
        - ``score``, and its interval from ``low`` to ``high``;
        - ``difference`` from the best layer, at most 0, and its interval from
          ``difference_low`` to ``difference_high``;
        - ``p_value`` of that difference, corrected for the number of all pairs of layers, as the
          best layer was picked by looking; missing for the best layer itself;
        - ``n_words`` and ``n_groups``, how many were predicted.

    pairs : DataFrame of shape (n_pairs, 8)
        Only with ``return_pairs``. Every two layers by name in ``first`` and ``second``, the
        ``difference`` of their scores, its interval from ``low`` to ``high``, its ``std_error``,
        ``p_value``, and ``p_holm``, corrected.

    Raises
    ------
    ValueError
        If a label is missing, X are words but there are no ``features``, the estimator reads words
        itself, the columns do not tell their layer, the test parts have fewer than two groups, or
        probabilities are to be scored and a class is absent from a training part.

    Warns
    -----
    UserWarning
        If a group stands on both sides of a fold, a label in a test part is absent from its
        training part, some resamples have no score, or the indexes of X and y share labels, but
        in another order.

    See Also
    --------
    baseline_table : What a score is to be compared with.
    sklearn_neurox.selection.LayerSelector : Choose layers inside a pipeline.

    Notes
    -----
    An interval says how far the score would move with other test sentences, for the probes as
    they were fitted; not how far with other training sentences. It is the expanded percentile
    interval [1]_: its percentiles are those of the normal distribution at
    :math:`\pm t_{G-1} \sqrt{G / (G - 1)}` for G groups, as plain percentiles are too narrow for
    few of them.

    The p-value of a pair is that of its difference over the standard error of the bootstrap, in
    the t distribution with G - 1 degrees of freedom, two-sided; corrected by Holm's method [2]_.
    That paired resampling of whole units suits the comparison of two systems on one test set is
    argued in [3]_.

    A score that averages over classes, such as ``"f1_macro"``, averages in each resample over the
    classes that occur there. A class of a few words then makes wide and lopsided intervals.

    Mean scores (accuracy, log loss, squared and absolute error) take one pass over the groups,
    scores of predicted labels some milliseconds a resample and layer whatever the number of
    words; others, such as areas under curves, are computed anew on the words of every resample.

    References
    ----------
    .. [1] T. C. Hesterberg, "What Teachers Should Know About the Bootstrap: Resampling in the
       Undergraduate Statistics Curriculum", The American Statistician 69, 2015.

    .. [2] S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
       Journal of Statistics 6, 1979.

    .. [3] T. Berg-Kirkpatrick, D. Burkett, D. Klein, "An Empirical Investigation of Statistical
       Significance in NLP", EMNLP 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import layer_profile
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=400)
    >>> X = rng.normal(size=(400, 6))
    >>> X[:, 2:4] += 2 * y[:, np.newaxis]
    >>> profile = layer_profile(
    ...     LogisticRegression(), X, y, n_layers=3, groups=np.arange(400) // 10, random_state=0
    ... )
    >>> profile[["layer", "score", "low", "high", "p_value"]].round(2)
       layer  score   low  high  p_value
    0      0   0.56  0.51  0.62      0.0
    1      1   0.93  0.91  0.95      NaN
    2      2   0.52  0.47  0.58      0.0
    """
    check_no_missing_labels(y)
    check_row_order(X, y)
    _check_features(estimator, X, features)
    y = column_or_1d(np.asarray(y))
    check_consistent_length(X, y, groups)
    if is_classifier(estimator):
        check_classification_targets(y)
    random_state = check_random_state(random_state)
    scorer = as_scorer(estimator, scoring)
    folds = make_folds(cv, X, y, groups, classes=is_classifier(estimator), caller="layer_profile")
    held_out = HeldOutBlocks(
        estimator,
        features=features,
        input_features=input_features,
        n_layers=n_layers,
        scorer=scorer,
        n_jobs=n_jobs,
        caller="layer_profile",
    )
    # How many layers there are, the features of the first fold tell.
    with progress_bar(None, verbose, desc="probing", unit="layer") as bar:
        predictions = held_out.predict(X, y, groups, folds, bar)
        n_groups = held_out.n_groups
        _check_groups(n_groups)
        scores = np.array([of_layer.score() for of_layer in predictions])
        counts = group_counts(n_groups, n_bootstrap, random_state)
        replicates = _resample(predictions, counts, n_jobs, bar)
    profile, pairs = _tables(held_out.blocks, scores, replicates, n_groups, confidence)
    profile = profile.assign(n_words=len(predictions[0].y), n_groups=n_groups)
    return (profile, pairs) if return_pairs else profile


def _check_features(estimator, X, features):
    # Imported late, for probes on a matrix need it not.
    from sklearn_neurox.extraction import ActivationExtractor

    parts = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    extracts = any(isinstance(part, ActivationExtractor) for part in parts)
    if extracts or (features is None and is_word_frame(X)):
        what = "the estimator has an ActivationExtractor" if extracts else "X is a frame of words"
        raise ValueError(
            "layer_profile extracts once a fold, by 'features', and fits the estimator on the "
            f"activations of each layer; but {what}. Take a pipeline on words apart: "
            "layer_profile(pipe[-1], words, y, features=pipe[:-1], groups=groups)."
        )


def _check_groups(n_groups):
    if n_groups < 2:
        raise ValueError(
            "layer_profile resamples the groups of the test parts, but there is only one. Pass "
            'what holds dependent rows together, such as groups=words["text"], and test more of '
            "them."
        )


def _resample(predictions, counts, n_jobs, bar):
    """Score every layer on every resample, of shape (n_resamples, n_layers)."""
    scores = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(of_layer.resampled_scores)(counts) for of_layer in predictions
    )
    return np.stack(counted(bar, scores), axis=1)


def _tables(blocks, scores, replicates, n_groups, confidence):
    """Put scores and their resamples into a table of layers and one of pairs of them."""
    names = blocks["name"]
    replicates = _with_scores(scores, replicates, names)
    low, high = percentile_interval(replicates, n_groups, confidence)
    pairs = compare_pairs(names.tolist(), scores, replicates, n_groups, confidence)
    profile = blocks.assign(score=scores, low=low, high=high)
    return profile.join(_from_best(pairs, names, scores)), pairs


def _with_scores(scores, replicates, names):
    """Keep the resamples on which every layer has a score, so that all stay paired."""
    defined = np.isfinite(replicates)
    wrong = ~np.isfinite(scores) | (defined.sum(axis=0) < 2)
    kept = defined.all(axis=1)
    if wrong.any() or kept.sum() < 2:
        raise ValueError(
            f"The score of layer {names[np.argmax(wrong)]!r} in layer_profile, or that of nearly "
            "all its resamples, is not a number. Use another scoring, or leave out the rarest "
            "classes."
        )
    if not kept.all():
        warn_user(
            f"{(~kept).sum()} of {len(kept)} resamples of layer_profile have no score, and "
            "intervals and tests are made without them. Use another scoring, or leave out the "
            "rarest classes.",
        )
    return replicates[kept]


def _from_best(pairs, names, scores):
    """Turn the pairs that the best layer is one of into the difference of the other from it."""
    best = names[np.argmax(scores)]
    behind = pairs[pairs["second"] == best].set_index("first")
    ahead = pairs[pairs["first"] == best].set_index("second")
    ahead = ahead.assign(difference=-ahead["difference"], low=-ahead["high"], high=-ahead["low"])
    found = pd.concat([behind, ahead]).reindex(names)[["difference", "low", "high", "p_holm"]]
    found.loc[best, ["difference", "low", "high"]] = 0.0
    found.columns = ["difference", "difference_low", "difference_high", "p_value"]
    return found.reset_index(drop=True)
