# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.utils import Bunch, get_tags
from sklearn.utils._metadata_requests import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import _BaseComposition

from sklearn_neurox.ranking._base import BaseRanker


class ConsensusRanker(BaseRanker, _BaseComposition):
    r"""Rank neurons by the votes of several rankers (Borda count).

    Each ranker gives its best neuron one point and its worst none, the others in equal steps, and
    the score is the mean:

    .. math:: s_j = \sum_r w_r \frac{n - \mathrm{rank}_{rj}}{n - 1} \Big/ \sum_r w_r

    So only ranks count, and rankers whose scores have nothing in common can vote together. What
    none of them can see, the consensus does not see either.

    Parameters
    ----------
    estimators : list of (str, estimator) tuples
        The rankers, by name; they are cloned and fitted, or left out as ``"drop"``. Any estimator
        with ``ranks_`` or ``scores_`` after ``fit`` can vote, so that scikit-learn's scorers join
        as ``SelectKBest(f_classif)``, their undefined scores (NaN) counting as worst. With a
        single one this is the adapter that gives a scikit-learn scorer ``order_``, ``ranks_`` and
        ``to_frame``.

    weights : array-like of shape (n_estimators,) or None, default=None
        How much the vote of every ranker counts; None for equal votes.

    n_neurons : int, float or None, default=None
        How many neurons ``transform`` keeps: a number, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best or the worst.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        The share of points of every neuron, from 0 to 1.

    order_ : ndarray of shape (n_features_in_,)
        The columns, best first; of equal ones that which some ranker puts highest before others.

    ranks_ : ndarray of shape (n_features_in_,)
        The rank of every column, 1 for the best.

    class_scores_ : ndarray of shape (n_classes, n_features_in_)
        The share of points for every class, from the rankings for it. Only where all rankers rank
        by the same classes.

    class_order_ : ndarray of shape (n_classes, n_features_in_)
        The columns, best first, for every class, likewise.

    classes_ : ndarray of shape (n_classes,)
        The classes, likewise.

    estimators_ : list of estimators
        The fitted rankers.

    named_estimators_ : Bunch
        The same by name.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    sklearn.ensemble.VotingClassifier : The same for predictions.

    Notes
    -----
    Ties within a ranker are told apart by its own rules; equal ``scores_`` of an estimator
    without ``ranks_`` share their points.

    Metadata such as ``sample_weight`` or ``groups`` reach the rankers that request them, under
    ``sklearn.set_config(enable_metadata_routing=True)``.

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
        """Get the parameters, with ``deep`` those of the rankers as ``<name>__<parameter>``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the rankers and their parameters.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params) -> "ConsensusRanker":
        """Set parameters, those of the rankers too, or replace a ranker by its name.

        Parameters
        ----------
        **params : dict
            Parameter names mapped to their values.

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
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell which ranker asks for which metadata.

        Returns
        -------
        routing : MetadataRouter
            The routing of ``fit``.
        """
        router = MetadataRouter(owner=self)
        for name, ranker, _ in self._voters():
            mapping = MethodMapping().add(caller="fit", callee="fit")
            router.add(**{name: ranker}, method_mapping=mapping)
        return router

    @_fit_context(
        # The rankers are validated by their own fit.
        prefer_skip_nested_validation=False
    )
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **fit_params) -> "ConsensusRanker":
        """Fit the rankers, and count their votes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations.

        y : array-like of shape (n_samples,) or None, default=None
            The class of every row, where a ranker asks for it.

        **fit_params : dict
            Metadata, routed to the rankers that request it.

        Returns
        -------
        self : ConsensusRanker

        Raises
        ------
        ValueError
            If X is not finite, a label is missing, two rankers have the same name, there is none,
            the weights do not fit, or an estimator has neither ``ranks_`` nor ``scores_``.
        """
        _raise_for_params(fit_params, self, "fit")
        voters = self._check_voters()
        if y is None:
            self._check_fit_input(X)
        else:
            self._check_fit_input(X, y)
        routed = Bunch(**{name: Bunch(fit={}) for name, _, _ in voters})
        if _routing_enabled():
            routed = process_routing(self, "fit", **fit_params)
        # They get X as given, so that they see the same feature names as this one.
        self.estimators_ = [
            clone(ranker).fit(X, y, **routed[name].fit) for name, ranker, _ in voters
        ]
        names, _, weights = zip(*voters, strict=True)
        self.named_estimators_ = Bunch(**dict(zip(names, self.estimators_, strict=True)))
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
                f"ConsensusRanker was given {len(self.weights)} weights for "
                f"{len(self.estimators)} rankers. Give one for each, or None."
            )
        voters = self._voters()
        weights = np.array([weight for _, _, weight in voters], dtype=np.float64)
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise ValueError(
                "ConsensusRanker needs at least one ranker that votes, and weights that are finite "
                f"and not negative; its rankers are {[name for name, _, _ in voters]}, with the "
                f"weights {weights.tolist()}."
            )
        return voters

    def _class_points(self):
        """Points of every ranker for every class, or None if they do not rank by one and all."""
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
            "'ranks_' nor 'scores_' after fit. Use a ranker, or a scorer of scikit-learn in "
            "SelectKBest."
        )
    return _points_of_ranks(rankdata(-np.where(np.isnan(scores), -np.inf, scores)))


def _points_of_ranks(ranks):
    n_neurons = ranks.shape[-1]
    return (n_neurons - ranks) / max(1, n_neurons - 1)
