# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.evaluation._compare import fold_inflation
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.evaluation._layers._held_out_blocks import HeldOutBlocks
from sklearn_neurox.evaluation._layers._layers_in_turn import (
    LayersInTurn,
    read_at_once,
    reads_layers,
    split_pipeline,
)
from sklearn_neurox.evaluation._layers._paired_tests import compare_pairs
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels
from sklearn_neurox.utils._scores._outcomes import metric_scale
from sklearn_neurox.utils._scores._recorded_predictions import as_scorer
from sklearn_neurox.utils._scores._scored_rows import interval_of, outcome_frame
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import is_word_frame
from sklearn_neurox.utils._warn_user import warn_user


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "estimator": [HasMethods(["fit", "predict"])],
        "X": "no_validation",  # may be a table of any library
        "groups": ["array-like"],
        "features": [HasMethods(["fit_transform", "transform"]), None],
        "input_features": ["array-like", None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
        "return_pairs": ["boolean"],
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
    confidence: float = 0.95,
    return_pairs: bool = False,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
) -> pd.DataFrame | tuple[pd.DataFrame, ...]:
    r"""Score a probe on each layer, with confidence intervals and paired tests between layers.

    For each layer and fold, a clone of the probe is fitted on the training rows and predicts the
    test rows. The predictions of all folds are scored together. Intervals and tests come from the
    differences between groups: errors on words of the same sentence are correlated, so intervals
    from single words would be too narrow. All layers are scored on the same words, so that
    differences between layers are paired.

    Parameters
    ----------
    estimator : estimator instance
        The probe, cloned for each fit. It may be a pipeline; one that begins with an
        `ActivationExtractor` reads words: every step after its `SubwordAggregator` is fitted on
        each layer alone.

    X : array-like or sparse matrix of shape (n_samples, n_features), or DataFrame of words
        Activations of all layers, or the input of ``features`` or of a pipeline that begins with
        an extractor.

    y : array-like of shape (n_samples,)
        Labels or targets.

    groups : array-like of shape (n_samples,)
        Group labels. Groups stay in one fold, and intervals treat them as independent; for words,
        use ``words["text"]``. If single rows are independent, pass ``np.arange(len(y))``.

    features : transformer or None, default=None
        Transformer from X to the matrix of activations, cloned and fitted once per fold, or only
        once if it is a pipeline of an `ActivationExtractor` and a `SubwordAggregator`. None uses X
        itself.

    input_features : array-like of str or None, default=None
        Names of the columns, such as ``"hidden.3.127"``. None uses those of X, or those that
        ``features`` returns. Different components of the same layer are scored separately.

    n_layers : int or None, default=None
        Alternative to names: the number of equal blocks of columns; the first block is layer 0.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds, which keep groups whole.
        For a single fixed split, pass ``cv=[(train, test)]``.

    scoring : str, callable or None, default=None
        Scorer that uses only the predictions of the estimator. None uses accuracy for classifiers
        and :math:`R^2` for regressors.

    confidence : float, default=0.95
        Confidence level of each interval, in (0, 1).

    return_pairs : bool, default=False
        Whether to also return the comparison of each pair of layers.

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    n_jobs : int or None, default=None
        Number of layers to process in parallel: fits in threads, intervals in processes; within a
        `joblib.parallel_config` that names a cluster, both run on its workers. Does not change the
        results.

    verbose : bool or int, default=False
        Whether to show a progress bar, with one step per layer and fold, and one per layer for the
        interval.

    Returns
    -------
    profile : DataFrame of shape (n_layers, 14)
        One row per layer, in the order of the columns of X:

        - ``name`` (``"hidden.3"``), ``component``, ``layer`` and ``n_neurons``;
        - ``score``, and its confidence interval from ``low`` to ``high``;
        - ``difference``, the score minus that of the best layer (at most 0), and its confidence
          interval from ``difference_low`` to ``difference_high``, which is not corrected;
        - ``p_value`` of that difference, corrected for the number of pairs of layers, because
          the best layer was chosen after seeing the scores; missing for the best layer itself;
        - ``n_words`` and ``n_groups``, the numbers of words and of groups that were predicted.

        ``profile.attrs["confidence"]`` is the confidence level, which legends of plots show.

    pairs : DataFrame of shape (n_pairs, 8)
        Only with ``return_pairs``. One row per pair of layers: their names in ``first`` and
        ``second``, the ``difference`` of their scores (first minus second), its confidence interval
        from ``low`` to ``high``, its ``std_error``, its ``p_value``, and the corrected ``p_holm``.

    of_words : DataFrame
        Only with ``return_words``. One row per layer and predicted word, with the columns ``name``
        (of the layer), ``fold``, ``n_train`` (the number of training words of the fold), ``row``
        (the number of the word in X), ``group`` and ``outcome``, whose mean is the score: whether
        the prediction is right, for the accuracy. `compare` takes the rows of two layers.

    Raises
    ------
    ValueError
        If a label is missing, X is a frame of words but nothing extracts their activations, the
        estimator contains an `ActivationExtractor` that is not its first step, the layers of the
        columns are unknown, the test rows have fewer than two groups, or the scorer uses
        probabilities and a class is absent from the training rows of a fold.

    Warns
    -----
    UserWarning
        If a group is on both sides of a split, a label of a test fold is absent from its training
        rows, an interval cannot be computed, or the indexes of X and y share labels in different
        orders.

    See Also
    --------
    baseline_table : Score the baselines that a probe has to beat.
    sklearn_neurox.selection.LayerSelector : Select layers inside a pipeline.

    Notes
    -----
    An interval shows how the score would vary with other test sentences for the fitted probes; it
    does not include the variation from other training sentences. See `interval_table` for its
    formula. For metrics that are not means over words, such as F1 or the Matthews correlation, it
    uses the delta method [1]_: the outcome of a word is the score plus the number of words times
    the derivative of the score with respect to the weight of the word. For metrics that depend on
    more than the predicted labels, such as areas under curves, it leaves out one group at a time
    instead.

    The p-value of a pair is that of `compare`, corrected with Holm's method [2]_. With several
    folds, the variance is multiplied by one plus the ratio of test to training words. Pairing the
    two systems on one test set is recommended in [3]_.

    The best layer is best on these words. Its score is therefore a little too high for others, and
    so are its leads: with twelve equally good layers, 14 % of the intervals of the differences from
    the best one excluded 0 in a simulation, and 67 % of the profiles had such an interval, but only
    2 % had a ``p_value`` below .05. To report the score of the best layer, score it on other words.

    With an extractor that has a cache, one layer at a time (``n_jobs`` of them in parallel) is read
    from the cache, probed and discarded, so the memory needed is that of one layer: a model of 33
    layers takes a thirty-third of its whole matrix. The cache is filled first, in one pass. Without
    a cache, one pass reads all layers into one matrix. The results are the same.

    References
    ----------
    .. [1] B. Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", SIAM 1982, chapter
       6.

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
    ...     LogisticRegression(), X, y, n_layers=3, groups=np.arange(400) // 10
    ... )
    >>> profile[["layer", "score", "low", "high", "p_value"]].round(2)
       layer  score   low  high  p_value
    0      0   0.56  0.51  0.62      0.0
    1      1   0.93  0.91  0.95      NaN
    2      2   0.52  0.46  0.57      0.0
    """
    X, y, groups = matching_rows("layer_profile", X=X, y=y, groups=groups)
    estimator, features = split_pipeline(estimator, features)
    classes = is_classifier(estimator)
    labels = _check_labels(y, classes)
    _check_features(estimator, X, features)
    scorer = as_scorer(estimator, scoring)
    folds = make_folds(cv, X, labels, groups, classes=classes, caller="layer_profile")
    kind = HeldOutBlocks
    if reads_layers(features) and input_features is None and n_layers is None:
        if features[0].cache is not None:
            kind = LayersInTurn
        else:
            (X, input_features), features = read_at_once(features, X, labels), None
    columns = {"features": features, "input_features": input_features, "n_layers": n_layers}
    held_out = kind(estimator, **columns, scorer=scorer, n_jobs=n_jobs, caller="layer_profile")
    # The number of layers is only known after extracting the first fold.
    with progress_bar(None, verbose, desc="probing", unit="layer") as bar:
        predictions = held_out.predict(X, labels, groups, folds, bar)
        codes = held_out.groups
        _check_groups(codes)
        scores = np.array([of_layer.score() for of_layer in predictions])
        outcomes = _outcomes(predictions, scores, held_out.blocks["name"], n_jobs, bar)
    names = held_out.blocks["name"]
    pairs = _pairs(names, outcomes, codes, folds, confidence)
    low, high = _bounds(outcomes, codes, metric_scale(scorer), confidence)
    profile = held_out.blocks.assign(score=scores, low=low, high=high)
    profile = profile.join(_from_best(pairs, names, scores))
    profile = profile.assign(n_words=len(codes), n_groups=len(np.unique(codes)))
    profile.attrs["confidence"] = float(confidence)
    results = [profile, pairs] if return_pairs else [profile]
    if return_words:
        results.append(_of_words(names, outcomes, folds, groups))
    return tuple(results) if len(results) > 1 else profile


