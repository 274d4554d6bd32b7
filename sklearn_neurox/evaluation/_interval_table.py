# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._labels import check_no_missing_groups
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.utils._validation import check_weight


@validate_params(
    {
        "words": "no_validation",  # may be a table of any library
        "by": [str, "array-like", None],
        "outcome": [str],
        "scale": [StrOptions({"auto", "linear", "log", "logit", "atanh"})],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def interval_table(
    words: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    outcome: str = "outcome",
    scale: str = "auto",
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Average the outcomes of words, with confidence intervals by groups.

    The outcomes may come from any evaluator with ``return_words=True``. Their means pool folds,
    draws and repeats, unless these are named in ``by``.

    Parameters
    ----------
    words : table of shape (n_outcomes, n_columns)
        One row per outcome, with the columns ``group``, ``outcome`` and those in ``by``. If there
        is a column ``weight``, as after an evaluation with ``sample_weight``, means are weighted.

    by : str, sequence of str or None, default=None
        Columns that tell measurements apart, such as ``"name"`` or ``["ranker", "n_neurons"]``.
        None averages all rows.

    outcome : str, default="outcome"
        Column to average.

    scale : {"auto", "linear", "log", "logit", "atanh"}, default="auto"
        Scale on which the intervals are symmetric: ``"logit"`` keeps them between 0 and 1,
        ``"atanh"`` between -1 and 1, and ``"log"`` above 0. ``"auto"`` is ``"logit"`` if all
        outcomes are 0 or 1, such as whether predictions are right, and otherwise ``"linear"``.

    confidence : float, default=0.95
        Confidence level of the intervals.

    Returns
    -------
    table : DataFrame
        One row per combination of values in ``by``, in order of appearance, with these columns and
        ``score`` (the mean), ``low``, ``high``, ``n_words`` (different values of ``row``, if there
        is this column, or else outcomes) and ``n_groups``. With a single group, the bounds are
        missing, and so are those on a linear or log scale if all groups have the same mean. The
        score is missing, too, if no row has a weight.

    Raises
    ------
    ValueError
        If a column is absent, a group is missing, an outcome is not finite, or a mean lies outside
        the range of the scale.

    See Also
    --------
    compare : Test the difference between two measurements.

    Notes
    -----
    With :math:`t_g` the sum of the outcomes in group g and :math:`n_g` their number, the mean is
    :math:`m = \sum_g t_g / \sum_g n_g`, the ratio of two sums over G groups. Its linearized
    standard error ([1]_, chapter 6) is

    .. math:: s = \sqrt{\frac{G}{G - 1} \sum_g r_g^2} \Big/ \sum_g n_g, \qquad r_g = t_g - m n_g.

    The interval is :math:`m \pm q s`, on the scale :math:`h(m)` with the error
    :math:`h'(m) s`, where q is a quantile of the t distribution. If a few groups have most of the
    errors, s itself is uncertain. The degrees of freedom are therefore Satterthwaite's [2]_,
    :math:`2 (\sum_g r_g^2)^2 / (\sum_g r_g^4 - (\sum_g r_g^2)^2 / G)`, between 1 and G - 1.

    The bounds of a share are also limited by the number of groups that have any outcome above 0.
    The share cannot exceed that of the rows in such groups. The upper bound is therefore at most
    the exact binomial bound for k of G groups [3]_, where k groups have any, multiplied by the
    largest group size over the mean one, because these groups may be the largest. The lower bound
    is limited in the same way, by the number of groups that have any outcome below 1.

    If all groups have the same share, such as none, s is 0. The bounds then allow for other groups
    that differ. These may hold as large a share of the rows as the exact binomial bound if none of
    n groups differs [3]_, where n is the effective number of groups,
    :math:`(\sum_g n_g)^2 / \sum_g n_g^2` [4]_. This is G for groups of one size, and less for
    others, because long texts may be more likely to have an error. If the outcomes are not shares,
    the groups do not show how far others could be from them, so the bounds are missing.

    References
    ----------
    .. [1] W. G. Cochran, "Sampling Techniques", 3rd edition, Wiley 1977.

    .. [2] F. E. Satterthwaite, "An Approximate Distribution of Estimates of Variance Components",
       Biometrics Bulletin 2, 1946.

    .. [3] C. J. Clopper, E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in
       the Case of the Binomial", Biometrika 26, 1934.

    .. [4] L. Kish, "Survey Sampling", Wiley 1965, chapter 11.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.ablation import ablation_curve
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.evaluation import interval_table
    >>> planted = make_planted_neurons(600, 50, effect=2.0, n_informative=4, random_state=0)
    >>> curve, of_words = ablation_curve(
    ...     LogisticRegression(), planted.X, planted.y, groups=np.arange(600) // 6, fractions=[4],
    ...     retrain=False, random_state=0, return_words=True
    ... )
    >>> interval_table(of_words, by="which").round(2)
        which  score   low  high  n_words  n_groups
    0     all   0.84  0.81  0.87      600       100
    1     top   0.91  0.88  0.93      600       100
    2  bottom   0.28  0.25  0.32      600       100
    3  random   0.39  0.36  0.41      600       100
    """
    by = [] if by is None else [by] if isinstance(by, str) else list(by)
    words = read_frame(words, caller="interval_table")
    lacking = [column for column in (*by, "group", outcome) if column not in words.columns]
    if lacking:
        raise ValueError(
            f"The frame of interval_table lacks the columns {lacking}; it has "
            f"{list(words.columns)}. Pass a frame that an evaluator returns with return_words=True."
        )
    check_no_missing_groups(words["group"], "interval_table")
    values = words[outcome].to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"The column {outcome!r} of interval_table is {values[wrong[0]]} at row {wrong[0]} "
            f"({len(wrong)} such rows). Outcomes are missing if a scorer is not one of "
            "scikit-learn's; use another scoring, or leave out these rows."
        )
    if "weight" in words:
        words = words.assign(weight=check_weight(words["weight"], words))
    if scale == "auto":
        scale = "logit" if np.isin(values, [0, 1]).all() else "linear"
    measured = words.groupby(by, sort=False, dropna=False, observed=True) if by else [((), words)]
    rows = []
    for key, own in measured:
        own = own[own["weight"] > 0] if "weight" in own else own
        codes = pd.factorize(own["group"])[0]
        totals, weight = own[outcome], own.get("weight")
        totals = totals if weight is None else totals * weight
        found = mean_interval(totals, codes, sizes=weight, scale=scale, confidence=confidence)
        _check_range(found.mean, scale)
        n_words = own["row"].nunique() if "row" in own else len(own)
        rows.append([*key, *found, n_words, len(np.unique(codes))])
    return pd.DataFrame(rows, columns=[*by, "score", "low", "high", "n_words", "n_groups"])


def _check_range(mean, scale):
    """Raise an error if a mean has no place on the scale of its interval."""
    ranges = {"log": (0, np.inf), "logit": (0, 1), "atanh": (-1, 1)}
    low, high = ranges.get(scale, (-np.inf, np.inf))
    if mean < low - 1e-9 or mean > high + 1e-9:  # a missing mean is neither
        raise ValueError(
            f"The 'scale' parameter of interval_table is {scale!r}, which is for means from {low} "
            f'to {high}, but a mean is {mean:.6g}. Use scale="linear".'
        )
