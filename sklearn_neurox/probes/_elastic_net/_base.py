# SPDX-License-Identifier: BSD-3-Clause
"""What the elastic-net probes of classes and of numbers have in common."""

from abc import ABCMeta, abstractmethod
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.probes._elastic_net._epoch_callbacks import EpochWatch
from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._validation import check_matrix, row_blocks
from sklearn_neurox.utils._warn_user import warn_user


class BaseElasticNetProbe(CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """Parameters, solution and scores of a linear model with an elastic-net penalty."""

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
    def __init__(
        self,
        alpha,
        l1_ratio,
        *,
        standardize,
        fit_intercept,
        solver,
        tol,
        max_iter,
        warm_start,
        device,
        random_state,
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

    def _fit(self, X, targets, data):
        """Solve the problem of the whole data, and tell callbacks of it."""
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, **data)
        random_state = check_random_state(self.random_state)
        problem = self._state(X, targets, random_state).penalised(self.alpha, self.l1_ratio)
        watched = getattr(self, "_skl_callbacks", None)
        watch = EpochWatch(self, context, problem.design, targets, data) if watched else None
        solver = self._solver(problem, random_state, watch=watch)
        self._adopt(solver.solve(self._start(problem)), problem, targets)
        self._end(context, data)
        return self

    def _partial_fit(self, X, targets, stream):
        """Take a step of proximal gradient for every batch of some samples of a stream."""
        from sklearn_neurox.probes.solvers._proximal_sgd import ProximalSGD

        random_state = check_random_state(self.random_state)
        scaler = stream["scaler"]
        n_before = stream["n_seen"] - len(X)
        problem = self._state(
            X, targets, random_state, moments=(scaler.mean_, scaler.scale_)
        ).penalised(self.alpha, self.l1_ratio)
        start = problem.zeros()
        if hasattr(self, "coef_"):
            coef, intercept = np.atleast_2d(self.coef_), np.atleast_1d(self.intercept_)
            # A class that had no weight begins with what the rarest of the others has.
            known = np.isfinite(intercept)
            intercept = np.where(known, intercept, intercept[known].min())
            start = problem.design.from_input_units(coef, intercept)
        coef, intercept = ProximalSGD(problem, random_state, n_before).run(*start)
        exact = problem.design.exact_device
        coef, intercept = problem.design.in_input_units(coef.to(exact), intercept.to(exact))
        for name, value in targets.attributes(coef, intercept).items():
            setattr(self, name, value)
        self._stream = stream
        self.dual_gap_ = self.alpha_max_ = float("nan")
        self.n_iter_ = 1
        return self

    def _end(self, context, data):
        """Tell callbacks that all is done."""
        fitted = {"coef_": self.coef_, "intercept_": self.intercept_}
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: fitted, **data
        )

    def _state(self, X, targets, random_state, **options):
        """State the problem of targets, or the stack of those of several, without a penalty."""
        from sklearn_neurox.probes.solvers._problem import build_problem, state_stack

        state = state_stack if isinstance(targets, list) else build_problem
        return state(
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

    def _start(self, problem):
        """Return the last solution, as one of this problem, where it is asked for and fits."""
        if not self.warm_start or not hasattr(self, "coef_"):
            return None
        coef = np.atleast_2d(self.coef_)
        intercept = np.atleast_1d(self.intercept_)
        if coef.shape != problem.shape or not np.isfinite(intercept).all():
            return None
        return problem.estimate(*problem.design.from_input_units(coef, intercept))

    def _adopt(self, solution, problem, targets, *, alpha=None, l1_ratio=None):
        """Set the attributes of a fitted probe, and warn of what the user should know."""
        alpha = self.alpha if alpha is None else alpha
        l1_ratio = self.l1_ratio if l1_ratio is None else l1_ratio
        point = solution.point
        coef, intercept = problem.design.in_input_units(point.coef, point.intercept)
        for name, value in targets.attributes(coef, intercept).items():
            setattr(self, name, value)
        self.dual_gap_ = solution.gap
        self.n_iter_ = solution.n_iter
        self.alpha_max_ = problem.alpha_max(solution.zero_gradient, l1_ratio)
        # A stream that was read before has nothing to do with this fit.
        self.__dict__.pop("_stream", None)
        self._warn(solution, alpha, l1_ratio)

    def _warn(self, solution, alpha, l1_ratio):
        if solution.has_no_optimum:
            warn_user(
                f"The classes are linearly separable, and with alpha=0 there is no solution then: "
                f"{type(self).__name__} stopped after {solution.n_iter} epochs, while its "
                "coefficients were growing. Set alpha above zero.",
                ConvergenceWarning,
            )
        elif not solution.has_converged and solution.is_stopped:
            warn_user(
                f"A callback stopped {type(self).__name__} after {solution.n_iter} epochs, before "
                f"it converged: dual_gap_ is {solution.gap:.3g}, but tol asks for "
                f"{solution.target:.3g}.",
                ConvergenceWarning,
            )
        elif not solution.has_converged:
            measure = "duality gap" if alpha else "relative norm of the gradient"
            warn_user(
                f"{type(self).__name__} did not converge in max_iter={self.max_iter} epochs: "
                f"the {measure} is {solution.gap:.3g}, but tol asks for {solution.target:.3g}. "
                "Raise max_iter; if columns have very different scales, use standardize=True; a "
                "larger alpha makes the problem easier.",
                ConvergenceWarning,
            )
        if alpha * l1_ratio > 0 and solution.has_converged and not np.any(self.coef_):
            reason = (
                f"alpha={alpha:.6g} is too large: from alpha_max={self.alpha_max_:.6g} on, with "
                "this l1_ratio, they all are. Use a smaller alpha"
            )
            if not self.alpha_max_:
                reason = "no column of X has anything to do with y, linearly, whatever alpha is"
            warn_user(f"All coefficients are zero, because {reason}.")

    def _scores(self, X):
        """Linear scores of the rows, in shape (n_samples, n_rows)."""
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False)
        dtype = np.result_type(X.dtype, np.float32)
        coef = np.atleast_2d(self.coef_).T.astype(dtype)
        intercept = np.atleast_1d(self.intercept_).astype(dtype)
        scores = np.empty((len(X), len(intercept)), dtype=dtype)
        for block in row_blocks(X):
            scores[block] = X[block].astype(dtype, copy=False) @ coef
        scores += intercept
        return scores
