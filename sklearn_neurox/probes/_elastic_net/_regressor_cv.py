# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.model_selection import BaseCrossValidator

from sklearn_neurox.probes._elastic_net._path import BaseElasticNetPath
from sklearn_neurox.probes._elastic_net._probe_regressor import ProbeRegressorMixin
from sklearn_neurox.probes._elastic_net._regressor import ElasticNetProbeRegressor
from sklearn_neurox.probes._elastic_net._targets import (
    centre_of,
    mean_one_weight,
    number_targets,
    scaled_weight,
)


class ElasticNetProbeRegressorCV(ProbeRegressorMixin, BaseElasticNetPath):
    """Linear regression probe with an elastic-net penalty that is chosen by validation.

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
        The scorer; None takes R squared.

    selection : {"best", "one_standard_error"}, default="best"
        Which model to take: that of the best mean score, or of those within one standard error of
        it, over folds, the one with the fewest coefficients that are not zero.

    standardize : bool, default=False
        Whether the penalty acts on the coefficients of columns that are centred and divided by
        their standard deviation, which is that of the training part of each fold.

    fit_intercept : bool, default=True
        Whether to fit an intercept.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        See `ElasticNetProbeRegressor`.

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
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients of the fit on the whole data, with exact zeros.

    intercept_ : float or ndarray of shape (n_outputs,)
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
    ElasticNetProbeRegressor : The probe with a given penalty.
    ElasticNetProbeClassifierCV : The same for classes.

    Notes
    -----
    A pipeline that does more than probe on every fold, such as to select neurons, needs
    `sklearn.model_selection.GridSearchCV`.

    Callbacks are told of every fold.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import KFold
    >>> from sklearn_neurox.probes import ElasticNetProbeRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> probe = ElasticNetProbeRegressorCV(1.0, alphas=5, cv=KFold(3), random_state=0).fit(X, y)
    >>> probe.scores_.shape
    (3, 1, 5)
    >>> probe.score(X, y) > 0.4
    True
    """

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

    @_fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> "ElasticNetProbeRegressorCV":
        """Choose the penalty, and fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, in every fit and every score.

        groups : array-like of shape (n_samples,), default=None
            What must not be split between two folds, such as ``words["text"]``.

        Returns
        -------
        self : ElasticNetProbeRegressorCV
            The fitted probe.

        Raises
        ------
        ValueError
            If X or y has values that are not finite, weights are negative, or the scorer gives no
            number.
        """
        X, y = self._check_numbers(X, y, ensure_min_samples=2)
        weight = mean_one_weight(sample_weight, X)
        # One for all folds, because they are solved together.
        self._centre = centre_of(y, weight, fit_intercept=self.fit_intercept)
        self._search(X, y, weight, groups)
        del self._centre
        return self

    def _targets(self, y, weight, rows=slice(None), where=""):
        weight = None if weight is None else scaled_weight(weight[rows])
        return number_targets(y[rows], weight, self._centre)

    def _plain(self, attributes):
        probe = ElasticNetProbeRegressor()
        probe.__dict__.update(attributes)
        return probe
