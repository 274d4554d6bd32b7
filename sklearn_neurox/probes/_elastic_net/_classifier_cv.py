# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.probes._elastic_net._classifier import ElasticNetProbeClassifier
from sklearn_neurox.probes._elastic_net._path import BaseElasticNetPath
from sklearn_neurox.probes._elastic_net._probe_classifier import ProbeClassifierMixin


class ElasticNetProbeClassifierCV(ProbeClassifierMixin, BaseElasticNetPath):
    """Linear classification probe with an elastic-net penalty chosen by cross-validation.

    In every fold, the whole grid is fitted from the strongest penalty to the weakest, and each fit
    starts from the previous solution. The probe is then fitted with the chosen penalty on all the
    data, with a certified solution.

    Parameters
    ----------
    l1_ratio : float or list of float, default=0.5
        Share of the l1 term in the penalty: 1 for the lasso, 0 for ridge. A list gives the values
        to choose from.

    alphas : int or array-like of shape (n_alphas,), default=10
        Penalty strengths to choose from. An int is the number of alphas on a logarithmic grid:
        from the smallest alpha at which all coefficients are zero (on all the data) down to
        ``eps`` times that.

    eps : float, default=1e-3
        Ratio of the smallest alpha to the largest on that grid.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation splitter. An int, or None for 5, is the number of folds. If ``groups`` are
        given, every group stays within one fold; otherwise the folds are contiguous, never
        shuffled, and a warning is issued.

    scoring : str, callable or None, default=None
        Scorer; None uses accuracy.

    selection : {"best", "one_standard_error"}, default="best"
        Rule for choosing the penalty: "best" takes the best mean score over folds;
        "one_standard_error" takes, among the models within one standard error of that score, the
        one with the fewest non-zero coefficients.

    standardize : bool, default=False
        If True, the penalty acts on the coefficients of the standardized columns (centered and
        divided by their standard deviation in the training part of each fold).

    fit_intercept : bool, default=True
        Whether to fit an intercept. Without one, columns are scaled but not centered.

    class_weight : dict or "balanced", default=None
        Class weights, multiplied by the sample weights. "balanced" gives every class the same
        total weight in the training part of each fold.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        See `ElasticNetProbeClassifier`.

    tol : float, default=1e-3
        Tolerance: every fit stops when its duality gap is at most ``tol`` times its objective.
        For folds that are solved together, gaps and objectives are summed.

    max_iter : int, default=1000
        Maximum number of passes over the data in one fit.

    n_jobs : int or None, default=None
        Number of threads that work on the folds in parallel; usually at most two for a dense matrix
        of 2,048 rows or more. They share X, but each needs a working copy of its own. The result
        does not depend on this number.

    device : str, default="auto"
        Device to solve on: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" uses CUDA if available.

    random_state : int, RandomState instance or None, default=None
        Seed for shuffling rows and batches. Pass an int for bit-identical fits.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients of the final fit on all the data, with exact zeros.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts of the final fit.

    alpha_, l1_ratio_ : float
        The chosen penalty.

    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        The grid, largest alpha first; one row per l1 ratio if ``l1_ratio`` is a list.

    scores_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        Score of every fit on the held-out part of its fold.

    n_nonzero_ : ndarray of shape (n_folds, n_l1_ratios, n_alphas)
        Number of non-zero coefficients of every fit.

    dual_gap_ : float
        Upper bound on the distance between the objective on all the data and its optimum.

    n_iter_ : int
        Number of passes over the data in the final fit.

    alpha_max_ : float
        The smallest ``alpha`` at which all coefficients are zero, for ``l1_ratio_``.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, if X has feature names that are all strings.

    See Also
    --------
    ElasticNetProbeClassifier : The probe with a fixed penalty.
    ElasticNetProbeRegressorCV : The corresponding regression probe.

    Notes
    -----
    To repeat other steps in every fold, such as neuron selection, search over a pipeline with
    `sklearn.model_selection.GridSearchCV`.

    A class without samples in the training part of a fold is never predicted in that fold, and a
    warning is issued.

    Callbacks are notified of every fold.

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
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.scoring = scoring
        self.selection = selection
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    def _plain(self, attributes):
        probe = ElasticNetProbeClassifier()
        probe.__dict__.update(attributes, classes_=self.classes_)
        return probe
