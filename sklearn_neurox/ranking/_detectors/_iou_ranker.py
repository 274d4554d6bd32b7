# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_neurox.ranking._detectors._base_detector import BaseDetectorRanker


class IoURanker(BaseDetectorRanker):
    r"""Rank neurons by how well "above the threshold" and "of the class" overlap.

    With :math:`A` the words on which the neuron exceeds its threshold and :math:`C` those of the
    class, the score is the intersection over union, also called Jaccard index,

    .. math:: \mathrm{IoU} = |A \cap C| \, / \, |A \cup C|

    for every class. The better of the neuron and its negative counts.

    Like average precision it sees shifted means, and neither classes that differ in variance
    (unless one is wide enough to own the words beyond a high threshold) nor pairs of neurons that
    tell a class only together (XOR).

    Parameters
    ----------
    threshold : float or "best", default="best"
        Where neurons are cut, the same for each in the given ``unit``. ``"best"`` takes, for
        every neuron, class and sign, the cut of highest IoU on the rows of ``fit``. That is fair
        between neurons, but the scores themselves are then a little too good.

    unit : {"quantile", "value"}, default="quantile"
        What a number as ``threshold`` is.

        - ``"quantile"``: a share of the words in [0, 1); 0.95 makes :math:`A` the five percent on
          which the neuron is highest, and those on which it is lowest for its negative. A class
          of another size cannot reach 1.
        - ``"value"``: an activation, such as 0 behind a rectifier; the negative of a neuron
          exceeds ``t`` where the neuron is below ``-t``.

        Words equal to the threshold do not exceed it.

    two_sided : bool, default=True
        Whether the negative of a neuron may stand for it.

    average : {"macro", "weighted"}, default="macro"
        How ``scores_`` averages over the classes: ``"macro"`` counts them alike, ``"weighted"``
        by their number of words, or their weight.

    n_neurons : int, float or None, default=None
        How many neurons ``transform`` keeps: a number, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best or the worst.

    n_jobs : int or None, default=None
        How many threads count; None means 1 unless in a `joblib.parallel_config` context, -1 all
        cores. Does not change the result.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        The average over classes of the IoU of every neuron.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        The IoU for every class. Of two classes each has its own.

    class_signs_ : ndarray of shape (n_classes, n_features_in_)
        -1 where the negative of the neuron is better, otherwise 1.

    order_ : ndarray of shape (n_features_in_,)
        The columns, best first; of equal ones that with the best class before others.

    class_order_ : ndarray of shape (n_classes, n_features_in_)
        The columns, best first, for every class.

    ranks_ : ndarray of shape (n_features_in_,)
        The rank of every column, 1 for the best.

    classes_ : ndarray of shape (n_classes,)
        The classes.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    AveragePrecisionRanker : Averages over all thresholds; what NeuroX calls IoU.
    sklearn.metrics.jaccard_score : The score of one neuron for one class at one threshold.

    References
    ----------
    .. [1] J. Mu, J. Andreas, "Compositional Explanations of Neurons", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.ranking import IoURanker
    >>> X = np.array([[0.0, 1.0], [0.0, 3.0], [-5.0, 2.0]])
    >>> IoURanker().fit(X, ["a", "a", "b"]).class_scores_.round(2)
    array([[1.  , 0.67],
           [1.  , 0.5 ]])
    >>> IoURanker(2, unit="value").fit(X, ["a", "a", "b"]).class_scores_
    array([[0. , 0.5],
           [1. , 0. ]])
    """

    _parameter_constraints: dict = {
        "threshold": [Interval(Real, None, None, closed="neither"), StrOptions({"best"})],
        "unit": [StrOptions({"quantile", "value"})],
        **BaseDetectorRanker._parameter_constraints,
    }

    def __init__(
        self,
        threshold: float | str = "best",
        *,
        unit: str = "quantile",
        two_sided: bool = True,
        average: str = "macro",
        n_neurons: int | float | None = None,
        which: str = "top",
        n_jobs: int | None = None,
    ):
        super().__init__(
            two_sided=two_sided, average=average, n_neurons=n_neurons, which=which, n_jobs=n_jobs
        )
        self.threshold = threshold
        self.unit = unit

    def _check_fit_input(self, X: ArrayLike, y: ArrayLike):
        if self.threshold != "best" and self.unit == "quantile" and not 0 <= self.threshold < 1:
            raise ValueError(
                f"IoURanker has threshold={self.threshold!r}, but a quantile lies in [0, 1). For "
                'an activation set unit="value".'
            )
        return super()._check_fit_input(X, y)

    def _score_block(self, columns, counter):
        if self.threshold == "best":
            return np.stack([_best(counter, column) for column in columns], axis=-1)
        high, low = self._thresholds(columns, counter.weight)
        one_hot = np.equal.outer(np.arange(len(counter.totals)), counter.codes).astype(np.float64)
        if counter.weight is not None:
            one_hot *= counter.weight
        return np.stack(
            [
                _overlap(one_hot, columns > high, counter.totals),
                _overlap(one_hot, columns < low, counter.totals),
            ]
        )

    def _thresholds(self, columns, weight):
        if self.unit == "value":
            return self.threshold, -self.threshold
        options = {"axis": 1, "method": "inverted_cdf", "weights": weight, "keepdims": True}
        high = np.quantile(columns, self.threshold, **options)
        return high, -np.quantile(-columns, self.threshold, **options)


def _best(counter, column):
    """Highest IoU of a column and of its negative for every class, at any cut."""
    cuts = counter.cuts(column)
    scores = []
    for hits, everything in [(cuts.hits_above, cuts.all_above), (cuts.hits_below, cuts.all_below)]:
        # The union is the class and what is selected without it.
        unions = counter.totals_by_sample + (everything - hits)
        scores.append(np.maximum.reduceat(hits / unions, counter.starts))
    return np.stack(scores)


def _overlap(one_hot, selected, totals):
    hits = one_hot @ selected.T.astype(np.float64)
    return hits / (totals[:, np.newaxis] + hits.sum(axis=0) - hits)