def _check_labels(y, classes):
    check_no_missing_labels(y)
    labels = column_or_1d(np.asarray(y))
    if classes:
        check_class_labels(labels)
    return labels


def _check_features(estimator, X, features):
    # Imported here, because probes on a matrix do not need it.
    from sklearn_neurox.extraction import ActivationExtractor

    parts = estimator.get_params(deep=True).values() if hasattr(estimator, "get_params") else ()
    extracts = any(isinstance(part, ActivationExtractor) for part in parts)
    if extracts or (features is None and is_word_frame(X)):
        what = "the estimator has an ActivationExtractor" if extracts else "X is a frame of words"
        raise ValueError(
            "layer_profile extracts once per fold with 'features', and fits the estimator on the "
            f"activations of each layer, but {what}. Pass a pipeline that reads words: "
            "layer_profile(make_pipeline(extractor, aggregator, probe), words, y, groups=groups). "
            "If you have a pipeline of the first two, unpack it: make_pipeline(*features, probe)."
        )


def _check_groups(codes):
    if len(np.unique(codes)) < 2:
        raise ValueError(
            "layer_profile compares the groups in the test rows, but there is only one. Pass "
            'smaller groups, such as groups=words["text"], or more test rows.'
        )


def _outcomes(predictions, scores, names, n_jobs, bar):
    """Return the outcomes of all words in each layer, of shape (n_words, n_layers)."""
    if not np.isfinite(scores).all():
        raise ValueError(
            f"The score of layer {names[np.argmin(np.isfinite(scores))]!r} in layer_profile is "
            "NaN. Use another scoring, or drop the rarest classes."
        )
    found = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(of_layer.outcomes)(score)
        for of_layer, score in zip(predictions, scores, strict=True)
    )
    outcomes = np.stack(counted(bar, found), axis=1)
    if not np.isfinite(outcomes).all():
        warn_user(
            "The scores of layer_profile have no intervals and tests, because the scorer cannot "
            "score the words without one of the groups. Use another scoring, or drop the classes "
            "that occur in a single group."
        )
    return outcomes


