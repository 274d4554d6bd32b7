# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_neurox.ranking._detectors._base_detector import BaseDetectorRanker
from sklearn_neurox.utils._quantile_cut import quantile_cut


class IoURanker(BaseDetectorRanker):
    r"""Rank neurons by intersection over union (IoU) with a class.

    Let :math:`A` be the words on which the neuron exceeds its threshold and :math:`C` the words of
    a class. The score for this class is their intersection over union, or Jaccard index:

    .. math:: \mathrm{IoU} = |A \cap C| \, / \, |A \cup C|

    The result is the higher of the neuron's own score and that of its negative.

    Like average precision, this ranker finds shifted means. It misses classes that differ only in
    variance (unless one is so wide that most words beyond a high threshold belong to it) and pairs
    of neurons that reveal a class only together (XOR).

    Parameters
    ----------
    threshold : float or "best", default="best"
        Activation threshold, shared by all neurons and given in ``unit``. ``"best"`` uses, for
        each neuron, class and sign, the threshold with the highest IoU on the rows passed to
        ``fit``. This compares neurons fairly, but the scores themselves are slightly optimistic.

    unit : {"quantile", "value"}, default="quantile"
        Meaning of a numeric ``threshold``.

        - ``"quantile"``: a fraction of the words, in [0, 1). With 0.95, :math:`A` is the five
          percent of words on which the neuron is highest, or lowest for its negative. A class of a
          different size cannot reach an IoU of 1.
        - ``"value"``: an activation, such as 0 after a ReLU. The negative of a neuron exceeds
          ``t`` where the neuron is below ``-t``.

        Words equal to the threshold do not exceed it.

    two_sided : bool, default=True
        Whether to also score the negative of each neuron and keep the better one.

    average : {"macro", "weighted"}, default="macro"
        How ``scores_`` averages over classes: ``"macro"`` weights all classes equally,
        ``"weighted"`` weights each by its number of words, or by its total ``sample_weight``.

    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    min_count : int, default=1
        Classes with fewer rows than this (of positive weight) are left out of ``scores_`` and the
        overall ranking, which they may dominate by chance. They still have class scores, and their
        rows still count as rows of other classes.

    n_jobs : int or None, default=None
        Number of threads. None means 1 unless in a `joblib.parallel_config` context; -1 means all
        cores. Does not change the result.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        IoU of each neuron, averaged over classes; from 0 to 1, higher is better.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        IoU of each neuron for each class; rows follow ``classes_``. With two classes,
        each class has its own scores.

    class_signs_ : ndarray of shape (n_classes, n_features_in_)
        1 if high activations indicate the class, -1 if low ones do.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first. Ties in ``scores_`` are broken by the best class score.

    class_order_ : ndarray of shape (n_classes, n_features_in_)
        Column indices for each class, best first; rows follow ``classes_``.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.

    classes_ : ndarray of shape (n_classes,)
        Class labels.

    rare_classes_ : ndarray
        Labels of the classes that ``min_count`` leaves out of the overall ranking.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    AveragePrecisionRanker : Rank by an average over all thresholds, which NeuroX calls IoU.
    sklearn.metrics.jaccard_score : Compute the score of one neuron for one class and threshold.

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
        min_count: int = 1,
        n_jobs: int | None = None,
    ):
        super().__init__(
            two_sided=two_sided,
            average=average,
            n_neurons=n_neurons,
            which=which,
            min_count=min_count,
            n_jobs=n_jobs,
        )
        self.threshold = threshold
        self.unit = unit

    def _check_fit_input(self, X, y="no_validation", **check_params):
        if self.threshold != "best" and self.unit == "quantile" and not 0 <= self.threshold < 1:
            raise ValueError(
                f"IoURanker got threshold={self.threshold!r}, but a quantile must be in [0, 1). To "
                'use the threshold as an activation, set unit="value".'
            )
        return super()._check_fit_input(X, y, **check_params)

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
        options = {"axis": 1, "weight": weight}
        high = quantile_cut(columns, self.threshold, **options)
        return high, -quantile_cut(-columns, self.threshold, **options)


def _best(counter, column):
    """Return the highest IoU of a column and of its negative for each class, at any cut."""
    _, *sides = counter.cuts(column)
    scores = []
    for hits, everything in sides:
        # The union is the class plus the selected samples of other classes.
        unions = counter.totals_by_sample + (everything - hits)
        scores.append(np.maximum.reduceat(hits / unions, counter.starts))
    return np.stack(scores)


def _overlap(one_hot, selected, totals):
    hits = one_hot @ selected.T.astype(np.float64)
    return hits / (totals[:, np.newaxis] + hits.sum(axis=0) - hits)
