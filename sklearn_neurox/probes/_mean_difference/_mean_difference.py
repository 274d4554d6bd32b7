# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.probes._elastic_net._probe_classifier import ProbeClassifierMixin
from sklearn_neurox.probes._mean_difference._class_moments import (
    ClassMoments,
    ledoit_wolf_covariance,
)
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._finite import check_all_finite, check_squares
from sklearn_neurox.utils._labels import check_class_labels, encode_classes, encode_known
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._solve import solve_covariance
from sklearn_neurox.utils._validation import check_matrix, check_weight

# A variance within classes below this share of the total is due to rounding.
_ROUNDING = 1e-20


def _can_stream(estimator):
    if estimator.shrinkage == "auto":
        raise AttributeError(
            "partial_fit is not available with shrinkage='auto', which needs the fourth moments of "
            "all rows. Call fit, or choose the shrinkage as a number."
        )
    return True


class MeanDifferenceProbeClassifier(DocLinkMixin, ProbeClassifierMixin, BaseEstimator):
    r"""Linear probe whose weights are the differences between class means.

    It has a closed-form solution: nothing is tuned, and one or two passes over the rows suffice.
    With two classes, ``coef_`` is the difference between their means, the direction that steering
    and ablation of a concept often start from. With ``shrinkage``, the differences are whitened by
    the covariance within classes, which is linear discriminant analysis (LDA).

    Parameters
    ----------
    shrinkage : float in [0, 1], "auto" or None, default=None
        How the covariance within classes is used.

        - None: not at all. ``coef_`` contains differences between means, in units of X.
        - float: the differences are multiplied by the inverse of
          :math:`(1 - s) \Sigma + s \frac{\operatorname{tr} \Sigma}{d} I`, where :math:`s` is the
          shrinkage. 0 does not shrink; 1 predicts the same as None.
        - ``"auto"``: each class is shrunk by the amount of Ledoit and Wolf [1]_.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.

    class_count_ : ndarray of shape (n_classes,)
        Number of rows of each class, or the sum of their weights.

    means_ : ndarray of shape (n_classes, n_features)
        Class means.

    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        With two classes, the mean of the second class minus that of the first. With more classes,
        the mean of each class minus the mean of all rows. Multiplied by the inverse covariance if
        there is a ``shrinkage``.

    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts, which contain the logarithms of the class frequencies.

    variance_ : float
        Mean variance of a neuron within classes. Without ``shrinkage``, decision values divided by
        it are log-odds.

    covariance_ : ndarray of shape (n_features, n_features) or None
        The shrunk covariance within classes; None if ``shrinkage`` is None.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    ElasticNetProbeClassifier : A linear probe that minimizes the log loss.
    GaussianProbeClassifier : Each class has its own covariance.
    sklearn_neurox.ablation.ConceptEraser : Remove what a linear probe can read.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : The same model with ``shrinkage``.

    Notes
    -----
    Each class is a Gaussian, and all share one covariance :math:`\Sigma`, so that the log-odds of
    two classes are linear:

    .. math::

        \log \frac{p(c \mid x)}{p(c' \mid x)} = (\mu_c - \mu_{c'})^\top \Sigma^{-1}
        \Big(x - \frac{\mu_c + \mu_{c'}}{2}\Big) + \log \frac{p_c}{p_{c'}}

    Without ``shrinkage``, :math:`\Sigma` is ``variance_`` times the identity, and decision values
    are the log-odds times ``variance_``.

    Predictions equal those of scikit-learn's LDA with ``solver="lsqr"`` and the same shrinkage, and
    with two classes, ``coef_`` and ``intercept_`` do too. With more classes, every row of ``coef_``
    of that solver contains the mean of all rows, which changes no prediction but hides the
    directions of the classes; this probe subtracts it, and so does LDA with ``solver="svd"``. If
    the covariance is singular, its pseudo-inverse is used.

    A covariance takes ``8e-9 * n_features ** 2`` GB, whatever the dtype of X and even if X is
    sparse. Without ``shrinkage``, a sparse matrix stays sparse.

    References
    ----------
    .. [1] O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", Journal of Multivariate Analysis 88, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.probes import MeanDifferenceProbeClassifier
    >>> X = np.array([[0.0, 1.0], [2.0, 1.0], [5.0, 1.0], [7.0, 3.0]])
    >>> probe = MeanDifferenceProbeClassifier().fit(X, ["a", "a", "b", "b"])
    >>> probe.coef_
    array([[5., 1.]])
    >>> probe.predict([[1.0, 1.0], [6.0, 2.0]])
    array(['a', 'b'], dtype='<U1')
    """

    _parameter_constraints: dict = {
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"}), None],
    }

    def __init__(self, shrinkage: float | str | None = None):
        self.shrinkage = shrinkage

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self):
        # An interrupted fit may have set the classes only.
        return hasattr(self, "coef_")

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "MeanDifferenceProbeClassifier":
        """Compute the class means, and the covariance if there is a ``shrinkage``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified, and read once, or twice
            with ``shrinkage="auto"``.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights: weight 2 counts a row twice, weight 0 leaves it out.

        Returns
        -------
        self : MeanDifferenceProbeClassifier
            The fitted probe.

        Raises
        ------
        ValueError
            If X contains NaN or infinity or too large values, a label is missing, there are fewer
            than two classes, a weight is negative, or ``shrinkage`` is given but X is constant
            within every class.
        """
        X, y, weights = self._check_input(X, y, sample_weight, reset=True)
        check_class_labels(y)
        self.classes_, codes = encode_classes(y, weights > 0, caller=type(self).__name__)
        moments = self._updated(self._start(), X, codes, weights)
        if self.shrinkage is not None and not moments.total_within():
            raise ValueError(
                f"X is constant within every class, so {type(self).__name__} has no covariance to "
                "whiten with. Give it more rows per class, or use shrinkage=None."
            )
        covariance = None
        if self.shrinkage == "auto":
            covariance = ledoit_wolf_covariance(X, codes, weights, moments)
        self._set_solution(moments, covariance)
        return self

    @available_if(_can_stream)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "MeanDifferenceProbeClassifier":
        """Add a batch of rows; the result equals that of ``fit`` on all rows, up to rounding.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified, and read once.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,) or None, default=None
            All labels that can occur in any call; required in the first call only.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights.

        Returns
        -------
        self : MeanDifferenceProbeClassifier
            The updated probe. A class without rows so far has zero coefficients and probability
            zero.

        Raises
        ------
        ValueError
            If the first call lacks ``classes``, y contains a label that is not in ``classes``, or
            X contains NaN or infinity.
        """
        is_first = not hasattr(self, "classes_")
        # Private, but it has no public counterpart; scikit-learn's `partial_fit` methods use it.
        _check_partial_fit_first_call(self, classes)
        X, y, weights = self._check_input(X, y, sample_weight, reset=is_first, forget=False)
        codes = encode_known(y, self.classes_)
        moments = self._start()
        if hasattr(self, "_moments"):
            moments = ClassMoments(**self._moments)
        if moments.scatter is None and self.shrinkage is not None:
            raise ValueError(
                f"The 'shrinkage' parameter of {type(self).__name__} was set to {self.shrinkage} "
                "after rows were read without it, so their covariance is unknown. Call fit."
            )
        self._set_solution(self._updated(moments, X, codes, weights))
        return self

    def _check_input(self, X, y, sample_weight, **params):
        params |= {"all_finite": False, "squares": self.shrinkage is not None}
        params["beside"] = {"sample_weight": sample_weight}
        X, y = check_matrix(self, X, y, accept_sparse="csr", **params)
        weights = check_weight(sample_weight, X)
        return X, y, np.ones(X.shape[0]) if weights is None else weights

    def _start(self):
        shape = len(self.classes_), self.n_features_in_
        return ClassMoments.empty(*shape, with_scatter=isinstance(self.shrinkage, Real))

    def _updated(self, moments, X, codes, weights):
        with np.errstate(over="ignore", invalid="ignore"):
            moments = moments.updated(X, codes, weights)
        caller = type(self).__name__
        if not moments.counts.sum():
            raise ValueError(f"{caller} was given no row of positive weight.")
        if moments.is_finite():
            return moments
        names = getattr(self, "feature_names_in_", None)
        check_all_finite(X, names, caller=caller)
        check_squares(X, names, caller)
        raise ValueError(
            f"Input X contains values whose squares are too large for {caller}. Rescale the "
            "columns, for example with StandardScaler."
        )

    def _set_solution(self, moments, covariance=None):
        self._moments = vars(moments)
        self.class_count_, self.means_ = moments.counts, moments.means
        priors = moments.counts / moments.counts.sum()
        center = priors @ (moments.means - moments.means[0]) + moments.means[0]
        directions = (moments.means - center) * (priors > 0)[:, np.newaxis]
        self.variance_ = _variance(moments, priors, directions)
        if isinstance(self.shrinkage, Real):
            covariance = _shrunk(moments.scatter / moments.counts.sum(), self.shrinkage)
        self.covariance_ = covariance
        coef = directions
        unit = self.variance_
        if covariance is not None:
            coef, unit = solve_covariance(covariance, directions.T).T, 1.0
        with np.errstate(divide="ignore"):
            log_priors = np.log(priors)
        intercept = unit * log_priors - np.einsum("ij,ij->i", coef, directions / 2 + center)
        if len(coef) == 2:
            coef = coef[1:] - coef[:1]
            middle = (moments.means[0] + moments.means[1]) / 2
            intercept = unit * (log_priors[1:] - log_priors[:1]) - coef @ middle
        self.coef_, self.intercept_ = coef, intercept

    def _scores(self, X):
        check_is_fitted(self)
        X = check_matrix(self, X, accept_sparse="csr", reset=False)
        scores = np.empty((X.shape[0], len(self.intercept_)))
        for block in row_blocks(X):
            scores[block] = X[block].astype(np.float64) @ self.coef_.T
        return scores + self.intercept_

    def _log_odds(self, X):
        scores = self.decision_function(X)
        return scores / self.variance_ if self.covariance_ is None else scores


def _variance(moments, priors, directions):
    """Return the mean variance within classes, above the rounding errors of the total variance."""
    n_features = directions.shape[1]
    within = moments.total_within() / (moments.counts.sum() * n_features)
    between = float(priors @ np.square(directions).sum(axis=1)) / n_features
    return max(within, _ROUNDING * (within + between)) or 1.0


def _shrunk(covariance, shrinkage):
    level = np.trace(covariance) / len(covariance)
    covariance = (1 - shrinkage) * covariance
    covariance[np.diag_indices(len(covariance))] += shrinkage * level
    return covariance
