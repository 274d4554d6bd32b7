# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context, clone
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from sklearn_neurox.probes._gaussian._candidates import candidate_places, choose_candidates
from sklearn_neurox.probes._gaussian._density import (
    encode_labels,
    information_bound,
    joint_log_likelihood,
)
from sklearn_neurox.probes._gaussian._moments import map_covariances
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS
from sklearn_neurox.utils._names import neuron_indices
from sklearn_neurox.utils._validation import (
    check_matrix,
    check_no_missing_labels,
    encode_classes,
)


class GaussianProbeClassifier(ClassifierMixin, BaseEstimator):
    r"""Gaussian probe: one multivariate normal a class, of which any neurons can be read off.

    Fitted once on :math:`d` neurons, it gives the probe of any subset of them without another
    fit. Unlike a linear probe it also uses variances and correlations that tell the class.

    Parameters
    ----------
    candidates : int, float, array-like or None, default=None
        The neurons to model; ``predict`` still takes matrices of all columns.

        - None: all of them.
        - a number, or a fraction in (0, 1]: the columns that alone tell most about the class,
          :math:`\frac12 (\log \sigma^2_j - \sum_c p_c \log \sigma^2_{cj})` on training rows.
        - array-like: column indices, feature names or a mask.

    covariance_prior : {"mean", "mode"}, default="mean"
        What of the prior of a class's covariance is the diagonal of its empirical covariance.

        - ``"mean"``: its mean, as in [1]_. Every variance then shrinks to about
          :math:`N / (N + 2 d)` of itself, :math:`N` being the rows of the class: a rare class
          gets far too narrow a Gaussian, and far too sure probabilities.
        - ``"mode"``: its mode. Variances stay as they are, and covariances shrink by that much.
          Better wherever classes are rare or neurons many.

    priors : array-like of shape (n_classes,) or None, default=None
        The probabilities of the classes, sorted; None takes their shares.

    max_memory : float, default=8.0
        The most the covariances may take, in gigabytes (1e9 bytes): ``8e-9 * n_classes * d ** 2``,
        13.6 for 17 classes and the 9,984 neurons of a BERT-base. Beyond it ``fit`` is an error.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    class_count_ : ndarray of shape (n_classes,)
        How many rows each has, or the sum of their weights.

    priors_ : ndarray of shape (n_classes,)
        The probabilities of the classes.

    candidates_ : ndarray of shape (d,)
        The modelled columns, ascending.

    means_ : ndarray of shape (n_classes, d)
        The means of the classes.

    covariances_ : ndarray of shape (n_classes, d, d)
        The covariances of the classes.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    sklearn_neurox.ranking.GaussianRanker : Chooses the subset greedily.
    ElasticNetProbeClassifier : A linear probe.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : The same model without a prior.

    Notes
    -----
    Mean and covariance of a class are the most probable under the normal-inverse-Wishart prior of
    [1]_. With :math:`N` rows in the class, mean :math:`\bar x`, scatter matrix :math:`S`,
    :math:`\mu_0 = \bar x`, :math:`k_0 = 0.01`, :math:`\nu_0 = d + 2`:

    .. math::

        \mu^* = \frac{k_0 \mu_0 + N \bar x}{k_0 + N} = \bar x, \qquad
        \Sigma^* = \frac{\Lambda_0 + S}{\nu_0 + N + d + 2}

    Here :math:`d` is the number of neurons of the fit, never that of a subset: a subset is a
    marginal of the one Gaussian, not what a fit on its columns gives. :math:`\Lambda_0` is the
    diagonal of :math:`S / N`; with ``covariance_prior="mode"``, :math:`\nu_0 + d + 2` times that.
    The authors used the former, on classes of 100 rows or more.

    That is zero where a class has one row, or a neuron is constant in it. So to the diagonal of
    :math:`\Sigma^*` are added the pooled variance within the classes, divided by :math:`N^2`, so
    that a single row has just that; and a billionth of the column's total variance, against
    rounding. A column constant over all rows tells nothing: its variances are all one.

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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "GaussianProbeClassifier":
        """Fit one Gaussian a class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How often every row counts: weight 2 is the row twice, weight 0 the row left out.

        Returns
        -------
        self : GaussianProbeClassifier
            The fitted probe.

        Raises
        ------
        ValueError
            If X is not finite, a label is missing, there are less than two classes, ``priors``
            do not fit them, or the covariances would not fit into ``max_memory``.
        """
        X, y = check_matrix(self, X, y, reset=True)
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
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
                f"there are {len(self.classes_)} classes; give one probability for each."
            )
        if not (priors >= 0).all() or not np.isclose(priors.sum(), 1.0):
            raise ValueError(
                f"The 'priors' parameter of {type(self).__name__} must be probabilities that sum "
                f"to 1, got {priors.tolist()}. Divide them by their sum."
            )
        return priors

    def subset(self, neurons: ArrayLike) -> "GaussianProbeClassifier":
        """Give the probe of some neurons, without fitting: the marginals of the Gaussians.

        Parameters
        ----------
        neurons : array-like of int, of str or of bool
            Columns of the matrices this probe takes: indices, feature names or a mask; each once,
            and among ``candidates_``.

        Returns
        -------
        probe : GaussianProbeClassifier
            A fitted probe that takes matrices of just these columns, in the order given.

        Raises
        ------
        ValueError
            If a neuron is unknown, not a candidate, or given twice, or there is none.
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
        return neuron_indices(
            neurons,
            names=getattr(self, "feature_names_in_", None),
            n_features=self.n_features_in_,
            caller=f"{type(self).__name__}.subset",
        )

    def _joint_log_likelihood(self, X):
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False)
        return joint_log_likelihood(
            X, self.candidates_, self.means_, self.covariances_, self.priors_
        )

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the log of prior times density of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            In nats, one column a class; with two classes the log-odds of the second.
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
        """Compute the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In nats; columns are as in ``classes_``.
        """
        joint = self._joint_log_likelihood(X)
        return joint - logsumexp(joint, axis=1, keepdims=True)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns are as in ``classes_``.
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
        r"""Bound from below what the neurons tell about the class.

        The bound of [1]_ is :math:`H(y) - \mathrm{CE}`: the entropy of the labels given, less the
        mean of :math:`-\log p(y_i | x_i)` under this probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations of rows not fitted on: on training rows it is no bound.

        y : array-like of shape (n_samples,)
            Labels.

        neurons : array-like of int, of str or of bool, or None, default=None
            The neurons to take it of, as in ``subset``; X has all columns. None for all.

        units : {"bits", "nats"}, default="bits"
            The unit. A normalized value has none.

        normalize : bool, default=False
            Whether to divide by :math:`H(y)`, in the same unit; the result is at most 1.

        Returns
        -------
        information : float
            Never above :math:`H(y)`. Negative where the probe does worse than the shares of the
            classes would; this is not cut off, though the information itself is never negative.

        Raises
        ------
        ValueError
            If a label was not seen in ``fit``; or, to normalize, if there is only one class.

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
