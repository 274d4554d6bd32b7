# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.selection._probe_search import SEARCH_CONSTRAINTS, FoldScores, check_rows
from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._names import neuron_layers
from sklearn_neurox.utils._validation import check_weight


class LayerSelector(BaseNeuronSelector):
    """Keep whole layers of an activation matrix: given ones, or as few as a probe needs.

    The layer of a column is read from its name (``"hidden.3.127"`` belongs to layer 3, as do the
    other components of layer 3) or derived from ``n_layers``.

    Parameters
    ----------
    layers : int, array-like of int, "auto" or None, default=None
        Layers to keep. Negative numbers count from the last layer present, which is -1. None keeps
        all columns and does not need to know their layers. ``"auto"`` keeps the smallest number of
        first layers on which the probe comes close to the oracle, which is the probe on all
        layers [1]_.

    n_layers : int or None, default=None
        Number of equal blocks of columns; the first block is layer 0. None reads the layers from
        the feature names.

    estimator : estimator instance or None, default=None
        Probe for ``"auto"``, cloned for each fit. None uses an elastic-net probe with
        standardization: a classifier, or a regressor if y is continuous.

    delta : float, default=0.01
        Fraction of the oracle's score that ``"auto"`` may lose: layers suffice if their score is
        at least ``oracle - delta * abs(oracle)``.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation for ``"auto"``. An int, or None for 5, sets the number of folds, which
        keep ``groups`` whole; without groups the folds are contiguous and never shuffled, and a
        warning is issued. For a single held-out set, pass ``cv=[(train, held_out)]``.

    scoring : str, callable or None, default=None
        Scorer for ``"auto"``. None uses the ``score`` method of the probe.

    n_jobs : int or None, default=None
        Number of folds that ``"auto"`` processes in parallel, in threads.

    Attributes
    ----------
    layers_ : ndarray of shape (n_kept_layers,)
        Layers that are kept, ascending. Empty if ``layers`` is None.

    oracle_scores_ : ndarray of shape (n_folds,)
        Scores of the probe on all layers. Only available with ``"auto"``.

    layer_scores_ : ndarray of shape (n_tried, n_folds)
        Scores of the probe on the first layer, the first two, and so on up to those kept. Only
        available with ``"auto"``.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    MinimalNeuronSelector : Keep the fewest neurons that a probe needs.
    sklearn_neurox.ablation.NeuronAblator : Remove or overwrite single neurons.

    References
    ----------
    .. [1] F. Dalvi, H. Sajjad, N. Durrani, Y. Belinkov, "Analyzing Redundancy in Pretrained
       Transformer Models", EMNLP 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.selection import LayerSelector
    >>> X = np.arange(12.0).reshape(2, 6)
    >>> LayerSelector(-1, n_layers=3).fit_transform(X)
    array([[ 4.,  5.],
           [10., 11.]])

    Find the fewest first layers that predict the class as well as all layers do:

    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.RandomState(0)
    >>> y = rng.randint(2, size=300)
    >>> X = rng.randn(300, 8)
    >>> X[:, 2:6] += 3 * y[:, np.newaxis]
    >>> selector = LayerSelector("auto", n_layers=4, estimator=LogisticRegression())
    >>> selector.fit(X, y, groups=np.arange(300)).layers_
    array([0, 1])
    """

    _set_by_fit = "layers_"

    _parameter_constraints: dict = {
        "layers": [Integral, "array-like", StrOptions({"auto"}), None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
        **SEARCH_CONSTRAINTS,
    }

    def __init__(
        self,
        layers: int | Sequence[int] | str | None = None,
        *,
        n_layers: int | None = None,
        estimator: BaseEstimator | None = None,
        delta: float = 0.01,
        cv: int | Iterable | BaseCrossValidator | None = None,
        scoring: str | Callable | None = None,
        n_jobs: int | None = None,
    ):
        self.layers = layers
        self.n_layers = n_layers
        self.estimator = estimator
        self.delta = delta
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = isinstance(self.layers, str)
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "LayerSelector":
        """Find the columns of the layers to keep.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Labels or targets. Only used by ``"auto"``.

        groups : array-like of shape (n_samples,) or None, default=None
            Group labels, such as ``words["text"]``; no group is split between two folds. Only used
            by ``"auto"``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the fits and scores of the probe, which must accept weights. Only
            used by ``"auto"``.

        Returns
        -------
        self : LayerSelector

        Raises
        ------
        ValueError
            If the layers of the columns are unknown, or a requested layer does not exist; with
            ``"auto"`` also if a label is missing or a score is not finite.
        """
        for searched in ("oracle_scores_", "layer_scores_"):
            self.__dict__.pop(searched, None)
        is_auto = isinstance(self.layers, str)
        if is_auto:
            matrix, y = check_rows(self, X, y, groups, sample_weight)
        else:
            matrix = self._check(X, reset=True, beside={"sample_weight": sample_weight})
        check_weight(sample_weight, matrix)
        if self.layers is None:
            self.layers_ = np.empty(0, dtype=np.intp)
            self._mask = np.ones(self.n_features_in_, dtype=bool)
            return self
        of_column = neuron_layers(
            getattr(self, "feature_names_in_", None),
            self.n_features_in_,
            n_layers=self.n_layers,
            caller=type(self).__name__,
        )
        present = np.unique(of_column)
        if is_auto:
            folds = FoldScores(self, matrix, y, groups, sample_weight)
            self._find_fewest(folds, of_column, present)
        else:
            self.layers_ = self._check_layers(present)
        self._mask = np.isin(of_column, self.layers_)
        return self

    def _find_fewest(self, folds, of_column, present):
        self.oracle_scores_ = folds.of_probes(folds.probes())
        choices = ([np.flatnonzero(of_column <= last)] * len(folds.folds) for last in present[:-1])
        self._n_present = len(present)
        self.layer_scores_ = folds.until_enough(choices, self.oracle_scores_, self.delta)
        self.layers_ = present[: len(self.layer_scores_)]

    def _check_layers(self, present):
        wanted = np.unique(np.asarray(self.layers))
        if wanted.dtype.kind not in "iu" or not wanted.size:
            raise ValueError(
                f"The 'layers' parameter of {type(self).__name__} must name at least one layer, "
                f"as an int or a list of ints; got {self.layers!r}. The layers present are "
                f"{present.tolist()}."
            )
        counted = wanted < 0
        unknown = np.where(counted, wanted < -len(present), ~np.isin(wanted, present))
        if unknown.any():
            raise ValueError(
                f"{type(self).__name__} was asked for layer {wanted[unknown][0]}, but X does not "
                f"have it ({unknown.sum()} unknown in total). The layers present are "
                f"{present.tolist()}."
            )
        return np.unique(np.concatenate([present[wanted[counted]], wanted[~counted]]))

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._mask

    def to_frame(self) -> pd.DataFrame:
        """Return the scores of the search as a DataFrame.

        Returns
        -------
        frame : DataFrame of shape (n_tried + 1, 5)
            One row per number of layers tried; the last row is the oracle, on all layers. Columns
            ``layers`` (such as ``"0-3"``, or ``"all"``), ``n_layers``, ``score``, ``std`` (over
            folds) and ``selected``.

        Raises
        ------
        ValueError
            If ``layers`` is not ``"auto"``.
        """
        check_is_fitted(self)
        if not hasattr(self, "layer_scores_"):
            raise ValueError(
                f"{type(self).__name__} has no scores to show, because it did not search for "
                "layers. Fit it with layers='auto'."
            )
        scores = np.vstack([self.layer_scores_, self.oracle_scores_])
        ends = self.layers_.tolist()
        names = [str(end) if end == ends[0] else f"{ends[0]}-{end}" for end in ends]
        return pd.DataFrame(
            {
                "layers": [*names, "all"],
                "n_layers": [*range(1, len(ends) + 1), self._n_present],
                "score": scores.mean(axis=1),
                "std": scores.std(axis=1),
                "selected": [*(end == ends[-1] for end in ends), False],
            }
        )
