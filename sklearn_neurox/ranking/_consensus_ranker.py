# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import Bunch, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    process_routing,
)

# Private, but all of scikit-learn's ensembles of named estimators inherit from it.
from sklearn.utils.metaestimators import _BaseComposition

from sklearn_neurox.ranking._base import BaseRanker


class ConsensusRanker(BaseRanker, _BaseComposition):
    r"""Rank neurons by the votes of several rankers (Borda count).

    Each ranker gives its best neuron one point, its worst none, and the others equally spaced
    values in between. The score of a neuron is its weighted mean over rankers:

    .. math:: s_j = \sum_r w_r \frac{n - \mathrm{rank}_{rj}}{n - 1} \Big/ \sum_r w_r

    Only ranks count, so rankers whose scores are on unrelated scales can vote together. The
    consensus cannot find neurons that none of its rankers can find.

    Parameters
    ----------
    estimators : list of (str, estimator) tuples
        Named rankers, which are cloned and fitted; ``"drop"`` in place of a ranker leaves it out.
        Any estimator that has ``ranks_`` or ``scores_`` after ``fit`` can vote. This includes
        scikit-learn's univariate scores, as in ``SelectKBest(f_classif)``; their undefined scores
        (NaN) rank last. With a single estimator, this class is an adapter that adds ``order_``,
        ``ranks_`` and ``to_frame`` to a scikit-learn selector.

    weights : array-like of shape (n_estimators,) or None, default=None
        Weight of each ranker's vote. None weights all rankers equally.

    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        Weighted mean of the points of each neuron, from 0 (ranked last by all) to 1 (ranked first
        by all).

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first. Ties in ``scores_`` are broken by the best rank that any
        single ranker gives.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        The same weighted mean for each class, computed from the rankings for that class; rows
        follow ``classes_``. Only available if all rankers rank the neurons for each class and have
        the same classes.

    class_order_ : ndarray of shape (n_classes, n_features_in_)
        Column indices for each class, best first. Only available together with ``class_scores_``.

    classes_ : ndarray of shape (n_classes,)
        Class labels. Only available together with ``class_scores_``.

    estimators_ : list of estimators
        The fitted rankers.

    named_estimators_ : Bunch
        The fitted rankers by name.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    sklearn.ensemble.VotingClassifier : Combine predictions by voting.

    Notes
    -----
    Each ranker breaks its own ties. For an estimator without ``ranks_``, columns with equal
    ``scores_`` share their points.

    Metadata such as ``sample_weight`` or ``groups`` is routed to the rankers that request it if
    ``sklearn.set_config(enable_metadata_routing=True)`` is set.

    References
    ----------
    .. [1] Y. Fan, F. Dalvi, N. Durrani, H. Sajjad, "Evaluating Neuron Interpretation Methods of
       NLP Models", NeurIPS 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.feature_selection import SelectKBest, f_classif
    >>> from sklearn_neurox.ranking import ConsensusRanker, ProbelessRanker
    >>> X, y = load_iris(return_X_y=True)
    >>> votes = [("probeless", ProbelessRanker()), ("anova", SelectKBest(f_classif, k="all"))]
    >>> ConsensusRanker(votes).fit(X, y).order_
    array([2, 3, 0, 1])
    """

    _parameter_constraints: dict = {
        "estimators": [list],
        "weights": ["array-like", None],
        **BaseRanker._parameter_constraints,
    }

    def __init__(
        self,
        estimators: list[tuple[str, BaseEstimator]],
        *,
        weights: ArrayLike | None = None,
        n_neurons: int | float | None = None,
        which: str = "top",
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.estimators = estimators
        self.weights = weights

    def get_params(self, deep: bool = True) -> dict:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the rankers and their parameters, as ``<name>__<parameter>``.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params) -> "ConsensusRanker":
        """Set the parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Parameter names mapped to their values. ``<name>__<parameter>`` sets a parameter of a
            ranker; ``<name>`` replaces the ranker itself.

        Returns
        -------
        self : ConsensusRanker
        """
        return self._set_params("estimators", **params)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = any(
            get_tags(ranker).target_tags.required for _, ranker, _ in self._voters()
        )
        tags.input_tags.sparse = all(
            get_tags(ranker).input_tags.sparse for _, ranker, _ in self._voters()
        )
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that each ranker requests.

        Returns
        -------
        routing : MetadataRouter
            Metadata routing for ``fit``.
        """
        router = MetadataRouter(owner=self)
        for name, ranker, _ in self._voters():
            mapping = MethodMapping().add(caller="fit", callee="fit")
            router.add(**{name: ranker}, method_mapping=mapping)
        return router

    @property
    def named_estimators_(self) -> Bunch:
        """The fitted rankers by name."""
        rankers = self.estimators_
        return Bunch(**dict(zip(self._names, rankers, strict=True)))

    @_fit_context(
        # Each ranker validates its own parameters.
        prefer_skip_nested_validation=False
    )
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **fit_params) -> "ConsensusRanker":
        """Fit the rankers and combine their rankings.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,) or None, default=None
            Class label of each row; required if one of the rankers requires it.

        **fit_params : dict
            Metadata, routed to the rankers that request it.

        Returns
        -------
        self : ConsensusRanker

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, no ranker is left to vote, two
            rankers have the same name, the weights are invalid or not one per ranker, or an
            estimator has neither ``ranks_`` nor ``scores_``.
        """
        # Private, but it raises the same error as scikit-learn's own meta-estimators.
        _raise_for_params(fit_params, self, "fit")
        voters = self._check_voters()
        self._check_fit_input(X, "no_validation" if y is None else y, beside=fit_params)
        routed = process_routing(self, "fit", **fit_params)
        # The rankers get X as it was passed, so that they see its feature names.
        self.estimators_ = [
            clone(ranker).fit(X, y, **routed[name].fit) for name, ranker, _ in voters
        ]
        names, _, weights = zip(*voters, strict=True)
        self._names = list(names)
        points = [_points(name, r) for name, r in zip(names, self.estimators_, strict=True)]
        by_class = {}
        class_points = self._class_points()
        if class_points is not None:
            by_class = {
                "class_scores": np.average(class_points, axis=0, weights=weights),
                "class_tie_breakers": [np.max(class_points, axis=0)],
            }
        scores = np.average(points, axis=0, weights=weights)
        self._set_ranking(scores, [np.max(points, axis=0)], **by_class)
        return self

    def _voters(self):
        weights = np.ones(len(self.estimators)) if self.weights is None else self.weights
        return [
            (name, ranker, weight)
            for (name, ranker), weight in zip(self.estimators, weights, strict=False)
            if not isinstance(ranker, str)
        ]

    def _check_voters(self):
        self._validate_names([name for name, _ in self.estimators])
        if self.weights is not None and len(self.weights) != len(self.estimators):
            raise ValueError(
                f"ConsensusRanker got {len(self.weights)} weights for {len(self.estimators)} "
                "rankers. Pass one weight per ranker, or weights=None."
            )
        voters = self._voters()
        weights = np.array([weight for _, _, weight in voters], dtype=np.float64)
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError(
                "ConsensusRanker needs at least one ranker that is not dropped, with finite, "
                "non-negative weights that are not all zero; got the rankers "
                f"{[name for name, _, _ in voters]} with the weights {weights.tolist()}."
            )
        return voters

    def _class_points(self):
        """Return each ranker's points per class, or None if their classes differ or are absent."""
        first = getattr(self.estimators_[0], "classes_", None)
        for ranker in self.estimators_:
            if not hasattr(ranker, "class_order_") or not np.array_equal(ranker.classes_, first):
                self._forget_classes()
                return None
        self.classes_ = first
        ranks = [np.argsort(ranker.class_order_, axis=1) + 1 for ranker in self.estimators_]
        return _points_of_ranks(np.array(ranks))


def _points(name, ranker):
    if hasattr(ranker, "ranks_"):
        return _points_of_ranks(ranker.ranks_)
    scores = getattr(ranker, "scores_", None)
    if scores is None:
        raise ValueError(
            f"The estimator {name!r} of ConsensusRanker, a {type(ranker).__name__}, has neither "
            "'ranks_' nor 'scores_' after fit. Use a ranker, or wrap a scikit-learn score "
            "function in SelectKBest."
        )
    return _points_of_ranks(rankdata(-np.where(np.isnan(scores), -np.inf, scores)))


def _points_of_ranks(ranks):
    n_neurons = ranks.shape[-1]
    return (n_neurons - ranks) / max(1, n_neurons - 1)
