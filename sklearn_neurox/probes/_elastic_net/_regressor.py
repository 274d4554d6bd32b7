# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context

from sklearn_neurox.probes._elastic_net._base import BaseElasticNetProbe
from sklearn_neurox.probes._elastic_net._probe_regressor import ProbeRegressorMixin
from sklearn_neurox.probes._elastic_net._stream import extend_stream
from sklearn_neurox.probes._elastic_net._targets import number_targets
from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._validation import check_weight


class ElasticNetProbeRegressor(ProbeRegressorMixin, BaseElasticNetProbe):
    """Linear regression probe with an elastic-net penalty and a certified solution.

    It minimizes, summed over the outputs,

    .. code-block:: text

        mean_i (y_i - W z_i - b)^2 / 2 + alpha * (l1_ratio * ||W||_1
                                                  + (1 - l1_ratio) / 2 * ||W||_2^2)

    where ``z`` is a row of X, standardized if ``standardize=True``. The intercept ``b`` is not
    penalized. This is the objective of `sklearn.linear_model.ElasticNet`. The solution is
    certified by a duality gap, computed in float64 on all the data.

    Parameters
    ----------
    alpha : float, default=1e-3
        Strength of the penalty, relative to the *mean* loss. It is in units of y: if the targets
        are ten times as large, the same l1 penalty needs an ``alpha`` ten times as large.

    l1_ratio : float, default=0.5
        Share of the l1 term in the penalty: 1 for the lasso, 0 for ridge.

    standardize : bool, default=False
        If True, the penalty acts on the coefficients of the standardized columns (centered and
        divided by their standard deviation). X itself is not modified, and ``coef_`` is always in
        units of X.

    fit_intercept : bool, default=True
        Whether to fit an intercept. Without one, columns are scaled but not centered.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        Algorithm to use. All of them solve the same problem to the same tolerance.

        - "auto" starts with "saga" (with fewer than 2,048 samples, or with a ridge penalty and up
          to 1,024 columns: "newton") and switches to another one if progress is slow;
        - "saga" suits many samples and a penalty strong enough for the probe to generalize;
        - "svrg", with momentum, suits many samples and a weak penalty;
        - "newton" computes the Gram matrix of the informative columns, and suits few samples or a
          very small ``tol``;
        - "fista" takes full-batch steps.

    tol : float, default=1e-3
        Tolerance: the solver stops when ``dual_gap_ <= tol * objective``. With ``alpha=0``, it
        stops when the norm of the gradient, in standardized columns, is at most ``tol`` times the
        norm at zero coefficients.

    max_iter : int, default=1000
        Maximum number of passes over the data.

    warm_start : bool, default=False
        Whether to start from the solution of the previous fit.

    device : str, default="auto"
        Device to solve on: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" uses CUDA if available.
        On CUDA, a matrix that does not fit on the device is sent to it at every pass.

    random_state : int, RandomState instance or None, default=None
        Seed for shuffling rows and batches. Pass an int for bit-identical fits.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Coefficients, with exact zeros.

    intercept_ : float or ndarray of shape (n_outputs,)
        Intercepts.

    dual_gap_ : float
        Upper bound on the distance between the objective and its optimum. With ``alpha=0``, the
        relative norm of the gradient; NaN after `partial_fit`.

    n_iter_ : int
        Number of passes over the data.

    alpha_max_ : float
        The smallest ``alpha`` at which all coefficients are zero, for this ``l1_ratio``.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, if X has feature names that are all strings.

    See Also
    --------
    ElasticNetProbeRegressorCV : The same probe, with a penalty chosen by cross-validation.
    ElasticNetProbeClassifier : The corresponding classification probe.
    sklearn.linear_model.ElasticNet : The same model, fitted by coordinate descent.

    Notes
    -----
    See `ElasticNetProbeClassifier` for the solvers, their references and their memory use.

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
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @without_autocast()
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "ElasticNetProbeRegressor":
        """Update the probe with one pass of proximal stochastic gradient descent over a batch.

        The pass starts from the current coefficients. The result is close to the optimum for all
        samples seen so far, but not certified: ``dual_gap_`` is NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, on the same scale in all calls.

        Returns
        -------
        self : ElasticNetProbeRegressor
            The updated probe.

        Raises
        ------
        ValueError
            If X or y contains NaN or infinity, or y has a different number of outputs than in
            earlier calls.
        """
        is_first = not hasattr(self, "coef_")
        beside = {"sample_weight": sample_weight}
        X, values = self._check_numbers(X, y, beside=beside, reset=is_first)
        if not is_first and np.shape(self.intercept_) != values.shape[1:]:
            raise ValueError(
                f"y has shape {values.shape}, but the outputs seen before have shape "
                f"{np.shape(self.intercept_)}. Pass targets of the same shape in every call."
            )
        weight = check_weight(sample_weight, X)
        stream, weight = extend_stream(getattr(self, "_stream", None), X, weight)
        return self._partial_fit(X, number_targets(values, weight, 0.0), stream)
