# SPDX-License-Identifier: BSD-3-Clause
"""The search over a grid of penalties that the CV probes share."""

from abc import abstractmethod
from numbers import Integral, Real
from typing import Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import _fit_context, is_classifier
from sklearn.callback import with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_neurox.probes._elastic_net._base import BaseElasticNetProbe
from sklearn_neurox.probes._elastic_net._grid_on_folds import GridOnFolds
from sklearn_neurox.probes._elastic_net._targets import scaled_weight
from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._warn_user import warn_user

_MAX_INT = np.iinfo(np.int32).max
# Without an l1 term, no alpha makes all coefficients zero; the grid then uses this l1 ratio.
_LEAST_L1_RATIO = 1e-3
# With at least this many samples, folds are solved together, by stochastic epochs.
_FEWEST_SAMPLES = 2048


class BaseElasticNetPath(BaseElasticNetProbe):
    """Base class for probes that choose ``alpha`` and ``l1_ratio`` by cross-validation."""

    _parameter_constraints: dict = {
        **BaseElasticNetProbe._parameter_constraints,
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), "array-like"],
        "alphas": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "eps": [Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "selection": [StrOptions({"best", "one_standard_error"})],
        "n_jobs": [Integral, None],
    }
    del _parameter_constraints["alpha"], _parameter_constraints["warm_start"]

    @abstractmethod
    def _plain(self, attributes):
        """Make a fitted probe with the given attributes, for scoring."""

    @_fit_context(prefer_skip_nested_validation=True)
    @with_callbacks
    @without_autocast()
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Choose the penalty by cross-validation, and fit the probe with it on all the data.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels, of shape (n_samples,), for a classifier; the targets for a regressor.

        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, used in every fit and every score.

        groups : array-like of shape (n_samples,), default=None
            Group labels, such as ``words["text"]``; no group is split between two folds.

        Returns
        -------
        self : object
            The fitted probe.

        Raises
        ------
        ValueError
            If X or a target is NaN or infinite, a label is missing, there are fewer than two
            classes, a weight is negative, or the scorer does not return a finite number.
        """
        X, y, weight, encode = self._read(X, y, sample_weight, groups=groups, min_samples=2)
        weight = scaled_weight(weight)
        check_consistent_length(X, groups)
        l1_ratios = self._check_l1_ratios()
        targets = encode(weight)
        alphas = self._grid(X, targets, l1_ratios)
        scorer = check_scoring(self, self.scoring)
        caller = type(self).__name__
        splitter = make_splitter(self.cv, groups, caller=caller)
        folds = split_rows(splitter, X, y, groups, caller=caller)
        data = {"X": X, "y": y, "metadata": {"sample_weight": weight, "groups": groups}}
        context = self._init_callback_context(max_subtasks=len(folds), sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self, **data)
        random_state = check_random_state(self.random_state)
        grid = GridOnFolds(self, X, y, weight, encode, l1_ratios, alphas, scorer)
        folds = grid.describe(folds, context)
        self.scores_, self.n_nonzero_ = self._score_grid(grid, folds, random_state)
        self.alphas_ = alphas[0] if np.ndim(self.l1_ratio) == 0 else alphas
        ratio, place = self._choose(self.scores_, self.n_nonzero_)
        self.alpha_, self.l1_ratio_ = float(alphas[ratio, place]), float(l1_ratios[ratio])
        chosen = {"alpha": self.alpha_, "l1_ratio": self.l1_ratio_}
        problem = self._build_problem(X, targets, random_state).penalized(**chosen)
        solution = self._solver(problem, random_state).solve()
        self._set_solution(solution, problem, targets, **chosen)
        self._notify_end(context, data)
        return self

    def _score_grid(self, grid, folds, random_state):
        """Return the scores and the numbers of non-zero coefficients of all fits on all folds."""
        groups = self._group(folds, grid.X)
        seeds = random_state.randint(_MAX_INT, size=len(groups))
        # Threads suffice and share X: the solvers release the GIL while they compute.
        found = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(grid.score)(group, np.random.RandomState(seed))
            for group, seed in zip(groups, seeds, strict=True)
        )
        found = sorted((fold for group in found for fold in group), key=lambda fold: fold[0])
        _, scores, n_nonzero, has_converged = map(np.array, zip(*found, strict=True))
        self._report(scores, has_converged)
        return scores, n_nonzero

    def _check_l1_ratios(self):
        ratios = np.atleast_1d(np.asarray(self.l1_ratio, dtype=np.float64))
        if ratios.ndim != 1 or not len(ratios) or not ((ratios >= 0) & (ratios <= 1)).all():
            raise ValueError(
                f"The 'l1_ratio' parameter of {type(self).__name__} must be a number or a list of "
                f"numbers between 0 and 1. Got {self.l1_ratio!r} instead."
            )
        return ratios

    def _grid(self, X, targets, l1_ratios):
        """Return the alphas, largest first, of shape (n_l1_ratios, n_alphas)."""
        if not isinstance(self.alphas, Integral):
            alphas = np.sort(np.asarray(self.alphas, dtype=np.float64).ravel())[::-1]
            if not len(alphas) or not (np.isfinite(alphas) & (alphas >= 0)).all():
                raise ValueError(
                    f"The 'alphas' parameter of {type(self).__name__} must be an int or a list of "
                    f"non-negative numbers. Got {self.alphas!r} instead."
                )
            return np.tile(alphas, (len(l1_ratios), 1))
        problem = self._build_problem(X, targets, np.random.RandomState(0), is_resident=False)
        gradient = problem.certify(*problem.zeros()).gradient
        tops = [problem.alpha_max(gradient, max(r, _LEAST_L1_RATIO)) for r in l1_ratios]
        if not all(tops):
            raise ValueError(
                f"{type(self).__name__} cannot make a grid of alphas, because no column of X is "
                "linearly related to y. Check X and y, or pass the alphas as a list."
            )
        return np.array([np.geomspace(top, top * self.eps, self.alphas) for top in tops])

    def _group(self, folds, X):
        """Decide which folds are solved together, by stochastic epochs on many dense samples."""
        is_small = X.shape[0] < _FEWEST_SAMPLES or issparse(X)
        whole = all(fold.targets.is_whole for fold in folds)
        if is_small or not whole or self.solver == "newton":
            return [[fold] for fold in folds]
        # If the groups depended on n_jobs, so would the chosen penalty.
        device = resolve_device(self.device, caller=type(self).__name__)
        n_groups = 1 if device.type == "cuda" else min(2, len(folds))
        return [folds[number::n_groups] for number in range(n_groups)]

    def _report(self, scores, has_converged):
        if not np.isfinite(scores).all():
            fold = np.argwhere(~np.isfinite(scores))[0][0]
            used = (
                "R squared (scoring=None)" if self.scoring is None else f"scoring={self.scoring!r}"
            )
            advice = "contain every class" if is_classifier(self) else "test at least two rows"
            raise ValueError(
                f"{used} gave {scores[~np.isfinite(scores)][0]} on fold {fold}. Use folds that "
                f"{advice}, or another scorer."
            )
        if not has_converged.all():
            warn_user(
                f"{(~has_converged).sum()} of {has_converged.size} fits of the path did not "
                f"converge in max_iter={self.max_iter} epochs, most likely those with the smallest "
                "alphas. Increase max_iter or eps.",
                ConvergenceWarning,
            )

    def _choose(self, scores, n_nonzero):
        """Return the indices of the chosen model in the grid."""
        mean = scores.mean(axis=0)
        best = np.unravel_index(mean.argmax(), mean.shape)
        if self.selection == "best" or len(scores) == 1:
            return best
        error = scores[(slice(None), *best)].std(ddof=1) / np.sqrt(len(scores))
        sparsity = np.where(mean >= mean[best] - error, n_nonzero.mean(axis=0), np.inf)
        # Among equally sparse models, prefer the largest alpha (it comes first).
        ratios, places = np.nonzero(sparsity == sparsity.min())
        first = np.lexsort((-mean[ratios, places], places))[0]
        return ratios[first], places[first]
