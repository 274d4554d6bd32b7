# SPDX-License-Identifier: BSD-3-Clause
import copy

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks

from sklearn_neurox.probes._elastic_net._base import BaseElasticNetProbe
from sklearn_neurox.probes._elastic_net._probe_regressor import ProbeRegressorMixin
from sklearn_neurox.probes._elastic_net._stream import add_to_stream, begin_stream
from sklearn_neurox.probes._elastic_net._targets import (
    centre_of,
    mean_one_weight,
    number_targets,
)
from sklearn_neurox.utils._validation import check_weight


class ElasticNetProbeRegressor(ProbeRegressorMixin, BaseElasticNetProbe):
    """Linear regression probe with an elastic-net penalty, solved to a certified gap.

    It minimises, summed over the outputs,

    .. code-block:: text

        mean_i (y_i - W z_i - b)^2 / 2 + alpha * (l1_ratio * ||W||_1
                                                  + (1 - l1_ratio) / 2 * ||W||_2^2)

    where ``z`` is a row of X, or of X standardized. The intercept ``b`` is free. This is the
    objective of `sklearn.linear_model.ElasticNet`; the solution is exact to a duality gap that is
    computed on the whole data in float64.

    Parameters
    ----------
    alpha : float, default=1e-3
        Strength of the penalty, beside the mean loss. It is in units of y: for targets ten times
        as large, the same l1 penalty takes an ``alpha`` ten times as large.

    l1_ratio : float, default=0.5
        Share of the l1 penalty: 1 for the lasso, 0 for ridge.

    standardize : bool, default=False
        Whether the penalty acts on the coefficients of columns that are centred and divided by
        their standard deviation. X is not touched, and ``coef_`` is in units of X all the same.

    fit_intercept : bool, default=True
        Whether to fit an intercept. Without one, columns are divided but not centred.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        All solve the same problem to the same gap.

        - "auto" begins with "saga", or below 2,048 samples with "newton", and goes on with another
          where that one would take long;
        - "saga" suits many samples and a penalty strong enough to generalise;
        - "svrg", with momentum, suits many samples and a weak penalty;
        - "newton" computes the Gram matrix of the columns that matter, for few samples or a very
          small ``tol``;
        - "fista" takes whole-batch steps.

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
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients, with exact zeros.

    intercept_ : float or ndarray of shape (n_outputs,)
        Intercepts.

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
    ElasticNetProbeRegressorCV : The same with ``alpha`` and ``l1_ratio`` found by validation.
    ElasticNetProbeClassifier : The same for classes.
    sklearn.linear_model.ElasticNet : The same model by coordinate descent.

    Notes
    -----
    See `ElasticNetProbeClassifier` for the solvers, their sources, and what is copied.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn_neurox.probes import ElasticNetProbeRegressor
    >>> X, y, coef = make_regression(200, 30, n_informative=3, coef=True, random_state=0)
    >>> probe = ElasticNetProbeRegressor(alpha=1.0, l1_ratio=1.0, random_state=0).fit(X, y)
    >>> bool(((probe.coef_ != 0) == (coef != 0)).all())
    True
    """

    def __init__(
        self,
        alpha: float = 1e-3,
        l1_ratio: float = 0.5,
        *,
        standardize: bool = False,
        fit_intercept: bool = True,
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

    @_fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "ElasticNetProbeRegressor":
        """Fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples: one of weight 2 counts as two samples.

        Returns
        -------
        self : ElasticNetProbeRegressor
            The fitted probe.

        Raises
        ------
        ValueError
            If X or y has values that are not finite, or weights are negative.
        """
        X, y = self._check_numbers(X, y)
        weight = mean_one_weight(sample_weight, X)
        centre = centre_of(y, weight, fit_intercept=self.fit_intercept)
        targets = number_targets(y, weight, centre)
        data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        return self._fit(X, targets, data)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "ElasticNetProbeRegressor":
        """Learn from some samples of a stream, by one pass of proximal stochastic gradient.

        It goes on from the coefficients that there are. What it reaches is near the optimum of
        the samples seen, without a certificate: ``dual_gap_`` is NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, in units that are the same in all calls.

        Returns
        -------
        self : ElasticNetProbeRegressor
            The probe so far.

        Raises
        ------
        ValueError
            If X or y has values that are not finite, or y another number of outputs than before.
        """
        is_first = not hasattr(self, "coef_")
        X, y = self._check_numbers(X, y, reset=is_first)
        if not is_first and np.shape(self.intercept_) != y.shape[1:]:
            raise ValueError(
                f"y has shape {y.shape}, but the outputs seen before were of shape "
                f"{np.shape(self.intercept_)}."
            )
        stream = copy.deepcopy(getattr(self, "_stream", None)) or begin_stream()
        weight = add_to_stream(stream, X, check_weight(sample_weight, X))
        return self._partial_fit(X, number_targets(y, weight, 0.0), stream)
