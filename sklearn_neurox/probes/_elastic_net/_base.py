# SPDX-License-Identifier: BSD-3-Clause
"""Code shared by the elastic-net classifiers and regressors."""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_neurox.probes._elastic_net._epoch_callbacks import EpochWatch
from sklearn_neurox.probes._elastic_net._free_shifts import has_free_shift
from sklearn_neurox.probes._elastic_net._linear_probe import LinearProbeMixin
from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._full_float32 import full_float32
from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._warn_user import warn_user


class BaseElasticNetProbe(
    DocLinkMixin, LinearProbeMixin, CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta
):
    """Base class for linear probes with an elastic-net penalty."""

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "standardize": ["boolean"],
        "fit_intercept": ["boolean"],
        "solver": [StrOptions({"auto", "saga", "svrg", "newton", "fista"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str],
        "random_state": ["random_state"],
    }

    @abstractmethod
    def _read(self, X, y, sample_weight, *, groups=None, min_samples=1):
        """Return valid data, weights, and a function that encodes the targets of some rows."""

    @_fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    @without_autocast()
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the probe.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels, of shape (n_samples,), for a classifier; the targets for a regressor.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights: a sample of weight 2 counts as two samples.

        Returns
        -------
        self : object
            The fitted probe.

        Raises
        ------
        ValueError
            If X or a target is NaN or infinite, a label is missing, there are fewer than two
            classes, or a weight is negative.
        """
        X, y, weight, encode = self._read(X, y, sample_weight)
        targets = encode(weight)
        data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, **data)
        random_state = check_random_state(self.random_state)
        penalty = {"alpha": self.alpha, "l1_ratio": self.l1_ratio}
        problem = self._build_problem(X, targets, random_state).penalized(**penalty)
        watched = getattr(self, "_skl_callbacks", None)
        watch = EpochWatch(self, context, problem.design, targets, data) if watched else None
        solver = self._solver(problem, random_state, watch=watch)
        self._set_solution(solver.solve(self._start(problem)), problem, targets, **penalty)
        self._notify_end(context, data)
        return self

    def _partial_fit(self, X, targets, stream):
        """Take one proximal gradient step for every batch of the given samples."""
        from sklearn_neurox.probes.solvers._proximal_sgd import ProximalSGD

        random_state = check_random_state(self.random_state)
        scaler = stream["scaler"]
        n_before = stream["n_seen"] - len(X)
        problem = self._build_problem(
            X, targets, random_state, moments=(scaler.mean_, scaler.scale_)
        ).penalized(self.alpha, self.l1_ratio)
        start = problem.zeros()
        if hasattr(self, "coef_"):
            coef, intercept = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
            # A class that had no weight so far starts with the intercept of the rarest class.
            known = np.isfinite(intercept)
            intercept = np.where(known, intercept, intercept[known].min())
            start = problem.design.from_input_units(coef, intercept)
        with full_float32(problem.design.device):
            coef, intercept = ProximalSGD(problem, random_state, n_before).run(*start)
        coef, intercept = problem.design.in_input_units(coef, intercept)
        vars(self).update(targets.attributes(coef, intercept))
        self._stream = stream
        self.dual_gap_ = self.alpha_max_ = float("nan")
        self.n_iter_ = 1
        return self

    def _notify_end(self, context, data):
        """Notify callbacks of the end of the fit."""
        fitted = {"coef_": self.coef_, "intercept_": self.intercept_}
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: fitted, **data
        )

    def _build_problem(self, X, targets, random_state, **options):
        """Build the problem without a penalty; for a list of targets, the stacked problem."""
        from sklearn_neurox.probes.solvers._problem import build_problem, build_stacked_problem

        if issparse(X) and self.solver in ("saga", "svrg"):
            raise ValueError(
                f"{type(self).__name__}(solver={self.solver!r}) reads batches of standardized "
                "rows, which are dense, but X is sparse. Use solver='auto'."
            )
        build = build_stacked_problem if isinstance(targets, list) else build_problem
        return build(
            X,
            targets,
            standardize=self.standardize,
            fit_intercept=self.fit_intercept,
            random_state=random_state,
            device=resolve_device(self.device, caller=type(self).__name__),
            tol=self.tol,
            **options,
        )

    def _solver(self, problem, random_state, **options):
        from sklearn_neurox.probes.solvers._certified import CertifiedSolver

        return CertifiedSolver(
            problem,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=random_state,
            solver=self.solver,
            **options,
        )

    def _set_solution(self, solution, problem, targets, *, alpha, l1_ratio):
        """Set the fitted attributes from a solution and issue warnings about it."""
        point = solution.point
        coef, intercept = problem.design.in_input_units(point.coef, point.intercept)
        vars(self).update(targets.attributes(coef, intercept))
        self.dual_gap_ = solution.gap
        self.n_iter_ = solution.n_iter
        self.alpha_max_ = problem.alpha_max(solution.zero_gradient, l1_ratio)
        # A later `partial_fit` must not continue the stream that preceded this fit.
        self.__dict__.pop("_stream", None)
        self._warn(solution, alpha, l1_ratio)
        if alpha and l1_ratio == 1 and targets.scores_can_shift:
            self._warn_about_free_shifts(coef)

    def _warn_about_free_shifts(self, coef):
        n_free = np.count_nonzero(has_free_shift(coef))
        if n_free:
            warn_user(
                f"With l1_ratio=1 and an even number of classes, {len(coef)}, the solution is not "
                f"unique: in {n_free} of {coef.shape[1]} columns, a constant can be added to the "
                "weights of all classes without a change of the predictions or of the objective. "
                "Rankings by these weights, and which of them are zero, depend on the solver and "
                "the random_state. Use a smaller l1_ratio, such as 0.9."
            )

    def _warn(self, solution, alpha, l1_ratio):
        if solution.has_no_optimum:
            warn_user(
                f"The classes are linearly separable, so there is no solution with alpha=0: "
                f"{type(self).__name__} stopped after {solution.n_iter} epochs while its "
                "coefficients were still growing. Set alpha above zero.",
                ConvergenceWarning,
            )
        elif not solution.has_converged and solution.is_stopped:
            warn_user(
                f"A callback stopped {type(self).__name__} after {solution.n_iter} epochs, before "
                f"it converged: dual_gap_ is {solution.gap:.3g}, but tol requires "
                f"{solution.target:.3g}.",
                ConvergenceWarning,
            )
        elif not solution.has_converged:
            measure = "duality gap" if alpha else "relative norm of the gradient"
            warn_user(
                f"{type(self).__name__} did not converge in max_iter={self.max_iter} epochs: "
                f"the {measure} is {solution.gap:.3g}, but tol requires {solution.target:.3g}. "
                "Increase max_iter, use standardize=True if columns have very different scales, or "
                "increase alpha, which makes the problem easier.",
                ConvergenceWarning,
            )
        if alpha * l1_ratio > 0 and solution.has_converged and not np.any(self.coef_):
            reason = (
                f"alpha={alpha:.6g} is too large: with this l1_ratio, every alpha from "
                f"alpha_max={self.alpha_max_:.6g} upward has that effect. Use a smaller alpha"
            )
            if not self.alpha_max_:
                reason = "no column of X is linearly related to y; no alpha would change that"
            warn_user(f"All coefficients are zero, because {reason}.")
