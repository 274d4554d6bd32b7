# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from sklearn_neurox.probes._default_probe import RANKING_TOL, default_probe
from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._loss_gradient import loss_gradient, prediction_residuals
from sklearn_neurox.ranking._rare_classes import MIN_COUNT_CONSTRAINTS, RareClasses
from sklearn_neurox.ranking._weight_mass import (
    hold_smallest_mass,
    mass_scores,
    needed_for_mass,
    reach_threshold,
)
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._moments import column_deviations, column_means
from sklearn_neurox.utils._validation import check_weight
from sklearn_neurox.utils._warn_user import warn_user


class LCARanker(BaseRanker):
    r"""Rank neurons by the weights of a linear probe (linguistic correlation analysis).

    For each class, neurons are sorted by the absolute value of their weight. The share
    :math:`s_{cj}` of neuron :math:`j` in class :math:`c` is the fraction of the class's weight mass
    that belongs to neurons with strictly larger weights:

    .. math:: s_{cj} = \sum_{i : |w_{ci}| > |w_{cj}|} |w_{ci}| \Big/ \sum_i |w_{ci}|

    The score of a neuron is :math:`1 - \min_c s_{cj}`. The neurons that score above :math:`1 - p`
    are therefore those that some class needs to make up the fraction :math:`p` of its weight mass.
    This is the limit, for fine steps, of the percentage walk of the original method. A neuron with
    zero weight in a class has share 1 there; a class whose weights are all zero is ignored.

    Ties are broken by the neuron's own largest share of a class's weight mass. Neurons whose
    weights are all zero (half of all neurons on real data) are ordered by the largest absolute
    gradient of the loss at the solution: the first one would enter the model next if the penalty
    were relaxed. Any remaining ties are broken by position.

    This ranker finds what a linear probe can use: shifted means, given all other neurons. It misses
    neurons whose variance alone differs between classes and pairs that reveal a class only together
    (XOR). Among redundant neurons it may favor one.

    Parameters
    ----------
    estimator : estimator instance or None, default=None
        Linear model that has ``coef_`` after ``fit``; it is cloned and fitted. To use a model that
        is already fitted, wrap it in `sklearn.frozen.FrozenEstimator`. With a regressor, there are
        no class scores. None uses `sklearn_neurox.probes.ElasticNetProbeClassifier`, or
        `ElasticNetProbeRegressor` if y has non-integer numbers, with ``standardize=True``,
        ``random_state=0`` and ``tol=1e-5``. If you pass an elastic-net probe, set its ``tol`` to
        1e-5, too: its default of 1e-3 is close enough for predictions, but changes ranks.

    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    mass : float or None, default=None
        Alternative to ``n_neurons``: keep the neurons that some class needs to make up this
        fraction of its weight mass, in (0, 1]. The original work uses 0.25; 1 keeps all neurons
        with non-zero weight. ``class_scores_ > 1 - mass`` marks those of each class.

    threshold : float or None, default=None
        Alternative to ``n_neurons``: keep the neurons whose weight in some class is at least this
        fraction of the largest weight of that class, in (0, 1].

    which : {"top", "bottom", "smallest"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked ``n_neurons``. With ``mass``
        or ``threshold``, whether it keeps the neurons that meet the criterion or all others. With
        ``mass``, ``"smallest"`` keeps, for each class, the neurons with the smallest weights that
        together hold this fraction of its weight mass, and so all neurons that are among these for
        some class: the bottom neurons of the original work. Equal weights are kept together. A
        warning is issued if only some of the neurons with zero weight are among the bottom ones.

    importance : {"standardized", "raw"}, default="standardized"
        How to measure the size of a weight.

        - ``"standardized"``: its absolute value times the standard deviation of its column in X,
          which is the change in the decision for a typical change in the neuron. Independent of
          the units of the columns.
        - ``"raw"``: its absolute value, as in the original method; neurons of small magnitude then
          tend to have large weights. The same as ``"standardized"`` on standardized columns.

        The gradient is computed on the same scale.

    min_count : int, default=1
        Classes with fewer rows than this (of positive weight) are left out of ``scores_``, the
        overall ranking and the neurons that ``transform`` keeps. They are classes of the probe
        nevertheless, and have class scores. Ignored for a regressor.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        Score of each neuron, from 0 to 1; higher means more important. 1 for neurons with the
        largest weight of some class (so several neurons can tie at 1), 0 for neurons whose weights
        are all zero. Scores ignore the sign of the weights, which is in ``estimator_.coef_``.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        Score of each neuron for each class, :math:`1 - s_{cj}`; rows follow ``classes_``. 0 in a
        class whose weights are all zero. Two classes share one row of weights, and therefore have
        equal scores. Only available for classifiers.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first.

    class_order_ : ndarray of shape (n_classes, n_features_in_)
        Column indices for each class, best first, with ties broken in the same way; rows follow
        ``classes_``. Only available for classifiers.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.

    importances_ : ndarray of shape (n_rows, n_features_in_)
        Size of each weight, as chosen by ``importance``; one row per class or output, or a single
        row for two classes.

    n_tied_ : int
        Number of neurons whose weights are all zero (in the classes that ``min_count`` does not
        leave out). They tie at score 0, rank after all others, and are ordered by gradient.

    estimator_ : estimator instance
        The fitted linear model.

    classes_ : ndarray of shape (n_classes,)
        Class labels. Only available for classifiers.

    rare_classes_ : ndarray
        Labels of the classes that ``min_count`` leaves out of the overall ranking. Only available
        for classifiers.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    ProbelessRanker : Rank without a probe.
    sklearn_neurox.ablation.ablation_curve : Measure how good a ranking is.

    Notes
    -----
    The gradient is exact for the logistic, multinomial and squared losses. For a classifier without
    ``predict_proba``, probabilities are the sigmoid or softmax of its decision function. The
    order of its zero-weight neurons is then reasonable, but does not follow its own loss.

    References
    ----------
    .. [1] F. Dalvi, N. Durrani, H. Sajjad, Y. Belinkov, A. Bau, J. Glass, "What Is One Grain of
       Sand in the Desert? Analyzing Individual Neurons in Deep NLP Models", AAAI 2019.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.ranking import LCARanker
    >>> X, y = make_classification(n_informative=2, n_redundant=0, shuffle=False, random_state=0)
    >>> ranker = LCARanker(LogisticRegression(), n_neurons=2).fit(X, y)
    >>> ranker.get_support(indices=True)
    array([ 1, 17])
    >>> ranker.to_frame()["neuron"].head(2).tolist()
    ['x1', 'x17']
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"]), None],
        **BaseRanker._parameter_constraints,
        "which": [StrOptions({"top", "bottom", "smallest"})],
        "mass": [Interval(Real, 0, 1, closed="right"), None],
        "threshold": [Interval(Real, 0, 1, closed="right"), None],
        "importance": [StrOptions({"standardized", "raw"})],
        "min_count": MIN_COUNT_CONSTRAINTS,
    }

    _needs_labels = True

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        n_neurons: int | float | None = None,
        mass: float | None = None,
        threshold: float | None = None,
        which: str = "top",
        importance: str = "standardized",
        min_count: int = 1,
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.estimator = estimator
        self.mass = mass
        self.threshold = threshold
        self.importance = importance
        self.min_count = min_count

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            tags.input_tags.sparse = get_tags(self.estimator).input_tags.sparse
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> "LCARanker":
        """Fit the linear model and rank the neurons by its weights.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class label of each row, or the targets of a regressor.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the estimator's ``fit``, the standard deviations and the
            gradient. The estimator must accept ``sample_weight``.

        groups : array-like of shape (n_samples,) or None, default=None
            Group labels, passed to the estimator's ``fit`` if it accepts them, as estimators with
            internal cross-validation do.

        Returns
        -------
        self : LCARanker

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, a weight is negative, the model has
            no usable ``coef_``, only one class has ``min_count`` rows, or more than one of
            ``n_neurons``, ``mass`` and ``threshold`` is given.

        Warns
        -----
        UserWarning
            If most of the best neurons owe their rank to classes with fewer than ten rows, or if
            only some of the neurons without weight are among the bottom ones.
        """
        if self.estimator is None and y is not None:
            check_no_missing_labels(y)
        template = self.estimator
        if template is None:
            template = default_probe(y, tol=RANKING_TOL)
        regression = not is_classifier(template)
        options = {"multi_output": regression, "y_numeric": regression}
        beside = {"groups": groups, "sample_weight": sample_weight}
        matrix, targets = self._check_fit_input(X, y, beside=beside, **options)
        if not regression:
            check_class_labels(targets)
        sample_weight = check_weight(sample_weight, matrix)
        # The estimator gets X as it was passed, so that it sees its feature names.
        self.estimator_ = fit_with_groups(clone(template), X, targets, groups, sample_weight)
        self.importances_, gradients = self._weights_and_gradients(
            X, matrix, targets, sample_weight
        )
        self._rank_by_mass(self.importances_, gradients, targets, sample_weight)
        self._warn_about_zero_weights()
        return self

    def _weights_and_gradients(self, X, matrix, targets, sample_weight):
        coef = _linear_coefficients(self.estimator_, matrix.shape[1])
        means, deviations = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
        if self.importance == "standardized":
            means = column_means(matrix, sample_weight)
            deviations = column_deviations(matrix, means, sample_weight)
        weights = np.abs(coef) * deviations
        if weights.all():
            return weights, np.zeros_like(weights)
        residuals = prediction_residuals(self.estimator_, X, targets)
        if len(coef) == 1:
            # With two classes, the single row of weights belongs to the second class.
            residuals = residuals[:, -1:]
        if sample_weight is not None:
            residuals = residuals * (sample_weight / sample_weight.mean())[:, np.newaxis]
        return weights, np.abs(loss_gradient(matrix, residuals, means, deviations))

    def _rank_by_mass(self, weights, gradients, targets, sample_weight):
        masses = weights.sum(axis=1, keepdims=True)
        own_shares = np.divide(weights, masses, out=np.zeros_like(weights), where=masses > 0)
        class_scores = np.stack([mass_scores(row) for row in weights])
        by_class, rare = {}, None
        self._counted = np.ones(len(weights), dtype=bool)
        self._forget_classes()
        if is_classifier(self.estimator_):
            self.classes_ = np.asarray(self.estimator_.classes_)
            rare = RareClasses(self, targets, sample_weight)
            rows = np.arange(len(self.classes_)) % len(weights)
            # With two classes, both of them count, and share one row.
            self._counted = rare.is_counted[: len(weights)]
            by_class = {
                "class_scores": class_scores[rows],
                "class_tie_breakers": (own_shares[rows], gradients[rows]),
            }
        counted = self._counted
        self.n_tied_ = int(np.count_nonzero(~weights[counted].any(axis=0)))
        tie_breakers = own_shares[counted].max(axis=0), gradients[counted].max(axis=0)
        self._set_ranking(class_scores[counted].max(axis=0), tie_breakers, **by_class)
        if rare is not None:
            rare.warn_if_dominant()

    def _n_selected(self):
        cuts = {"n_neurons": self.n_neurons, "mass": self.mass, "threshold": self.threshold}
        given = [f"{name}={value!r}" for name, value in cuts.items() if value is not None]
        if len(given) > 1:
            raise ValueError(
                f"LCARanker got {' and '.join(given)}, which are alternative ways to select "
                "neurons. Set only one of them."
            )
        if self.which == "smallest" and self.mass is None:
            raise ValueError(
                "LCARanker(which='smallest') keeps the neurons with the smallest weights that hold "
                "a fraction of the weight mass. Set it with mass=, or use which='bottom'."
            )
        return super()._n_selected()

    def _get_support_mask(self):
        support = super()._get_support_mask()
        if self.which == "smallest":
            return hold_smallest_mass(self.importances_[self._counted], self.mass).any(axis=0)
        if self.mass is None and self.threshold is None:
            return support
        if self.mass is not None:
            selected = needed_for_mass(self.scores_, self.mass)
        else:
            selected = reach_threshold(self.importances_[self._counted], self.threshold).any(axis=0)
        return selected == (self.which == "top")

    def _warn_about_zero_weights(self):
        n_selected = np.count_nonzero(self._get_support_mask())
        if self.n_tied_ == self.n_features_in_:
            warn_user(
                f"All weights of the {type(self.estimator_).__name__} are zero, so the "
                f"{self.n_features_in_} neurons are ordered by the gradient of the loss alone. Fit "
                "the probe with a weaker penalty.",
            )
        elif self.which == "bottom" and n_selected < self.n_tied_:
            warn_user(
                f"All {n_selected} bottom neurons are among the {self.n_tied_} (of "
                f"{self.n_features_in_}) neurons with zero weight. These tie, so the gradient of "
                "the loss, not the weight, decides which of them are kept.",
            )


def _linear_coefficients(estimator, n_features):
    name = type(estimator).__name__
    coef = getattr(estimator, "coef_", None)
    if coef is None:
        raise ValueError(
            f"LCARanker ranks by the weights of a linear model, but the fitted {name} has no "
            "attribute 'coef_'. Use a linear estimator; if it is the last step of a pipeline, put "
            "the other steps in front of the ranker."
        )
    coef = coef.toarray() if hasattr(coef, "toarray") else np.asarray(coef)
    coef = np.atleast_2d(coef).astype(np.float64)
    if not np.isfinite(coef).all():
        raise ValueError(
            f"The 'coef_' of the fitted {name} contains NaN or infinity, so its weights cannot be "
            "ranked. Fit it until it converges, or with a stronger penalty."
        )
    n_classes = len(getattr(estimator, "classes_", coef))
    n_rows = {1, 2} if n_classes == 2 else {n_classes}
    if coef.shape[1] != n_features or len(coef) not in n_rows:
        raise ValueError(
            f"The 'coef_' of the fitted {name} has shape {coef.shape}, but X has {n_features} "
            f"columns and there are {n_classes} classes or outputs. LCARanker needs one row of "
            "weights per class or output (a single row for two classes), fitted on these columns."
        )
    return coef
