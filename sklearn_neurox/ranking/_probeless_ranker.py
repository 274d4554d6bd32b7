# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils.multiclass import check_classification_targets

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.utils._validation import check_weight, encode_classes, row_blocks


class ProbelessRanker(BaseRanker):
    r"""Rank neurons by how far apart the class means lie, without any probe.

    With :math:`\mu_{vd}` the mean of neuron :math:`d` over the words of class :math:`v`, the
    score is

    .. math:: r(d) = \sum_{v < v'} |\mu_{vd} - \mu_{v'd}|

    and the score for one class sums over its own pairs only, so that the class scores of a neuron
    add up to twice its score. Every class counts alike, however rare.

    It sees shifted means, each neuron alone. It sees neither neurons of which only the variance
    differs between classes, nor pairs that tell a class only together (XOR), and it does not
    notice that neurons repeat each other.

    Parameters
    ----------
    n_neurons : int, float or None, default=None
        How many neurons ``transform`` keeps: a number, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best or the worst.

    scale : bool, default=False
        Whether to divide the scores of a neuron by its pooled standard deviation, the one within
        the classes. False is the published method, which favours neurons of large magnitude;
        True makes the ranking independent of the units of the columns.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        The score of every neuron. With ``scale``, infinity for one that is constant within every
        class but not over all, and 0 for one that is constant.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        The same for every class.

    order_ : ndarray of shape (n_features_in_,)
        The columns, best first.

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
    LCARanker : Ranks by the weights of a linear probe.

    References
    ----------
    .. [1] O. Antverg, Y. Belinkov, "On the Pitfalls of Analyzing Individual Neurons in Language
       Models", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.ranking import ProbelessRanker
    >>> X = np.array([[0.0, 1.0], [0.0, 3.0], [5.0, 2.0]])
    >>> ProbelessRanker().fit(X, ["a", "a", "b"]).scores_
    array([5., 0.])
    """

    _parameter_constraints: dict = {
        **BaseRanker._parameter_constraints,
        "scale": ["boolean"],
    }

    def __init__(
        self, *, n_neurons: int | float | None = None, which: str = "top", scale: bool = False
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.scale = scale

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "ProbelessRanker":
        """Rank the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations.

        y : array-like of shape (n_samples,)
            The class of every row.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much every row counts in the mean of its class; a row of weight zero is as if it
            were not there.

        Returns
        -------
        self : ProbelessRanker

        Raises
        ------
        ValueError
            If X is not finite, a label is missing, a weight is negative, or there is only one
            class.
        """
        X, y = self._check_fit_input(X, y)
        check_classification_targets(y)
        weight = check_weight(sample_weight, X)
        if weight is None:
            weight = np.ones(len(y))
        self.classes_, codes = encode_classes(y, weight > 0, caller=type(self).__name__)
        one_hot = np.eye(len(self.classes_))[codes] * weight[:, np.newaxis]
        means = _class_means(X, one_hot)
        distances = np.stack([np.abs(means - mean).sum(axis=0) for mean in means])
        scale = _pooled_deviations(X, codes, means, weight) if self.scale else np.ones(X.shape[1])
        # A constant neuron is 0 / 0, which tells nothing; one constant within classes is infinite.
        with np.errstate(divide="ignore"):
            class_scores = np.divide(
                distances, scale, out=np.zeros_like(distances), where=distances > 0
            )
        self._set_ranking(
            class_scores.sum(axis=0) / 2,
            [distances.sum(axis=0)],
            class_scores=class_scores,
            class_tie_breakers=[distances],
        )
        return self


def _class_means(X, one_hot):
    # Only differences of means matter, so they are taken from the first row: a constant neuron
    # then has exactly equal means.
    # Within a block, single precision rounds less than the values themselves are rounded.
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    indicators, origin = one_hot.astype(dtype, copy=False), X[0].astype(dtype)
    sums = np.zeros((one_hot.shape[1], X.shape[1]))
    for block in row_blocks(X):
        sums += indicators[block].T @ (X[block] - origin)
    return sums / one_hot.sum(axis=0)[:, np.newaxis]


def _pooled_deviations(X, codes, means, weight):
    squares = np.zeros(X.shape[1])
    origin = X[0].astype(np.float64)
    for block in row_blocks(X):
        centred = X[block] - origin - means[codes[block]]
        squares += weight[block] @ np.square(centred, out=centred)
    return np.sqrt(squares / weight.sum())
