# SPDX-License-Identifier: BSD-3-Clause
import copy

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call

from sklearn_neurox.probes._elastic_net._base import BaseElasticNetProbe
from sklearn_neurox.probes._elastic_net._probe_classifier import ProbeClassifierMixin
from sklearn_neurox.probes._elastic_net._stream import add_to_stream, begin_stream
from sklearn_neurox.probes._elastic_net._targets import (
    ClassTargets,
    check_class_weight,
    class_targets,
    mean_one_weight,
)
from sklearn_neurox.utils._validation import check_matrix, check_weight


class ElasticNetProbeClassifier(ProbeClassifierMixin, BaseElasticNetProbe):
    """Linear probe with an elastic-net penalty, solved to a certified gap.

    With two classes a logistic, with more a multinomial regression. It minimises

    .. code-block:: text

        mean_i loss(y_i, W z_i + b) + alpha * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||_2^2)

    where ``z`` is a row of X, or of X standardized. The intercept ``b`` is free. The solution is
    exact to a duality gap that is computed on the whole data in float64.

    Parameters
    ----------
    alpha : float, default=1e-3
        Strength of the penalty. It stands beside the *mean* loss, so that it does not depend on
        the number of samples; scikit-learn's ``C`` is ``1 / (alpha * n_samples)``. With zero
        there is no penalty, and no solution where classes are linearly separable.

    l1_ratio : float, default=0.5
        Share of the l1 penalty: 1 for the lasso, 0 for ridge.

    standardize : bool, default=False
        Whether the penalty acts on the coefficients of columns that are centred and divided by
        their standard deviation. X is not touched, and ``coef_`` is in units of X all the same.

    fit_intercept : bool, default=True
        Whether to fit an intercept. Without one, columns are divided but not centred.

    class_weight : dict or "balanced", default=None
        Weights of the classes, which multiply those of the samples. "balanced" gives every class
        the same sum, for labels of which a few are much more frequent than the others.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        All solve the same problem to the same gap.

        - "auto" begins with "saga", or below 2,048 samples with "newton" (two classes) or
          "fista" (more), and goes on with another where that one would take long;
        - "saga" suits many samples and a penalty strong enough to generalise;
        - "svrg", with momentum, suits many samples and a weak penalty;
        - "newton" suits two classes and few columns that matter; only for two classes;
        - "fista" takes whole-batch steps, for few samples.

    tol : float, default=1e-3
        The solver stops at ``dual_gap_ <= tol * objective``. With ``alpha=0`` it stops when the
        norm of the gradient, in standardized columns, is ``tol`` times that at zero coefficients.

    max_iter : int, default=1000
        The most passes over the data.

    warm_start : bool, default=False
        Whether to begin at the solution of the previous fit.

    device : str, default="auto"
        Where to solve: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" takes CUDA where there is
        one. A matrix that does not fit the device is streamed to it.

    random_state : int, RandomState instance or None, default=None
        Shuffles the rows and the batches. Pass an int for the same bits in every fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients, with exact zeros; one row, for the second class, if there are two.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts. That of a class whose samples all have weight zero is minus infinity.

    dual_gap_ : float
        The objective is at most this much above the optimum. With ``alpha=0`` the relative norm
        of the gradient; NaN after `partial_fit`.

    n_iter_ : int
        Passes over the data.

    alpha_max_ : float
        The smallest ``alpha`` at which, with this ``l1_ratio``, all coefficients are zero.

    n_features_in_ : int
        Number of features seen in fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    ElasticNetProbeClassifierCV : The same with ``alpha`` and ``l1_ratio`` found by validation.
    ElasticNetProbeRegressor : The same for numbers.
    sklearn.linear_model.LogisticRegression : The same model with ``penalty="elasticnet"``.

    Notes
    -----
    The stochastic solvers are mini-batch proximal SAGA [1]_ and SVRG with negative momentum [2]_;
    the others are FISTA with restarts [3]_ and proximal Newton on an active set [4]_. The gap
    compares the objective with its Fenchel dual at the residual, once the free intercepts are
    solved for exactly.

    A matrix in memory is copied once, standardized and shuffled. A memory-mapped one is not
    copied, and neither is one of float16: batches are read, and upcast, as they are needed.

    Callbacks are told of every epoch, see `sklearn.callback`.

    References
    ----------
    .. [1] Defazio, Bach and Lacoste-Julien (2014). SAGA: a fast incremental gradient method with
       support for non-strongly convex composite objectives. NeurIPS.

    .. [2] Zhou, Shang and Cheng (2018). A simple stochastic variance reduced algorithm with fast
       convergence rates. ICML.

    .. [3] Beck and Teboulle (2009). A fast iterative shrinkage-thresholding algorithm for linear
       inverse problems. SIAM Journal on Imaging Sciences.

    .. [4] Friedman, Hastie and Tibshirani (2010). Regularization paths for generalized linear
       models via coordinate descent. Journal of Statistical Software.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_neurox.probes import ElasticNetProbeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> probe = ElasticNetProbeClassifier(standardize=True, random_state=0).fit(X, y)
    >>> probe.score(X, y) > 0.95
    True
    >>> bool(probe.dual_gap_ < 1e-3)
    True
    """

    _parameter_constraints: dict = {
        **BaseElasticNetProbe._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        alpha: float = 1e-3,
        l1_ratio: float = 0.5,
        *,
        standardize: bool = False,
        fit_intercept: bool = True,
        class_weight: dict | str | None = None,
        solver: str = "auto",
        tol: float = 1e-3,
        max_iter: int = 1000,
        warm_start: bool = False,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            alpha,
            l1_ratio,
            standardize=standardize,
            fit_intercept=fit_intercept,
            solver=solver,
            tol=tol,
            max_iter=max_iter,
            warm_start=warm_start,
            device=device,
            random_state=random_state,
        )
        self.class_weight = class_weight

    @_fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "ElasticNetProbeClassifier":
        """Fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples: one of weight 2 counts as two samples.

        Returns
        -------
        self : ElasticNetProbeClassifier
            The fitted probe.

        Raises
        ------
        ValueError
            If X has values that are not finite, y has missing labels or less than two classes,
            or weights are negative.
        """
        X, y, codes = self._check_labels(X, y)
        targets = class_targets(
            codes,
            self.classes_,
            class_weight=self.class_weight,
            sample_weight=mean_one_weight(sample_weight, X),
        )
        data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        return self._fit(X, targets, data)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "ElasticNetProbeClassifier":
        """Learn from some samples of a stream, by one pass of proximal stochastic gradient.

        It goes on from the coefficients that there are. What it reaches is near the optimum of
        the samples seen, without a certificate: ``dual_gap_`` is NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,), default=None
            All labels that the stream can have; needed in the first call only.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, in units that are the same in all calls.

        Returns
        -------
        self : ElasticNetProbeClassifier
            The probe so far.

        Raises
        ------
        ValueError
            If the first call does not tell the classes, y has others, or X has values that are
            not finite.
        """
        is_first = not hasattr(self, "classes_")
        _check_partial_fit_first_call(self, classes)
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' cannot be known of a stream. Give the weights as a dict, "
                "or by sample_weight."
            )
        check_class_weight(self.class_weight)
        X, y = check_matrix(self, X, y, reset=is_first)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has the labels {unknown.tolist()}, which are not in classes.")
        codes = np.searchsorted(self.classes_, y)
        weight = check_weight(sample_weight, X)
        stream = copy.deepcopy(getattr(self, "_stream", None)) or begin_stream()
        weight = add_to_stream(stream, X, weight)
        if self.class_weight is not None:
            by_class = np.array([self.class_weight.get(c, 1.0) for c in self.classes_.tolist()])
            weight = by_class[codes] * (1.0 if weight is None else weight)
        every = np.ones(len(self.classes_), dtype=bool)
        return self._partial_fit(X, ClassTargets(codes, weight, None, every), stream)
