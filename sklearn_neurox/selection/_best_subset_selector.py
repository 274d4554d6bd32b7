# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_neurox.selection._best_subset._columns import Columns
from sklearn_neurox.selection._best_subset._losses import BinaryLoss, MultinomialLoss, SquaredLoss
from sklearn_neurox.selection._best_subset._relaxation import Relaxation
from sklearn_neurox.selection._best_subset._search import Clock, Search
from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, check_counts, count_neurons
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels, encode_classes
from sklearn_neurox.utils._validation import check_weight


class BestSubsetSelector(BaseNeuronSelector):
    r"""Keep the k neurons that together predict the labels best, with a bound on any others.

    The selector searches for the subset S of k neurons, and for the linear model on them, that
    minimize the ridge-penalized mean loss

    .. math:: P(S) = \min_{w, b} \frac{1}{n} \sum_i \ell(y_i, w \cdot x_{iS} + b)
              + \frac{\alpha}{2} \|w\|^2

    The loss is the logistic loss for two classes, the multinomial loss for more, and half of the
    squared error for numbers. Neurons are added one by one, and then swapped for others as long as
    this lowers the loss. No search through so many subsets is exhaustive, so the selector also
    computes a bound: no subset of k neurons has a loss below ``lower_bound_``.

    In contrast to a ranking, the neurons are chosen together: of several redundant neurons one is
    chosen, and so are neurons that help only in combination with others.

    Parameters
    ----------
    n_neurons : int, float, None, or array-like of int and float, default=10
        Number of neurons: an int, a fraction in (0, 1], or None for all. With several numbers, the
        search goes through them in ascending order, each starting from the last; ``transform``
        keeps the largest subset. With ``column_groups``, the number of groups.

    alpha : float, default=0.01
        Weight of the ridge penalty, greater than 0. The bound is closer for larger values.

    loss : {"auto", "log_loss", "squared_error"}, default="auto"
        Loss to minimize. ``"auto"`` is ``"squared_error"`` if y has non-integer numbers, and
        ``"log_loss"`` otherwise.

    standardize : bool, default=True
        Whether the penalty acts on the coefficients of columns of unit variance, as it does
        after `sklearn.preprocessing.StandardScaler`. Columns are always centered. X is not copied.

    column_groups : array-like of shape (n_features,) or None, default=None
        Group of each column, such as its layer or attention head. Groups are kept or left as a
        whole. None chooses single columns.

    compute_bound : bool, default=True
        Whether to compute the bound, which takes about as long as the search. If False, the search
        is also less thorough, as it does not start a second time from the solution that the bound
        comes from.

    max_time : float or None, default=None
        Seconds after which the search ends and keeps the best subset found so far, and the best
        bound. Results then depend on the speed of the machine. None sets no limit.

    Attributes
    ----------
    loss_ : float
        Penalized loss of the neurons kept, in nats for classes.

    lower_bound_ : float
        No subset of this size has a lower penalized loss. At least 0; NaN without
        ``compute_bound``.

    gap_ : float
        ``(loss_ - lower_bound_) / loss_``: the fraction by which another subset may be better, at
        most. NaN without ``compute_bound``.

    sizes_ : ndarray of shape (n_sizes,)
        The numbers of neurons, or of groups, ascending.

    supports_ : ndarray of shape (n_sizes, n_features_in_), dtype=bool
        Columns of the subset of each size.

    losses_, lower_bounds_, gaps_ : ndarray of shape (n_sizes,)
        ``loss_``, ``lower_bound_`` and ``gap_`` for each size.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    MinimalNeuronSelector : Find how many neurons suffice.
    sklearn_neurox.evaluation.sparse_probing_curve : Compare with rankings, for several sizes.

    Notes
    -----
    The bound is that of the perspective relaxation [1]_ [2]_: for residuals :math:`r` that sum to
    zero, with :math:`g = X^\top r / n`,

    .. math:: P(S) \geq -\frac{1}{n} \sum_i \ell_i^*(r_i)
              - \frac{1}{2 \alpha} \sum_{j \in \mathrm{top}_k} g_j^2

    The residuals are those of the solution of the relaxation, which spreads the k neurons over
    fractions of many. The gap is therefore not only what the search has missed: with many
    correlated neurons and a weak penalty, the relaxation itself is far below any subset.

    X is read about once for each step and swap; only blocks of rows and the chosen columns are
    copied, so X may be a memory map.

    References
    ----------
    .. [1] M. Pilanci, M. J. Wainwright, L. El Ghaoui, "Sparse Learning via Boolean Relaxations",
       Mathematical Programming, 2015.

    .. [2] D. Bertsimas, B. Van Parys, "Sparse High-Dimensional Regression: Exact Scalable
       Algorithms and Phase Transitions", Annals of Statistics, 2020.

    .. [3] W. Gurnee, N. Nanda, M. Pauly, K. Harvey, D. Troitskii, D. Bertsimas, "Finding Neurons in
       a Haystack: Case Studies with Sparse Probing", TMLR 2023.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.selection import BestSubsetSelector
    >>> planted = make_planted_neurons(n_informative=3, effect=3.0, random_state=0)
    >>> selector = BestSubsetSelector(3, alpha=0.1).fit(planted.X, planted.y)
    >>> selector.get_support(indices=True).tolist() == sorted(planted.informative.tolist())
    True
    >>> selector.lower_bound_ <= selector.loss_
    True
    """

    _set_by_fit = "loss_"

    _parameter_constraints: dict = {
        "n_neurons": [*COUNT_CONSTRAINTS, "array-like"],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "loss": [StrOptions({"auto", "log_loss", "squared_error"})],
        "standardize": ["boolean"],
        "column_groups": ["array-like", None],
        "compute_bound": ["boolean"],
        "max_time": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        n_neurons: int | float | ArrayLike | None = 10,
        *,
        alpha: float = 1e-2,
        loss: str = "auto",
        standardize: bool = True,
        column_groups: ArrayLike | None = None,
        compute_bound: bool = True,
        max_time: float | None = None,
    ):
        self.n_neurons = n_neurons
        self.alpha = alpha
        self.loss = loss
        self.standardize = standardize
        self.column_groups = column_groups
        self.compute_bound = compute_bound
        self.max_time = max_time

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "BestSubsetSelector":
        """Search for the best neurons.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,), or (n_samples, n_outputs) for numbers
            Labels or targets.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the loss and in the standard deviations of the columns.

        Returns
        -------
        self : BestSubsetSelector

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, there is only one class, there are
            fewer neurons than ``n_neurons``, or ``column_groups`` does not have one entry per
            column.
        """
        clock = Clock(self.max_time)
        of_numbers = self._is_of_numbers(y)
        options = {"multi_output": of_numbers, "y_numeric": of_numbers}
        options["beside"] = {"sample_weight": sample_weight}
        matrix, targets = self._check(X, y, reset=True, **options)
        weight = check_weight(sample_weight, matrix)
        weight = np.ones(matrix.shape[0]) if weight is None else weight
        units = self._check_groups()
        sizes = self._check_sizes(int(units.max()) + 1)
        loss = self._make_loss(targets, weight, of_numbers)
        columns = Columns(matrix, loss.shares, standardize=self.standardize, units=units)
        search = Search(columns, loss, self.alpha, clock)
        fits = self._follow_path(search, sizes)
        bounds = np.full(len(sizes), np.nan)
        if self.compute_bound:
            fits, bounds = self._raise_bounds(search, fits, sizes)
        self._set_path(columns, sizes, fits, bounds)
        return self

    def _is_of_numbers(self, y):
        if self.loss != "auto" or y is None:
            return self.loss == "squared_error"
        check_no_missing_labels(y)
        return type_of_target(y).startswith("continuous")

    def _check_groups(self):
        if self.column_groups is None:
            return np.arange(self.n_features_in_)
        groups = np.asarray(self.column_groups)
        if groups.shape != (self.n_features_in_,):
            raise ValueError(
                f"The 'column_groups' parameter of {type(self).__name__} needs one group for each "
                f"of the {self.n_features_in_} columns of X, but has shape {groups.shape}."
            )
        missing = np.flatnonzero(pd.isna(groups))
        if len(missing):
            raise ValueError(
                f"The 'column_groups' parameter of {type(self).__name__} has no group for "
                f"{len(missing)} columns, the first at position {missing[0]}."
            )
        return np.unique(groups, return_inverse=True)[1]

    def _check_sizes(self, n_units):
        named = {"caller": type(self).__name__, "parameter": "n_neurons"}
        given = self.n_neurons
        if self.column_groups is not None:
            named["of"] = "groups of columns"
        sizes = [given] if given is None else check_counts(given, **named)
        return np.unique([count_neurons(size, n_units, **named) for size in sizes])

    def _make_loss(self, targets, weight, of_numbers):
        if not weight.any():
            raise ValueError(
                f"All weights of rows given to {type(self).__name__} are zero. Give some rows a "
                "positive weight."
            )
        shares = weight / weight.sum()
        if of_numbers:
            if targets.dtype.kind not in "fiub":
                raise ValueError(
                    f"{type(self).__name__}(loss='squared_error') needs numbers in y, but got "
                    f"{targets.ravel().tolist()[0]!r}. Use loss='log_loss' for labels."
                )
            return SquaredLoss(targets, shares)
        check_class_labels(targets)
        classes, codes = encode_classes(targets, weight > 0, caller=type(self).__name__)
        return (BinaryLoss if len(classes) == 2 else MultinomialLoss)(codes, shares)

    def _follow_path(self, search, sizes):
        fits, fit = [], search.fit([])
        for size in sizes.tolist():
            fit = search.swap(search.grow(fit, size))
            fits.append(fit.without_design())
        return fits

    def _raise_bounds(self, search, fits, sizes):
        """Solve the relaxation for each size, and search again from its largest shares."""
        better, bounds, relaxed = [], np.empty(len(sizes)), None
        for place, (fit, size) in enumerate(zip(fits, sizes.tolist(), strict=True)):
            relaxation = Relaxation(search.columns, search.loss, self.alpha, size, search.clock)
            relaxed = relaxation.solve(fit, relaxed)
            # No loss is negative, even if the relaxation runs out of time to prove it.
            bounds[place] = max(relaxed.bound, 0)
            if not search.clock.is_up and relaxed.bound < fit.loss:
                largest = np.argsort(-relaxed.shares, kind="stable")[:size]
                fit = min(fit, search.swap(search.fit(largest.tolist())), key=lambda one: one.loss)
            better.append(fit.without_design())
        # What no larger subset can reach, no smaller one can.
        return better, np.maximum.accumulate(bounds[::-1])[::-1]

    def _set_path(self, columns, sizes, fits, bounds):
        self.sizes_ = sizes
        self.supports_ = np.zeros((len(sizes), self.n_features_in_), dtype=bool)
        for support, fit in zip(self.supports_, fits, strict=True):
            support[columns.of(fit.units)] = True
        self.losses_ = np.array([fit.loss for fit in fits])
        # The optimum is below any loss that is reached, so that only rounding can cross it.
        self.lower_bounds_ = np.minimum(bounds, self.losses_)
        short = self.losses_ - self.lower_bounds_
        self.gaps_ = np.divide(short, self.losses_, out=np.zeros(len(short)), where=short != 0)
        self.lower_bound_, self.gap_ = float(self.lower_bounds_[-1]), float(self.gaps_[-1])
        self.loss_ = float(self.losses_[-1])

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.supports_[-1]

    def to_frame(self, input_features: ArrayLike | None = None) -> pd.DataFrame:
        """Return the subsets of all sizes as a DataFrame.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns. None uses ``feature_names_in_`` if defined, and otherwise
            ``x0``, ``x1``, ...

        Returns
        -------
        frame : DataFrame of shape (n_sizes, 5)
            Columns ``n_neurons`` (of groups, with ``column_groups``), ``loss``, ``lower_bound``,
            ``gap`` and ``neurons`` (a list of names).
        """
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        return pd.DataFrame(
            {
                "n_neurons": self.sizes_,
                "loss": self.losses_,
                "lower_bound": self.lower_bounds_,
                "gap": self.gaps_,
                "neurons": [names[support].tolist() for support in self.supports_],
            }
        )
