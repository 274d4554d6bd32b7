# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.utils._validation import check_row_order


@validate_params(
    {
        "complexity": ["array-like"],
        "score": ["array-like"],
        "max_complexity": [Interval(Real, 0, None, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def pareto_hypervolume(
    complexity: ArrayLike, score: ArrayLike, *, max_complexity: float | None = None
) -> float:
    r"""Compute the mean best score over all budgets of complexity.

    It is the area below the Pareto front of probes, divided by its width: high if simple probes
    already reach high scores. Unlike a single score, it does not depend on the choice of one
    penalty.

    .. math:: \frac{1}{C} \int_0^C \max \{s_i : c_i \le c\} \, dc

    Parameters
    ----------
    complexity : array-like of shape (n_probes,)
        Complexity :math:`c_i` of each probe, such as its rank or nuclear norm; at least 0.

    score : array-like of shape (n_probes,)
        Score :math:`s_i` of each probe on held-out words; higher is better.

    max_complexity : float or None, default=None
        The largest budget C. None uses the largest complexity given. To compare representations,
        pass the same value for all of them.

    Returns
    -------
    hypervolume : float
        In units of the score. A budget for which there is no probe counts as a score of 0.

    Raises
    ------
    ValueError
        If a value is missing or infinite, a complexity is negative, or all complexities are 0 and
        ``max_complexity`` is None.

    See Also
    --------
    pareto_curve : Scores of low-rank probes by complexity, which include a constant prediction.

    References
    ----------
    .. [1] T. Pimentel, N. Saphra, A. Williams, R. Cotterell, "Pareto Probing: Trading Off Accuracy
       for Complexity", EMNLP 2020.

    Examples
    --------
    >>> from sklearn_neurox.evaluation import pareto_hypervolume
    >>> pareto_hypervolume([0, 1, 3], [0.2, 0.8, 0.9], max_complexity=4)
    0.675
    """
    check_consistent_length(complexity, score)
    check_row_order(complexity=complexity, score=score)
    places, heights = (_numbers(*each) for each in (("complexity", complexity), ("score", score)))
    if (places < 0).any():
        raise ValueError(
            "The 'complexity' parameter of pareto_hypervolume must not be negative, got "
            f"{places.min()}."
        )
    if max_complexity is None:
        max_complexity = places.max(initial=0.0)
        if not max_complexity:
            raise ValueError(
                "All complexities given to pareto_hypervolume are 0. Pass 'max_complexity', the "
                "largest budget."
            )
    order = np.argsort(places, kind="stable")
    order = order[places[order] <= max_complexity]
    best = np.maximum.accumulate(heights[order])
    widths = np.diff(places[order], append=max_complexity)
    return float(best @ widths / max_complexity)


def _numbers(name, values):
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError(
            f"The {name!r} parameter of pareto_hypervolume must be one finite number per probe."
        )
    return numbers
