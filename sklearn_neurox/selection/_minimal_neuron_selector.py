# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.probes._default_probe import RANKING_TOL, default_probe
from sklearn_neurox.ranking._lca_ranker import LCARanker
from sklearn_neurox.ranking._order import neuron_order, without_selection
from sklearn_neurox.selection._probe_search import SEARCH_CONSTRAINTS, FoldScores, check_rows
from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, check_counts, count_neurons
from sklearn_neurox.utils._metadata import fit_with_groups

# Percentages of the neurons that the literature tries.
_PERCENTS = [0.1, 0.2, 0.3, 0.4, 0.5, *range(1, 11), *range(15, 55, 5), *range(60, 100, 10)]


class MinimalNeuronSelector(BaseNeuronSelector):
    """Keep the fewest top-ranked neurons on which a probe scores about as well as on all.

    In each fold, neurons are ranked on the training rows, and the probe is fitted on a growing
    number of top-ranked neurons and scored on the held-out rows. The selector chooses the smallest
    number of neurons whose mean score is within ``delta`` of the score of the oracle, which is the
    probe on all neurons. Neurons are then ranked on all rows, and the best ones are kept, as many
    as were chosen.

    Parameters
    ----------
    estimator : estimator instance or None, default=None
        Probe, cloned for each fit. None uses an elastic-net probe with standardization: a
        classifier, or a regressor if y is continuous; with ``tol=1e-5`` if its weights are ranked.

    ranker : ranker instance or None, default=None
        Ranker of the neurons, cloned and fitted in each fold. A scikit-learn selector that has
        ``scores_`` or ``ranking_`` works too. None ranks by the weights of the probe, with
        ``LCARanker(estimator)``.

    delta : float, default=0.01
        Fraction of the oracle's score that may be lost: a number of neurons suffices if its score
        is at least ``oracle - delta * abs(oracle)``.

    guarantee : bool, default=False
        Whether to choose the smallest number of neurons for which the *upper bound* on the
        fraction lost is at most ``delta``, not just its estimate. Without it, rows that ``fit``
        has not seen often lose more than ``delta``, because the estimate is noisy and the search
        stops at the first number that happens to suffice. The bound needs at least two folds.

    sizes : int, float, array-like of these, or None, default=None
        Numbers of neurons to try: numbers, as ints, or fractions of the neurons, as floats in
        (0, 1]; 1 is one neuron, and 1.0 is all. They are tried in
        ascending order until one suffices; if none does, all neurons are kept. None tries the
        fractions of [1]_: 0.1% to 0.5% in steps of 0.1%, 1% to 10% in steps of 1%, 15% to 50% in
        steps of 5%, and 60%, 70%, 80% and 90%.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds, which keep ``groups``
        whole; without groups the folds are contiguous and never shuffled, and a warning is issued.
        For a single held-out set, pass ``cv=[(train, held_out)]``.

    scoring : str, callable or None, default=None
        Scorer. None uses the ``score`` method of the probe.

    n_jobs : int or None, default=None
        Number of folds to process in parallel, in threads.

    Attributes
    ----------
    n_neurons_ : int
        Number of neurons that are kept.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first, from the ranking on all rows.

    ranker_ : ranker instance
        The ranker fitted on all rows.

    sizes_ : ndarray of shape (n_tried,)
        Numbers of neurons tried, ascending; the last is ``n_neurons_``.

    size_scores_ : ndarray of shape (n_tried, n_folds)
        Scores of the probe on the given number of top-ranked neurons of each fold.

    oracle_scores_ : ndarray of shape (n_folds,)
        Scores of the probe on all neurons.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    LayerSelector : Keep the fewest first layers.
    CorrelationClusterSelector : Keep one neuron from each cluster of redundant neurons.
    sklearn_neurox.ablation.ablation_curve : Compute scores for given numbers of neurons.

    Notes
    -----
    The held-out scores are used to choose the number of neurons, so the score of that number is
    slightly optimistic. For an unbiased estimate, score a pipeline that contains this selector on
    other rows.

    With ``guarantee``, the bound is the one-sided 90% bound of a t test on the differences between
    the folds' scores, with the variance that [2]_ corrects for overlapping training sets. If the
    two probes differ on hardly any row, all folds may agree by chance. The bound therefore exceeds
    the mean difference by at least :math:`1 - 0.1^{1/n}` of the score, about 2.3 / n: the share of
    all rows that may be lost even if none of the n held-out rows is. In simulations, at most one
    search in ten then loses more than ``delta`` on unseen rows, against up to 54% without the
    guarantee. The fewer rows there are, the more neurons are kept; if no number is sure to suffice,
    all are kept.

    Scores need not increase with the number of neurons. The search stops at the first number that
    suffices.

    References
    ----------
    .. [1] F. Dalvi, H. Sajjad, N. Durrani, Y. Belinkov, "Analyzing Redundancy in Pretrained
       Transformer Models", EMNLP 2020.

    .. [2] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning, 2003.

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

    _set_by_fit = "order_"

    _parameter_constraints: dict = {
        "ranker": [HasMethods(["fit"]), None],
        "guarantee": ["boolean"],
        "sizes": [*COUNT_CONSTRAINTS, "array-like"],
        **SEARCH_CONSTRAINTS,
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        ranker: BaseEstimator | None = None,
        delta: float = 0.01,
        guarantee: bool = False,
        sizes: int | float | ArrayLike | None = None,
        cv: int | Iterable | BaseCrossValidator | None = None,
        scoring: str | Callable | None = None,
        n_jobs: int | None = None,
    ):
        self.estimator = estimator
        self.ranker = ranker
        self.delta = delta
        self.guarantee = guarantee
        self.sizes = sizes
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = all(
            get_tags(part).input_tags.sparse
            for part in (self.estimator, self.ranker)
            if part is not None
        )
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "MinimalNeuronSelector":
        """Find the number of neurons to keep and rank them.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or targets.

        groups : array-like of shape (n_samples,) or None, default=None
            Group labels, such as ``words["text"]``; no group is split between two folds. They are
            also passed to a ranker or probe that accepts them.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the scores and in the fits of the probe and the ranker, both of
            which must accept weights.

        Returns
        -------
        self : MinimalNeuronSelector

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, a size is not positive or exceeds
            the number of neurons, the ranker provides no ranking, or a score is not finite.
        """
        matrix, targets = check_rows(self, X, y, groups, sample_weight)
        sizes = self._check_sizes()
        # Without a ranker, neurons are ranked by the weights of the probe.
        default = partial(default_probe, tol=RANKING_TOL) if self.ranker is None else default_probe
        folds = FoldScores(self, matrix, targets, groups, sample_weight, default)
        probes = folds.probes()
        self.oracle_scores_ = folds.of_probes(probes)
        orders = folds.map(
            lambda train, _, probe: neuron_order(folds.fit(self._ranker(probe), train)), probes
        )
        self._find_fewest(folds, orders, sizes)
        ranker = self._ranker(folds.estimator, fitted=False)
        self.ranker_ = fit_with_groups(ranker, matrix, targets, folds.groups, folds.weight)
        self.order_ = neuron_order(self.ranker_)
        return self

    def _check_sizes(self):
        sizes = np.array(_PERCENTS) / 100 if self.sizes is None else self.sizes
        named = {"caller": type(self).__name__, "parameter": "sizes"}
        sizes = check_counts(sizes, **named)
        return np.unique([count_neurons(size, self.n_features_in_, **named) for size in sizes])

    def _ranker(self, probe, *, fitted=True):
        if self.ranker is None:
            return LCARanker(FrozenEstimator(probe) if fitted else probe)
        return without_selection(self.ranker)

    def _find_fewest(self, folds, orders, sizes):
        fewer = sizes[sizes < self.n_features_in_].tolist()
        choices = ([order[:size] for order in orders] for size in fewer)
        self.size_scores_ = folds.until_enough(
            choices, self.oracle_scores_, self.delta, self.guarantee
        )
        tried = [*fewer, self.n_features_in_][: len(self.size_scores_)]
        self.n_neurons_ = tried[-1]
        self.sizes_ = np.array(tried)

    def _get_support_mask(self):
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.order_[: self.n_neurons_])

    def to_frame(self) -> pd.DataFrame:
        """Return the scores of the search as a DataFrame.

        Returns
        -------
        frame : DataFrame of shape (n_tried + 1, 5)
            One row per number of neurons tried; the last row is the oracle, on all neurons.
            Columns ``n_neurons``, ``fraction``, ``score``, ``std`` (over folds) and ``selected``.
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
