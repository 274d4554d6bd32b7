# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_neurox.probes._elastic_net._linear_probe import LinearProbeMixin
from sklearn_neurox.probes._elastic_net._probe_classifier import ProbeClassifierMixin
from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._warn_user import warn_user


class LowRankProbeClassifier(DocLinkMixin, ProbeClassifierMixin, LinearProbeMixin, BaseEstimator):
    r"""Linear classification probe that reads only a few directions, with a certified solution.

    Its penalty is the nuclear norm of the weights, the sum of their singular values. Some of these
    become exactly zero, so a few directions distinguish all classes; every neuron may contribute to
    a direction. The probe minimizes

    .. math:: \frac{1}{n} \sum_i -\log \operatorname{softmax}(W z_i + b)_{y_i} + \alpha \|W\|_*

    where :math:`z_i` is a row of X with standardized columns (centered, and divided by their
    standard deviations). The intercepts are not penalized. The rank and the nuclear norm of W
    measure how complex the probe is: Pareto probing [1]_ compares representations by the accuracy
    that probes of each complexity reach.

    Parameters
    ----------
    alpha : float, default=1e-2
        Strength of the penalty, relative to the *mean* loss and so independent of the number of
        samples. Must be positive.

    class_weight : dict or "balanced", default=None
        Weights of the classes in the loss, multiplied by the sample weights. The means and standard
        deviations of the columns depend on the sample weights only. "balanced" gives every class
        the same total weight.

    tol : float, default=1e-3
        Tolerance: the solver stops when ``dual_gap_ <= tol * objective``.

    max_iter : int, default=2000
        Maximum number of steps, each of which passes over the data once.

    warm_start : bool, default=False
        Whether to start from the solution of the previous fit.

    device : str, default="auto"
        Device to solve on: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" uses CUDA if available.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coef_ : ndarray of shape (n_classes, n_features) or (1, n_features)
        Coefficients, in units of X, of rank ``rank_``. With two classes, the single row is for the
        second class.

    intercept_ : ndarray of shape (n_classes,) or (1,)
        Intercepts; minus infinity for a class whose samples all have weight zero.

    rank_ : int
        The rank of W: the number of directions that the probe reads.

    nuclear_norm_ : float
        The nuclear norm of W.

    dual_gap_ : float
        Upper bound on the distance between the objective and its optimum.

    n_iter_ : int
        Number of steps.

    alpha_max_ : float
        The smallest ``alpha`` at which all coefficients are zero.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, if X has feature names that are all strings.

    See Also
    --------
    sklearn_neurox.evaluation.pareto_curve : Scores of this probe by its complexity.
    ElasticNetProbeClassifier : A linear probe whose penalty selects neurons, not directions.
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : Directions that separate Gaussian
        classes; its ``transform`` limits the rank of a probe that follows.

    Notes
    -----
    The problem is convex. The solver is FISTA with restarts, whose proximal step subtracts a
    threshold from the singular values [2]_. The gap is the difference between the objective and its
    Fenchel dual at the residual, shrunk until the spectral norm of its correlation with the columns
    is at most ``alpha``, after solving exactly for the intercepts.

    The weights of all classes sum to zero, so the rank is below the number of classes. With two
    classes, W is a single row, and its nuclear norm is its Euclidean norm. A constraint on the
    nuclear norm, as in [1]_, has the same solutions as this penalty. A constraint on the rank
    alone is not convex, so its solution could not be certified.

    References
    ----------
    .. [1] T. Pimentel, N. Saphra, A. Williams, R. Cotterell, "Pareto Probing: Trading Off Accuracy
       for Complexity", EMNLP 2020.

    .. [2] J.-F. Cai, E. J. Candes, Z. Shen, "A Singular Value Thresholding Algorithm for Matrix
       Completion", SIAM Journal on Optimization 20, 2010.

    Examples
    --------
    Four classes that differ along two directions of fifty neurons:

    >>> import numpy as np
    >>> from sklearn_neurox.probes import LowRankProbeClassifier
    >>> rng = np.random.RandomState(0)
    >>> y = rng.randint(4, size=500)
    >>> centers = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    >>> X = 2 * centers[y] @ rng.randn(2, 50) + rng.randn(500, 50)
    >>> probe = LowRankProbeClassifier(alpha=0.1).fit(X, y)
    >>> probe.rank_, probe.score(X, y)
    (2, 1.0)
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
    }

    def __init__(
        self,
        alpha: float = 1e-2,
        *,
        class_weight: dict | str | None = None,
        tol: float = 1e-3,
        max_iter: int = 2000,
        warm_start: bool = False,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)
    @without_autocast()
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "LowRankProbeClassifier":
        """Fit the probe.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,)
            Labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights: a sample of weight 2 counts as two samples.

        Returns
        -------
        self : LowRankProbeClassifier
            The fitted probe.

        Raises
        ------
        ValueError
            If X contains NaN or infinity, y has missing labels or fewer than two classes, or a
            weight is negative.

        Warns
        -----
        ConvergenceWarning
            If the solver stops at ``max_iter``.

        UserWarning
            If all coefficients are zero, or a class has no sample of positive weight.
        """
        self._fit(X, y, sample_weight)
        if not self.rank_:
            reason = (
                f"alpha={self.alpha:.6g} is not below alpha_max_={self.alpha_max_:.6g}. Use a "
                "smaller alpha"
            )
            if not self.alpha_max_:
                reason = "no column of X is linearly related to y; no alpha would change that"
            warn_user(f"All coefficients are zero, because {reason}.")
        return self

    def _fit(self, X, y, sample_weight=None):
        """Fit without a warning that all coefficients are zero."""
        from sklearn_neurox.probes.solvers._certified import CertifiedSolver
        from sklearn_neurox.probes.solvers._nuclear_penalty import NuclearPenalty
        from sklearn_neurox.probes.solvers._problem import build_problem

        X, _, weight, encode = self._read(X, y, sample_weight)
        targets = encode(weight)
        # The order of the rows changes only rounding errors.
        order = np.random.RandomState(0)
        problem = build_problem(
            X,
            targets,
            standardize=True,
            fit_intercept=True,
            random_state=order,
            device=resolve_device(self.device, caller=type(self).__name__),
            tol=self.tol,
        )
        problem = replace(problem, penalty=NuclearPenalty(self.alpha))
        solver = CertifiedSolver(
            problem, tol=self.tol, max_iter=self.max_iter, random_state=order, solver="fista"
        )
        self._set_solution(solver.solve(self._start(problem)), problem, targets)

    def _set_solution(self, solution, problem, targets):
        point = solution.point
        values = np.linalg.svd(point.coef.cpu().numpy(), compute_uv=False)
        coef, intercept = problem.design.in_input_units(point.coef, point.intercept)
        vars(self).update(targets.attributes(coef, intercept))
        # A singular value that the solver has set to zero differs from it by rounding errors.
        precision = np.finfo(str(problem.design.dtype).removeprefix("torch.")).eps
        self.rank_ = int((values > values[0] * max(problem.shape) * precision).sum())
        self.nuclear_norm_ = float(values.sum())
        self.dual_gap_ = solution.gap
        self.n_iter_ = solution.n_iter
        self.alpha_max_ = self.alpha * problem.penalty.saturation(solution.zero_gradient)
        if not solution.has_converged:
            warn_user(
                f"{type(self).__name__} did not converge in max_iter={self.max_iter} steps: the "
                f"duality gap is {solution.gap:.3g}, but tol requires {solution.target:.3g}. "
                "Increase max_iter, or increase alpha, which makes the problem easier.",
                ConvergenceWarning,
            )

    def _log_odds(self, X):
        # In single precision, the probability of a nearly certain class would round to one.
        return self.decision_function(X).astype(np.float64)
