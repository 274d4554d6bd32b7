# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.ranking._detectors._base_detector import BaseDetectorRanker


class AveragePrecisionRanker(BaseDetectorRanker):
    """Rank neurons by their average precision as detectors of a class.

    Words are sorted by the activation of the neuron. For each class against the rest, the score is
    the area under the precision-recall curve, as computed by
    `sklearn.metrics.average_precision_score` (tied activations included). A neuron that is low on a
    class detects it as well as one that is high, so the result is the higher of the neuron's own
    score and that of its negative. Only the order of the words matters: an increasing function of a
    neuron, such as a positive scaling, does not change its score.

    This ranker finds what a single threshold can find: shifted means. A neuron whose *variance*
    differs between classes scores low, because the class lies at both ends of its range or in the
    middle. Pairs of neurons that reveal a class only together (XOR) score like noise, that is,
    about as high as the class frequency.

    Parameters
    ----------
    two_sided : bool, default=True
        Whether to also score the negative of each neuron and keep the better one. If False,
        neurons that are low on a class rank below noise.

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
        Average precision of each neuron, averaged over classes; from 0 to 1, higher is better.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        Average precision of each neuron for each class; rows follow ``classes_``. With two
        classes, each class has its own scores.

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
    IoURanker : Rank by overlap at a single threshold.
    ProbelessRanker : Rank by the distances between class means.
    sklearn.metrics.average_precision_score : Compute the score of one neuron for one class.

    Notes
    -----
    Each column is sorted once for all classes and both signs, and sorting dominates the cost. Each
    thread copies about 32 MB of columns at a time, whatever the size of X.

    NeuroX calls this score "IoU". Its version uses the signed activation, so neurons that are low
    on a class rank last; it supports two classes only, and it modifies the caller's X.

    References
    ----------
    .. [1] J. Mu, J. Andreas, "Compositional Explanations of Neurons", NeurIPS 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.ranking import AveragePrecisionRanker
    >>> X = np.array([[0.0, 1.0], [0.0, 3.0], [-5.0, 2.0]])
    >>> ranker = AveragePrecisionRanker().fit(X, ["a", "a", "b"])
    >>> ranker.class_scores_.round(2)
    array([[1.  , 0.83],
           [1.  , 0.5 ]])
    >>> ranker.class_signs_[:, 0]
    array([ 1, -1])
    """

    def _score_block(self, columns, counter):
        scores = np.empty((2, len(counter.totals), len(columns)))
        for place, column in enumerate(columns):
            weights, *sides = counter.cuts(column)
            for side, (hits, everything) in enumerate(sides):
                precisions = weights * hits / everything
                scores[side, :, place] = np.add.reduceat(precisions, counter.starts)
        return scores / counter.totals[:, np.newaxis]
