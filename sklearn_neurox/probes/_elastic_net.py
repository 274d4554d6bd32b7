# SPDX-License-Identifier: BSD-3-Clause
import warnings
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._validation import check_matrix, row_blocks


class ElasticNetProbeClassifier(ClassifierMixin, BaseEstimator):
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

    tol : float, default=1e-3
        The solver stops at ``dual_gap_ <= tol * objective``. With ``alpha=0`` it stops when the
        norm of the gradient, in standardized columns, is ``tol`` times that at zero coefficients.

    max_iter : int, default=1000
        The most passes over the data.

    device : str, default="auto"
        Where to solve: "cpu", "cuda" or "cuda:<index>"; "auto" takes CUDA where there is one.

    random_state : int, RandomState instance or None, default=None
        Shuffles the rows and the batches. Pass an int for the same bits in every fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients, with exact zeros; one row, for the second class, if there are two.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts.

    dual_gap_ : float
        The objective is at most this much above the optimum. With ``alpha=0`` the relative norm
        of the gradient.

    n_iter_ : int
        Passes over the data.

    n_features_in_ : int
        Number of features seen in fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    sklearn.linear_model.LogisticRegression : The same model with ``penalty="elasticnet"``.
    sklearn.linear_model.ElasticNet : The same penalty with the squared loss.

    Notes
    -----
    Large problems are solved by mini-batch proximal SAGA [1]_, small ones and those on which it
    stalls by FISTA with restarts [2]_. The gap compares the objective with its Fenchel dual at
    the residual, once the free intercepts are solved for exactly.

    References
    ----------
    .. [1] Defazio, Bach and Lacoste-Julien (2014). SAGA: a fast incremental gradient method with
       support for non-strongly convex composite objectives. NeurIPS.

    .. [2] Beck and Teboulle (2009). A fast iterative shrinkage-thresholding algorithm for linear
       inverse problems. SIAM Journal on Imaging Sciences.

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
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "standardize": ["boolean"],
        "fit_intercept": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha: float = 1e-3,
        l1_ratio: float = 0.5,
        *,
        standardize: bool = False,
        fit_intercept: bool = True,
        tol: float = 1e-3,
        max_iter: int = 1000,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.device = device
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike) -> "ElasticNetProbeClassifier":
        """Fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : ElasticNetProbeClassifier
            The fitted probe.

        Raises
        ------
        ValueError
            If X has values that are not finite, or y has missing labels or less than two classes.
        """
        X, y = check_matrix(self, X, y, reset=True, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"This solver needs samples of at least 2 classes in the data, but the data "
                f"contains only one class: {self.classes_[0]!r}"
            )
        self._solve(X, encoded)
        return self

    def _solve(self, X, encoded):
        from sklearn_neurox.probes.solvers._certified import operations_of_a_step, solve
        from sklearn_neurox.probes.solvers._problem import classification_problem
        from sklearn_neurox.probes.solvers._threads import ThreadLimit

        random_state = check_random_state(self.random_state)
        n_samples, n_features = X.shape
        device = resolve_device(self.device, caller=type(self).__name__)
        with ThreadLimit(operations_of_a_step(n_samples, n_features * len(self.classes_))):
            problem = classification_problem(
                X,
                encoded,
                alpha=self.alpha,
                l1_ratio=self.l1_ratio,
                standardize=self.standardize,
                fit_intercept=self.fit_intercept,
                rows=random_state.permutation(n_samples),
                device=device,
            )
            solution = solve(
                problem, tol=self.tol, max_iter=self.max_iter, random_state=random_state
            )
        self.coef_, self.intercept_ = problem.design.in_input_units(
            solution.point.coef, solution.point.intercept
        )
        self.dual_gap_ = solution.gap
        self.n_iter_ = solution.n_iter
        self._warn(solution)

    def _warn(self, solution):
        if solution.gap > solution.target:
            measure = "duality gap" if self.alpha else "relative norm of the gradient"
            advice = (
                "Raise max_iter; if columns have very different scales, use standardize=True; a "
                "larger alpha makes the problem easier."
                if self.alpha
                else "With alpha=0 there is no solution where classes are linearly separable: "
                "set alpha above zero, or raise max_iter."
            )
            warnings.warn(
                f"ElasticNetProbeClassifier did not converge in max_iter={self.max_iter} epochs: "
                f"the {measure} is {solution.gap:.3g}, but tol asks for {solution.target:.3g}. "
                f"{advice}",
                ConvergenceWarning,
                stacklevel=4,
            )
        if self.alpha * self.l1_ratio > 0 and not self.coef_.any():
            warnings.warn(
                f"All coefficients are zero, because alpha={self.alpha:.6g} is too large: from "
                f"alpha_max={self.alpha * solution.saturation:.6g} on, with this l1_ratio, they "
                "all are. Use a smaller alpha.",
                UserWarning,
                stacklevel=4,
            )

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the scores of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes) or (n_samples,)
            One column a class; with two classes the score of the second.
        """
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False)
        dtype = np.result_type(X.dtype, np.float32)
        coef, intercept = self.coef_.T.astype(dtype), self.intercept_.astype(dtype)
        scores = np.empty((len(X), len(intercept)), dtype=dtype)
        for block in row_blocks(X):
            scores[block] = X[block].astype(dtype, copy=False) @ coef
        scores += intercept
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the class of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.
        """
        scores = self.decision_function(X)
        best = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]

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
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return softmax(scores, axis=1)
        return np.column_stack([expit(-scores), expit(scores)])
