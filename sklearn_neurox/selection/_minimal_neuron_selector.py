# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.probes._default_probe import default_probe
from sklearn_neurox.ranking._order import neuron_order, without_selection
from sklearn_neurox.selection._probe_search import FoldScores, reaches
from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._counts import count_neurons
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._validation import check_matrix

# Percents of the neurons that the literature tries.
_PERCENTS = [0.1, 0.2, 0.3, 0.4, 0.5, *range(1, 11), *range(15, 55, 5), *range(60, 100, 10)]


class MinimalNeuronSelector(BaseNeuronSelector):
    """Keep the fewest ranked neurons with which a probe comes close to that on all neurons.

    In every fold the neurons are ranked on the training part, and the probe is fitted on ever
    more of the best and scored on the part held out. The fewest neurons are chosen whose mean
    score is within ``delta`` of the oracle's, the probe on all neurons. Then all rows are ranked,
    and as many of the best are kept.

    Parameters
    ----------
    estimator : estimator instance or None, default=None
        The probe, cloned for every fit. None takes an elastic-net probe that standardizes: a
        classifier, or a regressor where y is continuous.

    ranker : ranker instance or None, default=None
        Ranks the neurons, in every fold anew. A selector of scikit-learn will do that has
        ``scores_`` or ``ranking_``. None ranks by the weights of the probe:
        ``LCARanker(estimator)``.

    delta : float, default=0.01
        How much of the oracle's score to give up: a number of neurons suffices with a score of at
        least ``oracle - delta * abs(oracle)``.

    sizes : array-like of int or of float, or None, default=None
        What numbers of neurons to try: numbers, or fractions in (0, 1]. They are tried from the
        smallest on until one suffices; all neurons are tried last in any case. None tries the
        fractions of [1]_: 0.1 to 0.5 % in steps of 0.1, 1 to 10 % in steps of 1, 15 to 50 % in
        steps of 5, and 60, 70, 80 and 90 %.

    cv : int, cross-validation generator, iterable or None, default=None
        How to split. An int, or None for 5, asks for so many folds: of whole ``groups`` where
        they are given, and otherwise contiguous, never shuffled, with a warning. A single
        held-out part is ``cv=[(train, held_out)]``.

    scoring : str, callable or None, default=None
        The scorer; None takes the ``score`` method of the probe.

    n_jobs : int or None, default=None
        Folds to work on at a time, in threads.

    Attributes
    ----------
    n_neurons_ : int
        How many neurons are kept.

    order_ : ndarray of shape (n_features_in_,)
        The columns, best first, ranked on all rows.

    ranker_ : ranker instance
        The ranker fitted on all rows.

    sizes_ : ndarray of shape (n_tried,)
        The numbers of neurons tried, ascending up to ``n_neurons_``.

    size_scores_ : ndarray of shape (n_tried, n_folds)
        The scores of the probe on as many of the best neurons of each fold.

    oracle_scores_ : ndarray of shape (n_folds,)
        The scores of the probe on all neurons.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    LayerSelector : Keep the fewest first layers.
    CorrelationClusterSelector : Keep one of neurons that repeat each other.
    sklearn_neurox.ablation.ablation_curve : Scores for given numbers of neurons.

    Notes
    -----
    The held-out scores choose the number, so the chosen one's is slightly too good as an
    estimate; score the pipeline that holds this selector on other rows.

    Scores need not rise with the number. The search stops at the first number that suffices.

    References
    ----------
    .. [1] F. Dalvi, H. Sajjad, N. Durrani, Y. Belinkov, "Analyzing Redundancy in Pretrained
       Transformer Models", EMNLP 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> from sklearn_neurox.selection import MinimalNeuronSelector
    >>> planted = make_planted_neurons(n_informative=3, effect=3.0, random_state=0)
    >>> selector = MinimalNeuronSelector(LogisticRegression(), sizes=[1, 2, 3, 4, 5])
    >>> selector = selector.fit(planted.X, planted.y, groups=np.arange(1000))
    >>> np.isin(planted.informative, selector.get_support(indices=True)).all()
    np.True_
    >>> selector.n_neurons_
    3
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "ranker": [HasMethods(["fit"]), None],
        "delta": [Interval(Real, 0, 1, closed="left")],
        "sizes": ["array-like", None],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        ranker: BaseEstimator | None = None,
        delta: float = 0.01,
        sizes: ArrayLike | None = None,
        cv: int | Iterable | BaseCrossValidator | None = None,
        scoring: str | Callable | None = None,
        n_jobs: int | None = None,
    ):
        self.estimator = estimator
        self.ranker = ranker
        self.delta = delta
        self.sizes = sizes
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "MinimalNeuronSelector":
        """Find the number of neurons, and rank them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels or targets.

        groups : array-like of shape (n_samples,) or None, default=None
            What must not be split between two folds, such as ``words["text"]``. A ranker or probe
            that splits inside gets them too.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much every row counts in the fits of the probe and the ranker, which must take
            weights, and in the scores.

        Returns
        -------
        self : MinimalNeuronSelector

        Raises
        ------
        ValueError
            If X is not finite, a label is missing, a size is not positive or larger than there
            are neurons, the ranker does not rank, or a score is not finite.
        """
        multi_output = self.estimator is not None and is_regressor(self.estimator)
        X, y = check_matrix(self, X, y, reset=True, multi_output=multi_output)
        sizes = self._check_sizes()
        estimator = default_probe(y) if self.estimator is None else self.estimator
        options = {"cv": self.cv, "scoring": self.scoring, "n_jobs": self.n_jobs}
        metadata = {"groups": groups, "sample_weight": sample_weight}
        folds = FoldScores(estimator, X, y, caller=type(self).__name__, **metadata, **options)
        probes = folds.probes()
        self.oracle_scores_ = folds.of_probes(probes)
        orders = folds.map(
            lambda train, probe: neuron_order(folds.fit(self._ranker(probe), train)), probes
        )
        self._find_fewest(folds, orders, sizes)
        ranker = self._ranker(estimator, fitted=False)
        self.ranker_ = fit_with_groups(ranker, X, y, folds.groups, folds.weight)
        self.order_ = neuron_order(self.ranker_)
        return self

    def _check_sizes(self):
        sizes = np.array(_PERCENTS) / 100 if self.sizes is None else np.asarray(self.sizes)
        is_count = sizes.dtype.kind in "iu"
        if sizes.ndim != 1 or sizes.dtype.kind not in "iuf" or not sizes.size:
            problem = "hold at least one number"
        elif not ((sizes > 0) & (is_count | (sizes <= 1))).all():
            problem = "hold positive ints, or fractions in (0, 1]"
        else:
            n_features, caller = self.n_features_in_, type(self).__name__
            counts = [count_neurons(size, n_features, caller=caller) for size in sizes.tolist()]
            return np.unique(counts)
        raise ValueError(
            f"The 'sizes' parameter of {type(self).__name__} must {problem}. Got {self.sizes!r}."
        )

    def _ranker(self, probe, *, fitted=True):
        from sklearn_neurox.ranking import LCARanker

        if self.ranker is None:
            return LCARanker(FrozenEstimator(probe) if fitted else probe)
        return without_selection(self.ranker)

    def _find_fewest(self, folds, orders, sizes):
        oracle, n_features = self.oracle_scores_.mean(), self.n_features_in_
        tried, scores = [], []
        for size in [*sizes[sizes < n_features].tolist(), n_features]:
            tried.append(size)
            is_all = size == n_features
            best = [order[:size] for order in orders]
            scores.append(self.oracle_scores_ if is_all else folds.of_columns(best))
            if reaches(scores[-1].mean(), oracle, self.delta):
                break
        self.n_neurons_ = tried[-1]
        self.sizes_, self.size_scores_ = np.array(tried), np.array(scores)

    def _get_support_mask(self):
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self.order_[: self.n_neurons_]] = True
        return mask

    def to_frame(self) -> pd.DataFrame:
        """Give the scores of the search as a table.

        Returns
        -------
        frame : DataFrame of shape (n_tried + 1, 5)
            The numbers tried, and last all neurons, the oracle. Columns ``n_neurons``,
            ``fraction``, ``score``, ``std`` (over folds) and ``selected``.
        """
        check_is_fitted(self)
        sizes = np.append(self.sizes_, self.n_features_in_)
        scores = np.vstack([self.size_scores_, self.oracle_scores_])
        selected = np.arange(len(sizes)) == len(sizes) - 2
        return pd.DataFrame(
            {
                "n_neurons": sizes,
                "fraction": sizes / self.n_features_in_,
                "score": scores.mean(axis=1),
                "std": scores.std(axis=1),
                "selected": selected,
            }
        )
