# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, issparse
from sklearn.base import _fit_context

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._rare_classes import MIN_COUNT_CONSTRAINTS, RareClasses
from sklearn_neurox.utils._labels import check_class_labels, encode_classes
from sklearn_neurox.utils._moments import sparse_origin
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._validation import check_weight

# Odd, and enough that a few rows far from all others do not move the median.
_MEDIAN_ROWS = 15


class ProbelessRanker(BaseRanker):
    r"""Rank neurons by the distances between class means, without a probe.

    Let :math:`\mu_{vd}` be the mean of neuron :math:`d` over the words of class :math:`v`. The
    score of the neuron is

    .. math:: r(d) = \sum_{v < v'} |\mu_{vd} - \mu_{v'd}|

    The score for one class sums over the pairs with that class only, so the class scores of a
    neuron add up to twice its score. All classes count equally, however rare, unless
    ``min_count`` leaves them out.

    This ranker finds shifted means, for each neuron alone. It misses neurons whose variance alone
    differs between classes and pairs that reveal a class only together (XOR), and it does not
    detect redundant neurons.

    Parameters
    ----------
    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    scale : bool, default=False
        Whether to divide the scores of a neuron by its pooled within-class standard deviation.
        False is the published method, which favors neurons of large magnitude; True makes the
        ranking independent of the units of the columns.

    min_count : int, default=1
        Classes with fewer rows than this (of positive weight) are left out: their means are mostly
        noise, but as far from the others as any. They still have class scores, over the pairs with
        each class that is not left out.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        Score of each neuron, at least 0 and unbounded; higher means that its class means are
        further apart. With ``scale``, infinity for a neuron that is constant within each class but
        not overall, and 0 for a constant neuron.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        Score of each neuron for each class; rows follow ``classes_``. Scores ignore whether a
        neuron is high or low on the class.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first.

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
    LCARanker : Rank by the weights of a linear probe.

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
        "min_count": MIN_COUNT_CONSTRAINTS,
    }

    _needs_labels = True

    def __init__(
        self,
        *,
        n_neurons: int | float | None = None,
        which: str = "top",
        scale: bool = False,
        min_count: int = 1,
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.scale = scale
        self.min_count = min_count

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "ProbelessRanker":
        """Rank the neurons.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,)
            Class label of each row.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the mean of its class; rows of weight zero are ignored.

        Returns
        -------
        self : ProbelessRanker

        Raises
        ------
        ValueError
            If X contains NaN or infinity, differences or (with ``scale``) squares of its values
            overflow, a label is missing, a weight is negative, or there is only one class, or only
            one with ``min_count`` rows.

        Warns
        -----
        UserWarning
            If most of the best neurons owe their rank to classes with fewer than ten rows.
        """
        matrix, labels = self._check_fit_input(
            X, y, squares=self.scale, beside={"sample_weight": sample_weight}
        )
        check_class_labels(labels)
        weight = check_weight(sample_weight, matrix)
        if weight is None:
            weight = np.ones(len(labels))
        self.classes_, codes = encode_classes(labels, weight > 0, caller=type(self).__name__)
        rare = RareClasses(self, labels, weight)
        means = _class_means(matrix, codes, weight)
        with np.errstate(over="ignore", invalid="ignore"):
            counted = means[rare.is_counted]
            distances = np.stack([np.abs(counted - mean).sum(axis=0) for mean in means])
        _check_sums(distances.sum(axis=0), type(self).__name__)
        scale = np.ones(matrix.shape[1])
        if self.scale:
            scale = _pooled_deviations(matrix, codes, means, weight)
        # A constant neuron scores 0; one that is constant only within each class scores infinity.
        with np.errstate(divide="ignore"):
            class_scores = np.divide(
                distances, scale, out=np.zeros_like(distances), where=distances > 0
            )
        self._set_ranking(
            class_scores[rare.is_counted].sum(axis=0) / 2,
            [distances[rare.is_counted].sum(axis=0)],
            class_scores=class_scores,
            class_tie_breakers=[distances],
        )
        rare.warn_if_dominant()
        return self


def _class_means(X, codes, weight):
    """Compute the class means minus an origin; only their differences matter.

    The origin is subtracted so that the means of a constant neuron are exactly equal.
    """
    members = np.eye(codes.max() + 1)[codes] * weight[:, np.newaxis]
    members /= members.max(axis=0)  # so that neither tiny nor huge weights leave single precision
    totals = members.sum(axis=0)[:, np.newaxis]
    if issparse(X):
        return members.T @ _shifted(X, weight) / totals
    # Within a block, sums in single precision round less than the values themselves do.
    if X.dtype == np.float32:
        sums = _sums_over_rows(X, members.astype(np.float32), weight)
        if np.isfinite(sums).all():
            return sums / totals
    return _sums_over_rows(X, members, weight) / totals


def _origin(X, weight):
    """Return a typical value of each column; for a constant column, exactly its value.

    It is the median of a few rows. A single row may be far from all others, as the first token of a
    text often is, and differences from it would lose digits in single precision.
    """
    rows = np.flatnonzero(weight)
    n_rows = min(_MEDIAN_ROWS, len(rows) - 1 + len(rows) % 2)  # odd, so that it is a value of X
    places = np.linspace(0, len(rows) - 1, n_rows).astype(np.intp)
    return np.median(X[rows[places]], axis=0)


def _sums_over_rows(X, members, weight):
    origin = _origin(X, weight).astype(members.dtype)
    sums = np.zeros((members.shape[1], X.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for block in row_blocks(X):
            sums += members[block].T @ (X[block] - origin)
    return sums


def _check_sums(sums, caller):
    if np.isfinite(sums).all():
        return
    column = int(np.flatnonzero(~np.isfinite(sums))[0])
    raise ValueError(
        f"The values of column {column} of X are too large: {caller} adds up differences between "
        "them, which overflow. Rescale the columns, for example divide all by the largest value."
    )


def _shifted(X, weight):
    """Subtract a row of a CSR matrix at the columns without zeros, in double precision."""
    origin = sparse_origin(X, weight)
    with np.errstate(over="ignore"):
        return csr_matrix((X.data - origin[X.indices], X.indices, X.indptr), shape=X.shape)


def _pooled_deviations_of_sparse(X, codes, means, weight):
    shifted = _shifted(X, weight)
    row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    centered = shifted.data - means[codes[row], shifted.indices]
    squares = np.bincount(
        X.indices, weights=weight[row] * np.square(centered), minlength=X.shape[1]
    )
    for code, own in enumerate(means):
        members = codes == code
        stored = (
            weight[members]
            @ csr_matrix((np.ones(len(X.data)), X.indices, X.indptr), shape=X.shape)[members]
        )
        squares += (weight[members].sum() - stored).clip(min=0) * np.square(own)
    return np.sqrt(squares / weight.sum())


def _pooled_deviations(X, codes, means, weight):
    if issparse(X):
        return _pooled_deviations_of_sparse(X, codes, means, weight)
    squares = np.zeros(X.shape[1])
    origin = _origin(X, weight).astype(np.float64)
    for block in row_blocks(X):
        centered = X[block] - origin - means[codes[block]]
        squares += weight[block] @ np.square(centered, out=centered)
    return np.sqrt(squares / weight.sum())
