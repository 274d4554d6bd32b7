# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_neurox.probes._gaussian._candidates import candidate_places, choose_candidates
from sklearn_neurox.probes._gaussian._density import (
    encode_labels,
    information_bound,
    joint_log_likelihood,
)
from sklearn_neurox.probes._gaussian._moments import map_covariances
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels, encode_classes
from sklearn_neurox.utils._names import seen_neuron_indices
from sklearn_neurox.utils._sparse import refuse_sparse
from sklearn_neurox.utils._validation import check_matrix, check_weight


class GaussianProbeClassifier(DocLinkMixin, ClassifierMixin, BaseEstimator):
    r"""Gaussian probe: one multivariate normal distribution per class.

    After one fit on :math:`d` neurons, `subset` returns the probe for any subset of them without
    fitting again. Unlike a linear probe, it also uses differences between classes in variances and
    correlations.

    Parameters
    ----------
    candidates : int, float, array-like or None, default=None
        The neurons to model; ``predict`` still expects all columns of X.

        - None: all neurons.
        - int, or float in (0, 1] for a fraction: the columns that are individually most
          informative about the class, by
          :math:`\frac12 (\log \sigma^2_j - \sum_c p_c \log \sigma^2_{cj})` on the training rows.
        - array-like: column indices, feature names or a boolean mask.

    covariance_prior : {"mean", "mode"}, default="mean"
        Whether the prior on the covariance of a class has the diagonal of the empirical
        covariance as its mean or as its mode.

        - ``"mean"``: as in [1]_. Every variance shrinks to about :math:`N / (N + 2 d)` of its
          value, where :math:`N` is the number of rows of the class: the Gaussian of a rare class
          becomes far too narrow, and its probabilities far too confident.
        - ``"mode"``: variances are unchanged, and covariances shrink by that factor. Better if
          classes are rare or there are many neurons.

    priors : array-like of shape (n_classes,) or None, default=None
        Prior probabilities of the classes, in the order of ``classes_``; None uses the class
        frequencies.

    max_memory : float, default=8.0
        Memory limit for the covariances in gigabytes (1e9 bytes). They take
        ``8e-9 * n_classes * d ** 2`` GB, which is 13.6 GB for 17 classes and the 9,984 neurons of
        BERT-base. ``fit`` raises an error beyond the limit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    class_count_ : ndarray of shape (n_classes,)
        Number of rows of each class, or the sum of their weights.

    priors_ : ndarray of shape (n_classes,)
        Prior probabilities of the classes.

    candidates_ : ndarray of shape (d,)
        Indices of the modeled columns, ascending.

    means_ : ndarray of shape (n_classes, d)
        Class means.

    covariances_ : ndarray of shape (n_classes, d, d)
        Class covariances.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, if X has feature names that are all strings.

    See Also
    --------
    sklearn_neurox.ranking.GaussianRanker : Greedy selection of the subset.
    ElasticNetProbeClassifier : A linear probe.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : The same model without a prior.

    Notes
    -----
    The mean and covariance of a class are maximum a posteriori estimates under the
    normal-inverse-Wishart prior of [1]_. For a class with :math:`N` rows, mean :math:`\bar x` and
    scatter matrix :math:`S`, with :math:`\mu_0 = \bar x`, :math:`k_0 = 0.01`,
    :math:`\nu_0 = d + 2`:

    .. math::

        \mu^* = \frac{k_0 \mu_0 + N \bar x}{k_0 + N} = \bar x, \qquad
        \Sigma^* = \frac{\Lambda_0 + S}{\nu_0 + N + d + 2}

    Here :math:`d` is the number of neurons of the fit, even for a subset: a subset is a marginal
    of the fitted Gaussian and differs from a fit on its columns. :math:`\Lambda_0` is the diagonal
    of :math:`S / N`; with ``covariance_prior="mode"``, :math:`\nu_0 + d + 2` times that diagonal.
    The authors used the former, on classes of 100 rows or more.

    The diagonal of :math:`\Sigma^*` would be zero for a class with one row, or for a neuron that is
    constant within a class. Therefore, two terms are added to it: the pooled within-class variance
    divided by :math:`N^2`, which is then the variance of a class with a single row, and a billionth
    of the column's total variance, to guard against rounding. A column that is constant over all
    rows is uninformative: its variance is set to one in every class.

    References
    ----------
    .. [1] L. Torroba Hennigen, A. Williams, R. Cotterell, "Intrinsic Probing through Dimension
       Selection", EMNLP 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_neurox.probes import GaussianProbeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> probe = GaussianProbeClassifier().fit(X, y)
    >>> probe.score(X, y) > 0.95
    True
    >>> petal = probe.subset([2, 3])
    >>> petal.mutual_information(X[:, [2, 3]], y, normalize=True) > 0.8
    True
    """

    _parameter_constraints: dict = {
        "candidates": [*COUNT_CONSTRAINTS, "array-like"],
        "covariance_prior": [StrOptions({"mean", "mode"})],
        "priors": ["array-like", None],
        "max_memory": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        candidates: int | float | ArrayLike | None = None,
        *,
        covariance_prior: str = "mean",
        priors: ArrayLike | None = None,
        max_memory: float = 8.0,
    ):
        self.candidates = candidates
        self.covariance_prior = covariance_prior
        self.priors = priors
        self.max_memory = max_memory

    def __sklearn_is_fitted__(self):
        # An interrupted fit may have set the classes only.
        return hasattr(self, "covariances_")

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "GaussianProbeClassifier":
        """Fit one Gaussian per class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights: weight 2 counts a row twice, weight 0 leaves it out.

        Returns
        -------
        self : GaussianProbeClassifier
            The fitted probe.

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, there are fewer than two classes,
            ``priors`` are not one valid probability per class, or the covariances would exceed
            ``max_memory``.
        """
        refuse_sparse(X, "a Gaussian has a dense covariance", caller=type(self).__name__)
        beside = {"sample_weight": sample_weight}
        X, y = check_matrix(self, X, y, reset=True, squares=True, beside=beside)
        check_class_labels(y)
        weights = check_weight(sample_weight, X)
        weights = np.ones(np.shape(y)) if weights is None else weights
        self.classes_, codes = encode_classes(y, weights > 0, caller=type(self).__name__)
        self.class_count_ = np.bincount(codes, weights, minlength=len(self.classes_))
        self.priors_ = self._check_priors()
        self.candidates_ = choose_candidates(self, X, codes, weights, self.class_count_)
        self.means_, self.covariances_ = map_covariances(
            X, codes, weights, self.class_count_, self.candidates_, self.covariance_prior
        )
        return self

    def _check_priors(self):
        if self.priors is None:
            return self.class_count_ / self.class_count_.sum()
        priors = np.asarray(self.priors, dtype=np.float64)
        if priors.shape != self.classes_.shape:
            raise ValueError(
                f"The 'priors' parameter of {type(self).__name__} has shape {priors.shape}, but "
                f"there are {len(self.classes_)} classes. Give one probability per class."
            )
        if not (priors >= 0).all() or not np.isclose(priors.sum(), 1.0):
            raise ValueError(
                f"The 'priors' parameter of {type(self).__name__} must be non-negative "
                f"probabilities that sum to 1, got {priors.tolist()}."
            )
        return priors

    def subset(self, neurons: ArrayLike) -> "GaussianProbeClassifier":
        """Return the probe for a subset of neurons, without fitting again.

        Its Gaussians are the marginals of those of this probe.

        Parameters
        ----------
        neurons : array-like of int, of str or of bool
            Column indices, feature names or a boolean mask over the columns of X; distinct, and
            all among ``candidates_``.

        Returns
        -------
        probe : GaussianProbeClassifier
            A fitted probe for matrices with only these columns, in the given order.

        Raises
        ------
        ValueError
            If ``neurons`` is empty, or a neuron is unknown, not a candidate, or given twice.
        """
        check_is_fitted(self)
        chosen = self._chosen(neurons)
        places = candidate_places(
            chosen, self.candidates_, self.n_features_in_, caller=type(self).__name__
        )
        probe = clone(self).set_params(candidates=None)
        probe.classes_, probe.class_count_ = self.classes_, self.class_count_
        probe.priors_, probe.n_features_in_ = self.priors_, len(chosen)
        probe.candidates_ = np.arange(len(chosen))
        probe.means_ = self.means_[:, places]
        probe.covariances_ = self.covariances_[:, places[:, np.newaxis], places]
        if hasattr(self, "feature_names_in_"):
            probe.feature_names_in_ = self.feature_names_in_[chosen]
        return probe

    def _chosen(self, neurons):
        return seen_neuron_indices(self, neurons, caller=f"{type(self).__name__}.subset")

    def _joint_log_likelihood(self, X):
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False)
        return joint_log_likelihood(
            X, self.candidates_, self.means_, self.covariances_, self.priors_
        )

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the log of prior times density for every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            In nats, one column per class; with two classes, the log-odds of the second.
        """
        joint = self._joint_log_likelihood(X)
        return joint[:, 1] - joint[:, 0] if joint.shape[1] == 2 else joint

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The most probable classes.
        """
        best = self._joint_log_likelihood(X).argmax(axis=1)
        return self.classes_[best]

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats; columns follow ``classes_``.
        """
        joint = self._joint_log_likelihood(X)
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns follow ``classes_``.
        """
        return np.exp(self.predict_log_proba(X))

    @validate_params(
        {"normalize": ["boolean"], "units": [StrOptions({"bits", "nats"})]},
        prefer_skip_nested_validation=True,
    )
    def mutual_information(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        neurons: ArrayLike | None = None,
        units: str = "bits",
        normalize: bool = False,
    ) -> float:
        r"""Compute a lower bound on the mutual information between neurons and class.

        The bound of [1]_ is :math:`H(y) - \mathrm{CE}`: the entropy of the given labels minus the
        mean of :math:`-\log p(y_i | x_i)` under this probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations of held-out rows: on training rows, the value is not a lower bound.

        y : array-like of shape (n_samples,)
            Labels.

        neurons : array-like of int, of str or of bool, or None, default=None
            Neurons to evaluate, as in `subset`; X must still have all columns. None uses all
            neurons.

        units : {"bits", "nats"}, default="bits"
            Unit of the result; ignored if ``normalize`` is True.

        normalize : bool, default=False
            Whether to divide by :math:`H(y)`, so that the result is at most 1.

        Returns
        -------
        information : float
            At most :math:`H(y)`. Negative if the probe predicts worse than the class frequencies;
            it is not clipped at zero, although the mutual information itself is never negative.

        Raises
        ------
        ValueError
            If a label was not seen in ``fit``, or if ``normalize`` is True and y has only one
            class.

        References
        ----------
        .. [1] L. Torroba Hennigen, A. Williams, R. Cotterell, "Intrinsic Probing through
           Dimension Selection", EMNLP 2020.
        """
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False)
        check_no_missing_labels(y)
        check_consistent_length(X, y)
        codes = encode_labels(np.asarray(y), self.classes_)
        probe, columns = self, self.candidates_
        if neurons is not None:
            probe, columns = self.subset(neurons), self._chosen(neurons)
        joint = joint_log_likelihood(X, columns, probe.means_, probe.covariances_, probe.priors_)
        joint -= logsumexp(joint, axis=1, keepdims=True)
        cross_entropy = -joint[np.arange(len(codes)), codes].mean()
        return information_bound(codes, cross_entropy, units=units, normalize=normalize)
