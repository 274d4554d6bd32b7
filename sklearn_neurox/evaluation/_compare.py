# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.utils._labels import check_groups, check_no_missing_groups
from sklearn_neurox.utils._scores._group_intervals import group_mean
from sklearn_neurox.utils._validation import check_row_order, check_weight

# What identifies an outcome of one measurement, in the frames of evaluators.
_KEYS = ("repeat", "fold", "block", "row")


@validate_params(
    {
        "outcomes_a": ["array-like"],
        "outcomes_b": ["array-like"],
        "groups": ["array-like", None],
        "outcome": [str],
        "method": [StrOptions({"groups", "splits"})],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def compare(
    outcomes_a: ArrayLike | pd.DataFrame,
    outcomes_b: ArrayLike | pd.DataFrame,
    groups: ArrayLike | None = None,
    *,
    outcome: str = "outcome",
    method: str = "groups",
    confidence: float = 0.95,
) -> pd.Series:
    r"""Compare two probes, layers or models on the same words, with an interval and a p-value.

    The words of a text are not independent of each other, so the test treats whole groups, such as
    texts, as independent, and pairs the two outcomes of each word.

    Parameters
    ----------
    outcomes_a, outcomes_b : array-like of shape (n_words,) or DataFrame
        One number or bool per word for each of the two, such as whether the prediction is correct,
        its loss or a rank; or the rows of one measurement from a frame that an evaluator returns
        with ``return_words=True``: its columns ``row``, ``group`` and ``outcome`` are read, and
        ``fold``, ``repeat``, ``block``, ``n_train`` and ``weight`` if present. The two frames are
        paired by row, fold, repeat and block, whatever their order. The column ``correct`` of
        `sklearn_neurox.inspection.predictions_frame` has such outcomes, too.

    groups : array-like of shape (n_words,) or None, default=None
        The group of each word, such as its text, in the order of ``outcomes_a``. None uses those
        of the frames.

    outcome : str, default="outcome"
        Column of the frames to compare, such as ``"loss_change"`` of those of `causal_effect`.

    method : {"groups", "splits"}, default="groups"
        What varies: ``"groups"`` compares the groups of words; ``"splits"`` compares the mean
        differences of several random splits, and corrects for what their training words share. It
        needs frames of at least two splits; fifteen or more are better.

    confidence : float, default=0.95
        The confidence level of the interval.

    Returns
    -------
    comparison : Series
        ``mean_a`` and ``mean_b``, their ``difference`` (a minus b) with the bounds ``low`` and
        ``high`` of its confidence interval, the two-sided ``p_value``, ``n_words`` and
        ``n_groups``. With ``method="splits"``, the means are those over splits.

    Raises
    ------
    ValueError
        If lengths differ, an outcome or group is missing or not finite, there are fewer than two
        groups, the frames have several measurements of a word, different words or different
        weights, the groups of two frames (or of a frame and ``groups``) cut across each other, or
        ``method="splits"`` gets fewer than two splits.

    Warns
    -----
    UserWarning
        If the indexes of two arrays, or of one and the groups, share labels in different orders.

    See Also
    --------
    interval_table : Intervals of the two means themselves.
    layer_profile : Scores of all layers, with paired differences from the best one.

    Notes
    -----
    With :math:`d_g` the sum of the differences in group g and :math:`n_g` its number of words, the
    difference is :math:`\bar d = \sum_g d_g / \sum_g n_g`, the ratio of two sums over G groups. Its
    linearized standard error ([1]_, chapter 6) is

    .. math:: s = \sqrt{\frac{G}{G - 1} \sum_g (d_g - \bar d n_g)^2} \Big/ \sum_g n_g

    and :math:`\bar d / s` is compared with the t distribution. Its degrees of freedom are
    Satterthwaite's [2]_, estimated from the fourth powers of the groups' residuals, and at most
    :math:`G - 1`. If the mean difference is the same in all groups, s is 0, which says nothing
    about other texts. The bounds are then NaN, and the p-value is that of a sign test over groups,
    :math:`2^{1 - G}`, or 1 if there is no difference.

    If few groups differ, the p-value cannot be small: with groups of one size, it is below .05 only
    if four or five differ, all in the same direction; the exact sign test needs six. In simulations
    of two equally good models that agree on 99 % of the words, it is below .05 in 0 to 5 % of the
    samples, for 10 to 300 groups. If whole texts of very different lengths differ, it finds fewer
    differences than a permutation test that swaps the two models in random groups (16 and 40 % with
    300 groups). The permutation test, however, is below .05 in 12 to 14 % of the samples if one
    model is better in many groups by a word and worse in a few by many; there, this p-value is
    below .05 in 5 %.

    The test asks whether the difference would hold for other texts. Outcomes from several folds
    also vary with the training words, which the folds share. If frames have several folds,
    :math:`s^2` is therefore multiplied by :math:`1 + n_{test} / n_{train}`, with the mean numbers
    of words in the test and training parts. This factor has no derivation, but simulations support
    it: with 10 and 30 texts, the p-value for two equally good layers is below .05 in 3 to 5 % of
    the samples with it, and in 5 to 8 % without it. Arrays do not say whether they come from folds,
    so they are tested without it.

    ``method="splits"`` is the corrected resampled t test [3]_ of the mean differences of J splits,
    with the variance :math:`(1 / J + n_{test} / n_{train})` times that between splits, and
    :math:`J - 1` degrees of freedom. It is meant for random splits, such as those of
    `sklearn.model_selection.GroupShuffleSplit`; five folds leave it with little power.

    References
    ----------
    .. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, Wiley 1977.

    .. [2] F. E. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
       Biometrics Bulletin 2, 1946.

    .. [3] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52,
       2003.

    Examples
    --------
    >>> from sklearn_neurox.evaluation import compare
    >>> texts = ["one", "one", "two", "two", "three", "four"]
    >>> right_at_layer_3 = [True, True, True, False, True, True]
    >>> right_at_layer_0 = [True, False, True, False, False, True]
    >>> comparison = compare(right_at_layer_3, right_at_layer_0, texts)
    >>> comparison[["mean_a", "mean_b", "difference", "p_value"]].round(2)
    mean_a        0.83
    mean_b        0.50
    difference    0.33
    p_value       0.20
    dtype: float64
    """
    folds = n_train = weight = None
    if isinstance(outcomes_a, pd.DataFrame) and isinstance(outcomes_b, pd.DataFrame):
        check_row_order(outcomes_a=outcomes_a, groups=groups)
        paired = _paired(outcomes_a, outcomes_b, groups, outcome)
        outcomes_a, outcomes_b, groups, weight, folds, n_train = paired
    if groups is None:
        raise ValueError(
            "compare needs the group of each word, such as groups=words['text'], or two frames "
            "with the column 'group', as the evaluators return with return_words=True and groups."
        )
    check_row_order(outcomes_a=outcomes_a, outcomes_b=outcomes_b, groups=groups)
    a, b = _numbers(outcomes_a, "outcomes_a"), _numbers(outcomes_b, "outcomes_b")
    check_consistent_length(a, b, groups)
    check_groups(groups, "compare")
    check_no_missing_groups(groups, "compare")
    codes = pd.factorize(np.asarray(groups, dtype=object))[0]
    weight = np.ones(len(a)) if weight is None else weight
    n_groups = len(np.unique(codes[weight > 0]))
    if n_groups < 2:
        raise ValueError(
            f"compare needs at least two groups, got {n_groups}. Pass the text of each word, as in "
            "groups=words['text']."
        )
    if method == "splits":
        found, means = _across_splits(a, b, weight, folds, n_train, confidence)
    else:
        inflation = 1.0 if folds is None else fold_inflation(folds, n_train)
        size = max(np.abs(a).max(), np.abs(b).max())
        found = paired_test(a - b, codes, inflation, confidence, size=size, weight=weight)
        means = np.average(a, weights=weight), np.average(b, weights=weight)
    return pd.Series(
        {
            "mean_a": means[0],
            "mean_b": means[1],
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
            "n_words": np.count_nonzero(weight),
            "n_groups": n_groups,
        }
    )


class PairedTest(NamedTuple):
    """The mean difference of two outcomes, with an interval and a p-value."""

    difference: float
    low: float
    high: float
    std_error: float
    p_value: float


def paired_test(differences, codes, inflation, confidence, *, size=1.0, weight=None):
    """Test whether a mean difference is zero, by groups; see the notes of `compare`.

    ``inflation`` multiplies the variance; ``size`` is that of the numbers that were subtracted.
    """
    totals = differences if weight is None else differences * weight
    found = group_mean(totals, codes, weight)
    if np.isnan(found.mean):
        return PairedTest(*[np.nan] * 5)
    error = np.sqrt(inflation) * found.error
    # Below this width, only rounding makes the groups differ.
    if not error > 1e-13 * size:
        p_value = 1.0 if abs(found.mean) <= 1e-15 * size else 2.0 ** (1 - found.n_groups)
        return PairedTest(found.mean, np.nan, np.nan, 0.0, p_value)
    return _t_test(found.mean, error, found.df, confidence)


def _t_test(difference, error, df, confidence):
    distance = t.ppf((1 + confidence) / 2, df) * error
    p_value = float(2 * t.sf(abs(difference) / error, df))
    return PairedTest(difference, difference - distance, difference + distance, error, p_value)


def fold_inflation(folds, n_train):
    """Return the factor of the variance that the choice of training words adds over folds."""
    codes = pd.factorize(folds)[0]
    sizes = np.bincount(codes)
    if len(sizes) == 1:
        return 1.0
    trained = np.bincount(codes, n_train) / sizes
    return 1.0 + sizes.mean() / trained.mean()


def _across_splits(a, b, weight, folds, n_train, confidence):
    """Test the mean differences of random splits with the variance of Nadeau and Bengio."""
    codes = None if folds is None else pd.factorize(folds)[0]
    if codes is None or codes.max() < 1:
        raise ValueError(
            "compare(method='splits') needs frames with the outcomes of at least two splits, as "
            "evaluators return with return_words=True and, for example, "
            "cv=GroupShuffleSplit(15, test_size=0.2)."
        )
    sizes = np.bincount(codes, weight)
    of_a, of_b = (np.bincount(codes, one * weight) / sizes for one in (a, b))
    n_splits, difference = len(sizes), np.mean(of_a - of_b)
    ratio = fold_inflation(folds, n_train) - 1
    # Scaled so that no square overflows.
    size = max(np.abs(a).max(), np.abs(b).max()) or 1.0
    error = size * np.sqrt((1 / n_splits + ratio) * np.var((of_a - of_b) / size, ddof=1))
    means = of_a.mean(), of_b.mean()
    if not error > 1e-13 * size:
        p_value = 1.0 if abs(difference) <= 1e-15 * size else 2.0 ** (1 - n_splits)
        return PairedTest(difference, np.nan, np.nan, 0.0, p_value), means
    return _t_test(difference, error, n_splits - 1, confidence), means


def _paired(frame_a, frame_b, groups, outcome):
    """Pair two frames of outcomes; return both, and the groups, weights, folds and n_train."""
    frames = {"outcomes_a": frame_a, "outcomes_b": frame_b}
    for name, frame in frames.items():
        lacking = [one for one in ("row", "group", outcome) if one not in frame.columns]
        if lacking:
            raise ValueError(
                f"The frame {name} of compare lacks the columns {lacking}. Pass a frame that an "
                "evaluator returns with return_words=True, or an array of outcomes."
            )
    keys = [key for key in _KEYS if key in frame_a and key in frame_b]
    for name, frame in frames.items():
        repeated = frame.duplicated(keys)
        own = [name for name in ("n_train", "group", "weight") if name in frame]
        if repeated.any():
            raise ValueError(
                f"The frame {name} of compare has several outcomes of row "
                f"{frame.loc[repeated, 'row'].iloc[0]}. Keep those of one measurement, such as "
                "words[words['name'] == 'hidden.3'], or average them first, such as over draws: "
                f"words.groupby({keys + own}, as_index=False, sort=False)"
                f"[{outcome!r}].mean()."
            )
    a, b = frame_a.set_index(keys)[outcome], frame_b.set_index(keys)[outcome]
    unpaired = a.index.symmetric_difference(b.index)
    if len(unpaired):
        first = dict(zip(keys, np.atleast_1d(unpaired[0]), strict=True))
        raise ValueError(
            "The two frames of compare do not have the same rows in the same folds: "
            f"{len(unpaired)} are in one only, the first {first}. Measure both with the same cv "
            "and groups."
        )
    own = [frame_a["group"], frame_b.set_index(keys)["group"].reindex(a.index)]
    own = [column for column in own if not column.isna().all()]
    for column in own[1:]:
        _check_nested(own[0], column, "of outcomes_b")
    if groups is None:
        groups = own[0].to_numpy() if own else None
    else:
        check_consistent_length(frame_a, groups)
        for column in own[:1]:
            _check_nested(column, groups, "in the 'groups' parameter")
    weight = _common_weight(*(frame.set_index(keys).get("weight") for frame in frames.values()))
    outcomes = a.to_numpy(), b.reindex(a.index).to_numpy(), groups, weight
    of_fold = [key for key in keys if key in ("repeat", "fold")]
    if not of_fold or "n_train" not in frame_a:
        return *outcomes, None, None
    folds = frame_a.groupby(of_fold, sort=False).ngroup().to_numpy()
    return *outcomes, folds, frame_a["n_train"].to_numpy(dtype=np.float64)


def _common_weight(of_a, of_b):
    """Return the weights of the rows of the first frame, or None without weights."""
    if of_a is None and of_b is None:
        return None
    if of_a is None or of_b is None or (of_a != of_b.reindex(of_a.index)).any():
        raise ValueError(
            "The two frames of compare have different weights. Measure both with the same "
            "sample_weight, or drop the column 'weight' of both to count each word once."
        )
    return check_weight(of_a, of_a)


def _check_nested(of_frame, others, where):
    """Raise an error unless each group lies within one of the others, or the other way round."""
    codes = [pd.factorize(np.asarray(one, dtype=object))[0] for one in (of_frame, others)]
    n_groups, n_both = [len(np.unique(one)) for one in codes], len(np.unique(codes, axis=1).T)
    if n_both > max(n_groups):
        raise ValueError(
            f"The groups of outcomes_a passed to compare and those {where} cut across each other: "
            f"{n_groups[0]} and {n_groups[1]} groups form {n_both} combinations, so the groups of "
            "one of them belong to other rows. compare pairs 'groups' with the rows of outcomes_a "
            "by position, and these may be in the order of folds: pass "
            "groups=np.asarray(groups)[outcomes_a['row']], or leave 'groups' out."
        )


def _numbers(outcomes, name):
    try:
        values = np.asarray(outcomes, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise ValueError(
            f"The {name} of compare must be a number or bool per word. For labels, pass whether "
            "they are correct: predicted == y."
        ) from problem
    if values.ndim != 1:
        raise ValueError(f"The {name} of compare must have one axis, got shape {values.shape}.")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"The {name} of compare are {values[wrong[0]]} at row {wrong[0]}. Leave out words "
            "without an outcome, in both and in groups."
        )
    return values
