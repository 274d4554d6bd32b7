# SPDX-License-Identifier: BSD-3-Clause
import numpy as np

from sklearn_neurox.ranking._detectors._base_detector import BaseDetectorRanker


class AveragePrecisionRanker(BaseDetectorRanker):
    """Rank neurons by the average precision of each as a detector of a class.

    The words are sorted by the activation of the neuron, and the area under the curve of
    precision against recall is that of `sklearn.metrics.average_precision_score`, for every class
    against the rest, equal activations included. A neuron that is low on a class detects it as
    well as one that is high, so the better of the neuron and its negative counts. Only the order
    of the words matters: any increasing function of a neuron, such as a scaling, leaves its score
    as it is.

    It sees what one cut, high against low, can see: shifted means. A neuron whose *variance*
    differs between classes scores little, since its class is at both ends or in the middle, and
    pairs of neurons that tell a class only together (XOR) score as noise, which is about the share
    of the class.

    Parameters
    ----------
    two_sided : bool, default=True
        Whether the negative of a neuron may stand for it. False ranks neurons that are low on a
        class behind noise.

    average : {"macro", "weighted"}, default="macro"
        How ``scores_`` averages over the classes: ``"macro"`` counts them alike, ``"weighted"``
        by their number of words, or their weight.

    n_neurons : int, float or None, default=None
        How many neurons ``transform`` keeps: a number, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best or the worst.

    n_jobs : int or None, default=None
        How many threads sort; None means 1 unless in a `joblib.parallel_config` context, -1 all
        cores. Does not change the result.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        The average over classes of the average precision of every neuron.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        The average precision for every class. Of two classes each has its own.

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
    IoURanker : Cuts every neuron once.
    ProbelessRanker : Ranks by the distances of the class means.
    sklearn.metrics.average_precision_score : The score of one neuron for one class.

    Notes
    -----
    Every column is sorted once for all classes and both signs: the cost is that of sorting. Some
    32 MB of columns are copied at a time by each thread, whatever the size of X.

    NeuroX names this score "IoU"; it takes it of the signed activation, so that neurons low on a
    class come last, for two classes only, and writes into the caller's X.

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
            cuts = counter.cuts(column)
            for side, (hits, everything) in enumerate(
                [(cuts.hits_above, cuts.all_above), (cuts.hits_below, cuts.all_below)]
            ):
                precisions = cuts.weights * hits / everything
                scores[side, :, place] = np.add.reduceat(precisions, counter.starts)
        return scores / counter.totals[:, np.newaxis]
