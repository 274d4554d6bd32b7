# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, is_regressor
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.probes._default_probe import default_probe
from sklearn_neurox.selection._probe_search import FoldScores, reaches
from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._names import neuron_layers
from sklearn_neurox.utils._validation import check_matrix, check_weight


class LayerSelector(BaseNeuronSelector):
    """Keep whole layers of an activation matrix: given ones, or as few as a probe needs.

    The layer of a column comes from its name (``"hidden.3.127"`` is of layer 3, whatever its
    component), or from ``n_layers``.

    Parameters
    ----------
    layers : int, array-like of int, "auto" or None, default=None
        The layers to keep. A negative number counts from the last layer present, so that -1 is
        the last. None keeps all, and then nothing needs to be known of the layers. ``"auto"``
        keeps the first layers up to the lowest with which the probe comes close to the oracle,
        the probe on all layers [1]_.

    n_layers : int or None, default=None
        Into how many equal blocks the columns divide, the first being layer 0. None reads the
        layers from the feature names.

    estimator : estimator instance or None, default=None
        The probe of ``"auto"``, cloned for every fit. None takes an elastic-net probe that
        standardizes: a classifier, or a regressor where y is continuous.

    delta : float, default=0.01
        How much of the oracle's score ``"auto"`` gives up: the first layers suffice with a score
        of at least ``oracle - delta * abs(oracle)``.

    cv : int, cross-validation generator, iterable or None, default=None
        How ``"auto"`` splits. An int, or None for 5, asks for so many folds: of whole ``groups``
        where they are given, and otherwise contiguous, never shuffled, with a warning. A single
        held-out part is ``cv=[(train, held_out)]``.

    scoring : str, callable or None, default=None
        The scorer of ``"auto"``; None takes the ``score`` method of the probe.

    n_jobs : int or None, default=None
        Folds of ``"auto"`` to work on at a time, in threads.

    Attributes
    ----------
    layers_ : ndarray of shape (n_kept_layers,)
        The layers kept, ascending. Empty if ``layers`` is None.

    oracle_scores_ : ndarray of shape (n_folds,)
        The scores of the probe on all layers. Only with ``"auto"``.

    layer_scores_ : ndarray of shape (n_tried, n_folds)
        The scores of the probe on the first layer, the first two, and so on up to those kept.
        Only with ``"auto"``.

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

    The fewest first layers that tell the class as well as all of them do:

    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.RandomState(0)
    >>> y = rng.randint(2, size=300)
    >>> X = rng.randn(300, 8)
    >>> X[:, 2:6] += 3 * y[:, np.newaxis]
    >>> selector = LayerSelector("auto", n_layers=4, estimator=LogisticRegression())
    >>> selector.fit(X, y, groups=np.arange(300)).layers_
    array([0, 1])
    """

    _parameter_constraints: dict = {
        "layers": [Integral, "array-like", StrOptions({"auto"}), None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
        "estimator": [HasMethods(["fit", "predict"]), None],
        "delta": [Interval(Real, 0, 1, closed="left")],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_jobs": [Integral, None],
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
        X : array-like of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            The labels or targets. Only read by ``"auto"``.

        groups : array-like of shape (n_samples,) or None, default=None
            What must not be split between two folds, such as ``words["text"]``. Only read by
            ``"auto"``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much every row counts in the fits of the probe, which must take weights, and in
            its scores. Only read by ``"auto"``.

        Returns
        -------
        self : LayerSelector

        Raises
        ------
        ValueError
            If the columns do not tell their layer, or a layer is not among them; with ``"auto"``
            also if a label is missing or a score is not finite.
        """
        for searched in ("oracle_scores_", "layer_scores_"):
            self.__dict__.pop(searched, None)
        is_auto = isinstance(self.layers, str)
        if is_auto:
            multi_output = self.estimator is not None and is_regressor(self.estimator)
            X, y = check_matrix(self, X, y, reset=True, multi_output=multi_output)
        else:
            X = check_matrix(self, X, reset=True)
        check_weight(sample_weight, X)
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
            estimator = default_probe(y) if self.estimator is None else self.estimator
            options = {"cv": self.cv, "scoring": self.scoring, "n_jobs": self.n_jobs}
            metadata = {"groups": groups, "sample_weight": sample_weight}
            folds = FoldScores(estimator, X, y, caller=type(self).__name__, **metadata, **options)
            self._find_fewest(folds, of_column, present)
        else:
            self.layers_ = self._check_layers(present)
        self._mask = np.isin(of_column, self.layers_)
        return self

    def _find_fewest(self, folds, of_column, present):
        self.oracle_scores_ = folds.of_probes(folds.probes())
        oracle = self.oracle_scores_.mean()
        scores = []
        for last in present[:-1]:
            columns = np.flatnonzero(of_column <= last)
            scores.append(folds.of_columns([columns] * len(folds.folds)))
            if reaches(scores[-1].mean(), oracle, self.delta):
                break
        else:
            last = present[-1]
            scores.append(self.oracle_scores_)
        self._n_present = len(present)
        self.layer_scores_ = np.array(scores)
        self.layers_ = present[present <= last]

    def _check_layers(self, present):
        wanted = np.unique(np.asarray(self.layers))
        if wanted.dtype.kind not in "iu" or not wanted.size:
            raise ValueError(
                f"The 'layers' parameter of {type(self).__name__} must name at least one layer, "
                f"as an int or a list of ints. Got {self.layers!r}; the layers present are "
                f"{present.tolist()}."
            )
        counted = wanted < 0
        unknown = np.where(counted, wanted < -len(present), ~np.isin(wanted, present))
        if unknown.any():
            raise ValueError(
                f"{type(self).__name__} was asked for layer {wanted[unknown][0]}, which X does "
                f"not have ({unknown.sum()} such). The layers present are {present.tolist()}."
            )
        return np.unique(np.concatenate([present[wanted[counted]], wanted[~counted]]))

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._mask

    def to_frame(self) -> pd.DataFrame:
        """Give the scores of the search as a table.

        Returns
        -------
        frame : DataFrame of shape (n_tried + 1, 5)
            The layers tried, and last all of them, the oracle. Columns ``layers`` (such as
            ``"0-3"``, or ``"all"``), ``n_layers``, ``score``, ``std`` (over folds) and
            ``selected``.

        Raises
        ------
        ValueError
            If the layers were given rather than searched for.
        """
        check_is_fitted(self)
        if not hasattr(self, "layer_scores_"):
            raise ValueError(
                f"{type(self).__name__} has no scores to show, because it searched for no layers. "
                "Fit it with layers='auto'."
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
