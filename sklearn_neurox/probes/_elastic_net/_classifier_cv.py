# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.probes._elastic_net._classifier import ElasticNetProbeClassifier
from sklearn_neurox.probes._elastic_net._path import BaseElasticNetPath
from sklearn_neurox.probes._elastic_net._probe_classifier import ProbeClassifierMixin
from sklearn_neurox.probes._elastic_net._targets import (
    class_targets,
    mean_one_weight,
    scaled_weight,
)


class ElasticNetProbeClassifierCV(ProbeClassifierMixin, BaseElasticNetPath):
    """Linear probe with an elastic-net penalty that is chosen by validation.

    On every fold the whole grid is fitted, from the strongest penalty to the weakest, each fit
    from the solution before it; the data of a fold is standardized and laid out once. The chosen
    penalty is then fitted on the whole data, to a certified gap.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the l1 penalty, or several to choose from.

    alphas : int or array-like of shape (n_alphas,), default=10
        How many alphas, spaced evenly in their logarithm from the smallest at which all
        coefficients are zero down to ``eps`` times it, on the whole data; or the alphas.

    eps : float, default=1e-3
        Smallest alpha of the grid, relative to the largest.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split. An int, or None for 5, asks for so many folds: of whole ``groups`` where
        they are given, and otherwise contiguous, never shuffled, with a warning.

    scoring : str, callable or None, default=None
        The scorer; None takes the accuracy.

    selection : {"best", "one_standard_error"}, default="best"
        Which model to take: that of the best mean score, or of those within one standard error of
        it, over folds, the one with the fewest coefficients that are not zero.

    standardize : bool, default=False
        Whether the penalty acts on the coefficients of columns that are centred and divided by
        their standard deviation, which is that of the training part of each fold.

    fit_intercept : bool, default=True
        Whether to fit an intercept.

    class_weight : dict or "balanced", default=None
        Weights of the classes, "balanced" ones from the training part of each fold.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        See `ElasticNetProbeClassifier`.

    tol : float, default=1e-3
        Every fit stops at a duality gap of ``tol`` times the objective; folds that are solved
        together, at the sum of their gaps and objectives.

    max_iter : int, default=1000
        The most passes over the data of one fit.

    n_jobs : int or None, default=None
        Folds to work on at a time, in threads that share X; each takes a working copy of its own.

    device : str, default="auto"
        Where to solve: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" takes CUDA where there is
        one.

    random_state : int, RandomState instance or None, default=None
        Shuffles rows and batches inside the solvers. Pass an int for the same bits in every fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients of the fit on the whole data, with exact zeros.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Its intercepts.

    alpha_, l1_ratio_ : float
        The chosen penalty.

    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        The grid, the largest alpha first; one row where ``l1_ratio`` is a list.

    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        The score of every fit on the part held out.

    n_nonzero_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        Its number of coefficients that are not zero.

    dual_gap_ : float
        The objective on the whole data is at most this much above the optimum.

    n_iter_ : int
        Passes over the whole data of the last fit.

    alpha_max_ : float
        The smallest ``alpha`` at which, with ``l1_ratio_``, all coefficients are zero.

    n_features_in_ : int
        Number of features seen in fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    ElasticNetProbeClassifier : The probe with a given penalty.
    ElasticNetProbeRegressorCV : The same for numbers.

    Notes
    -----
    A pipeline that does more than probe on every fold, such as to select neurons, needs
    `sklearn.model_selection.GridSearchCV`.

    A class without samples in the training part of a fold is not predicted there, with a warning.

    Callbacks are told of every fold.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import KFold
    >>> from sklearn_neurox.probes import ElasticNetProbeClassifierCV
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = ElasticNetProbeClassifierCV(
    ...     [0.1, 0.9], alphas=[0.01, 0.1], cv=KFold(3), standardize=True, random_state=0
    ... ).fit(X, y)
    >>> probe.scores_.shape
    (3, 2, 2)
    >>> probe.alpha_, probe.l1_ratio_
    (0.01, 0.1)
    """

    _parameter_constraints: dict = {
        **BaseElasticNetPath._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        l1_ratio: float | ArrayLike = 0.5,
        *,
        alphas: int | ArrayLike = 10,
        eps: float = 1e-3,
        cv: int | Iterable | BaseCrossValidator | None = None,
        scoring: str | Callable | None = None,
        selection: str = "best",
        standardize: bool = False,
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        solver: str = "auto",
        tol: float = 1e-3,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            l1_ratio=l1_ratio,
            alphas=alphas,
            eps=eps,
            cv=cv,
            scoring=scoring,
            selection=selection,
            standardize=standardize,
            fit_intercept=fit_intercept,
            solver=solver,
            tol=tol,
            max_iter=max_iter,
            n_jobs=n_jobs,
            device=device,
            random_state=random_state,
        )
        self.class_weight = class_weight

    @_fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> "ElasticNetProbeClassifierCV":
        """Choose the penalty, and fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, in every fit and every score.

        groups : array-like of shape (n_samples,), default=None
            What must not be split between two folds, such as ``words["text"]``.

        Returns
        -------
        self : ElasticNetProbeClassifierCV
            The fitted probe.

        Raises
        ------
        ValueError
            If X has values that are not finite, y has missing labels or less than two classes,
            weights are negative, or the scorer gives no number.
        """
        X, y, _ = self._check_labels(X, y)
        return self._search(X, y, mean_one_weight(sample_weight, X), groups)

    def _targets(self, y, weight, rows=slice(None), where=""):
        return class_targets(
            np.searchsorted(self.classes_, y[rows]),
            self.classes_,
            class_weight=self.class_weight,
            sample_weight=None if weight is None else scaled_weight(weight[rows]),
            where=where,
        )

    def _plain(self, attributes):
        probe = ElasticNetProbeClassifier()
        probe.__dict__.update(attributes, classes_=self.classes_)
        return probe
