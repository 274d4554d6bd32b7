# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call

from sklearn_neurox.probes._elastic_net._base import BaseElasticNetProbe
from sklearn_neurox.probes._elastic_net._probe_classifier import ProbeClassifierMixin
from sklearn_neurox.probes._elastic_net._stream import extend_stream
from sklearn_neurox.probes._elastic_net._targets import (
    ClassTargets,
    check_class_weight,
)
from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._labels import encode_known
from sklearn_neurox.utils._validation import check_matrix, check_weight


class ElasticNetProbeClassifier(ProbeClassifierMixin, BaseElasticNetProbe):
    """Linear classification probe with an elastic-net penalty and a certified solution.

    The model is a logistic regression for two classes and a multinomial logistic regression for
    more. It minimizes

    .. code-block:: text

        mean_i loss(y_i, W z_i + b) + alpha * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||_2^2)

    where ``z`` is a row of X, standardized if ``standardize=True``. The intercept ``b`` is not
    penalized. The solution is certified by a duality gap, computed in float64 on all the data.

    Parameters
    ----------
    alpha : float, default=1e-3
        Strength of the penalty, relative to the *mean* loss and so independent of the number of
        samples; scikit-learn's ``C`` equals ``1 / (alpha * n_samples)``. With zero, there is no
        penalty, and there is no solution if the classes are linearly separable.

    l1_ratio : float, default=0.5
        Share of the l1 term in the penalty: 1 for the lasso, 0 for ridge. With 1 and an even number
        of classes, four or more, the solution may not be unique; a warning is issued if it is not.

    standardize : bool, default=False
        If True, the penalty acts on the coefficients of the standardized columns (centered and
        divided by their standard deviation). X itself is not modified, and ``coef_`` is always in
        units of X.

    fit_intercept : bool, default=True
        Whether to fit an intercept. Without one, columns are scaled but not centered.

    class_weight : dict or "balanced", default=None
        Weights of the classes in the loss, multiplied by the sample weights. With
        ``standardize=True``, the means and standard deviations of the columns depend on the sample
        weights only. "balanced" gives every class the same total weight; use it if a few labels are
        much more frequent than the others.

    solver : {"auto", "saga", "svrg", "newton", "fista"}, default="auto"
        Algorithm to use. All of them solve the same problem to the same tolerance.

        - "auto" starts with "saga" (with fewer than 2,048 samples: "newton" for two classes,
          "fista" for more) and switches to another one if progress is slow;
        - "saga" suits many samples and a penalty strong enough for the probe to generalize;
        - "svrg", with momentum, suits many samples and a weak penalty;
        - "newton" suits few informative columns; for two classes only;
        - "fista" takes full-batch steps and suits few samples.

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
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients, with exact zeros. With two classes, the single row is for the second class.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts; minus infinity for a class whose samples all have weight zero.

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
    ElasticNetProbeClassifierCV : The same probe, with a penalty chosen by cross-validation.
    ElasticNetProbeRegressor : The corresponding regression probe.
    sklearn.linear_model.LogisticRegression : The same model, penalized by ``C`` and ``l1_ratio``.

    Notes
    -----
    The stochastic solvers are mini-batch proximal SAGA [1]_ and SVRG with negative momentum [2]_;
    the others are FISTA with restarts [3]_ and proximal Newton on an active set [4]_. The gap is
    the difference between the objective and its Fenchel dual at the residual, after solving
    exactly for the unpenalized intercepts.

    A matrix in memory is copied once, standardized and shuffled. A memory-mapped or float16
    matrix is not copied: batches are read and upcast as needed. On CUDA, the device holds a matrix
    in its own precision if it fits into 70% of the free memory. A sparse matrix stays sparse: its
    columns are centered and scaled implicitly, on the CPU, by "fista" or "newton".

    Callbacks are notified of every epoch; see `sklearn.callback`.

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
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    @without_autocast()
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "ElasticNetProbeClassifier":
        """Update the probe with one pass of proximal stochastic gradient descent over a batch.

        The pass starts from the current coefficients. The result is close to the optimum for all
        samples seen so far, but not certified: ``dual_gap_`` is NaN.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,), default=None
            All labels that can occur in any call; required in the first call only.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, on the same scale in all calls.

        Returns
        -------
        self : ElasticNetProbeClassifier
            The updated probe.

        Raises
        ------
        ValueError
            If the first call lacks ``classes``, y contains a label that is not in ``classes``, or
            X contains NaN or infinity.
        """
        is_first = not hasattr(self, "classes_")
        # Private, but it has no public counterpart; scikit-learn's `partial_fit` methods use it.
        _check_partial_fit_first_call(self, classes)
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, because the class "
                "frequencies of a stream are unknown. Pass the weights as a dict, or use "
                "sample_weight."
            )
        check_class_weight(self.class_weight)
        options = {"forget": False, "squares": True, "beside": {"sample_weight": sample_weight}}
        X, y = check_matrix(self, X, y, reset=is_first, **options)
        codes = encode_known(y, self.classes_)
        weight = check_weight(sample_weight, X)
        stream, weight = extend_stream(getattr(self, "_stream", None), X, weight)
        if isinstance(self.class_weight, dict):
            by_class = np.array([self.class_weight.get(c, 1.0) for c in self.classes_.tolist()])
            weight = by_class[codes] * (1.0 if weight is None else weight)
        every = np.ones(len(self.classes_), dtype=bool)
        return self._partial_fit(X, ClassTargets(codes, weight, None, every), stream)
