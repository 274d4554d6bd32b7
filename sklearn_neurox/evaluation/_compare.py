# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.utils._group_intervals import MeanInterval, mean_interval
from sklearn_neurox.utils._labels import check_groups, check_no_missing_groups
from sklearn_neurox.utils._validation import check_row_order


@validate_params(
    {
        "outcomes_a": ["array-like"],
        "outcomes_b": ["array-like"],
        "groups": ["array-like"],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def compare(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, groups: ArrayLike, *, confidence: float = 0.95
) -> pd.Series:
    r"""Compare two probes, layers or models on the same words, with an interval and a p-value.

    The words of a text are not independent of each other, so the test treats whole groups, such as
    texts, as independent, and pairs the two outcomes of each word.

    Parameters
    ----------
    outcomes_a, outcomes_b : array-like of shape (n_words,)
        One number or bool per word for each of the two: whether the prediction is correct, its
        loss, a rank. `sklearn_neurox.inspection.predictions_frame` has ``correct``, and
        `sklearn.model_selection.cross_val_predict` gives predictions to compare with the labels.

    groups : array-like of shape (n_words,)
        The group of each word, such as its text.

    confidence : float, default=0.95
        The confidence level of the interval.

    Returns
    -------
    comparison : Series
        ``mean_a`` and ``mean_b``, their ``difference`` (a minus b) with the bounds ``low`` and
        ``high`` of its confidence interval, the two-sided ``p_value``, ``n_words`` and
        ``n_groups``.

    Raises
    ------
    ValueError
        If lengths differ, an outcome or group is missing or not finite, or there are fewer than two
        groups.

    See Also
    --------
    layer_profile : Scores of all layers, with paired differences from the best one.

    Notes
    -----
    With :math:`d_g` the sum of the differences in group g and :math:`n_g` its number of words, the
    difference is :math:`\bar d = \sum_g d_g / \sum_g n_g`, the ratio of two sums over G groups. Its
    linearized standard error ([1]_, chapter 6) is

    .. math:: s = \sqrt{\frac{G}{G - 1} \sum_g (d_g - \bar d n_g)^2} \Big/ \sum_g n_g

    and :math:`\bar d / s` is compared with the t distribution with :math:`G - 1` degrees of
    freedom. If the mean difference is the same in all groups, s is 0, which says nothing about
    other texts. The bounds are then NaN, and the p-value is that of a sign test over groups,
    :math:`2^{1 - G}`, or 1 if there is no difference.

    The test asks whether the difference would hold for other texts. Outcomes from the folds of a
    cross-validation share training words, which it does not take into account: differences that
    are due to the choice of training words make it reject too often. Compare on one held-out part
    of the texts where it matters.

    References
    ----------
    .. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, Wiley 1977.

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
    check_row_order(outcomes_a, outcomes_b, names=("outcomes_a", "outcomes_b"))
    check_row_order(outcomes_a, groups, names=("outcomes_a", "groups"))
    a, b = _numbers(outcomes_a, "outcomes_a"), _numbers(outcomes_b, "outcomes_b")
    check_consistent_length(a, b, groups)
    check_groups(groups, "compare")
    check_no_missing_groups(groups, "compare")
    codes = pd.factorize(np.asarray(groups, dtype=object))[0]
    n_groups = len(np.unique(codes))
    if n_groups < 2:
        raise ValueError(
            f"compare needs at least two groups, got {n_groups}. Pass the text of each word, as in "
            "groups=words['text']."
        )
    found = mean_interval(a - b, codes, confidence=confidence)
    # Below this width, only rounding makes the groups differ.
    if found.high - found.mean <= 1e-13 * max(np.abs(a).max(), np.abs(b).max()):
        found = MeanInterval(found.mean, np.nan, np.nan)
    return pd.Series(
        {
            "mean_a": a.mean(),
            "mean_b": b.mean(),
            "difference": found.mean,
            "low": found.low,
            "high": found.high,
            "p_value": _p_value(found, n_groups, confidence),
            "n_words": len(a),
            "n_groups": n_groups,
        }
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


def _p_value(found, n_groups, confidence):
    if np.isnan(found.high):
        return 1.0 if found.mean == 0 else 2.0 ** (1 - n_groups)
    error = (found.high - found.mean) / t.ppf((1 + confidence) / 2, n_groups - 1)
    return float(2 * t.sf(abs(found.mean) / error, n_groups - 1))