def _bounds(outcomes, codes, scale, confidence):
    """Return the bounds of the interval of each layer."""
    bounds = [interval_of(own, codes, scale=scale, confidence=confidence) for own in outcomes.T]
    return np.transpose(bounds)


def _pairs(names, outcomes, codes, folds, confidence):
    sizes = [len(test) for _, test in folds]
    number = np.repeat(np.arange(len(folds)), sizes)
    n_train = np.repeat([len(train) for train, _ in folds], sizes)
    inflation = fold_inflation(number, n_train)
    return compare_pairs(
        names.tolist(), outcomes, codes, inflation=inflation, confidence=confidence
    )


def _of_words(names, outcomes, folds, groups):
    ends = np.cumsum([len(test) for _, test in folds])
    parts = [
        ({"name": name, "fold": number}, len(train), test, {"outcome": own})
        for name, of_layer in zip(names, outcomes.T, strict=True)
        for number, ((train, test), own) in enumerate(
            zip(folds, np.split(of_layer, ends[:-1]), strict=True)
        )
    ]
    return outcome_frame(parts, groups)


def _from_best(pairs, names, scores):
    """Return the difference of each layer from the best one, from the pairs with the best."""
    best = names[np.argmax(scores)]
    behind = pairs[pairs["second"] == best].set_index("first")
    ahead = pairs[pairs["first"] == best].set_index("second")
    ahead = ahead.assign(
        difference=0.0 - ahead["difference"], low=-ahead["high"], high=-ahead["low"]
    )
    found = pd.concat([behind, ahead]).reindex(names)[["difference", "low", "high", "p_holm"]]
    found.loc[best, ["difference", "low", "high"]] = 0.0
    found.columns = ["difference", "difference_low", "difference_high", "p_value"]
    return found.reset_index(drop=True)
