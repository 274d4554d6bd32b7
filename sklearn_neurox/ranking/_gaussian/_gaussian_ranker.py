# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_consistent_length

from sklearn_neurox.probes._gaussian._candidates import count_candidates, named_candidates
from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._gaussian._greedy import better_first
from sklearn_neurox.ranking._gaussian._held_out import held_out_rows
from sklearn_neurox.ranking._gaussian._split import GaussianSplit
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS
from sklearn_neurox.utils._labels import check_class_labels
from sklearn_neurox.utils._validation import check_weight


class GaussianRanker(BaseRanker):
    r"""Rank neurons by greedy forward selection with a Gaussian probe.

    The Gaussians of `sklearn_neurox.probes.GaussianProbeClassifier` are fitted on the training
    rows. Each greedy step then adds the neuron that, together with those already chosen, predicts
    the held-out rows best. Redundant neurons therefore rank late, and neurons that are informative
    through their variance or their correlation with others are found. After ``max_neurons`` steps,
    the remaining neurons follow in the order of their individual scores.

    This ranker misses a pair of neurons that reveals the class only together (XOR) until one of
    them has been added by chance. It also misses anything that one Gaussian per class cannot
    describe, such as two separate modes.

    Parameters
    ----------
    criterion : {"mutual_information", "log_likelihood", "accuracy"}, default="mutual_information"
        Quantity on the held-out rows that each step maximizes.

        - ``"log_likelihood"``: the mean log-probability of the true class, in nats; the objective
          of [1]_.
        - ``"mutual_information"``: the lower bound on the mutual information that the
          log-likelihood implies, which is the entropy of the labels minus the cross-entropy, in
          bits. The order is the same; only the unit of the scores differs.
        - ``"accuracy"``: the fraction of rows that are classified correctly; ties are broken by the
          log-likelihood.

    max_neurons : int, default=50
        Number of neurons to choose greedily; at most the number of candidates.

    candidates : int, float, array-like or None, default=None
        Neurons that may be chosen greedily. An int, or a fraction in (0, 1], takes that many
        neurons, those with the best individual scores on the held-out rows; an array-like lists the
        columns (indices, feature names or a mask); None takes all. Their number is the dimension
        :math:`d` of the Gaussians and of their prior.

    covariance_prior : {"mean", "mode"}, default="mean"
        Prior on the covariances, as in `sklearn_neurox.probes.GaussianProbeClassifier`:
        ``"mean"`` is that of [1]_; ``"mode"`` does better with rare classes or many candidates.

    validation_fraction : float, default=0.2
        Fraction of rows to hold out, in (0, 1). Words are never drawn at random: with ``groups``,
        the last groups (in order of first appearance) are held out; without, the last rows of each
        class are, and a warning is issued.

    max_memory : float, default=8.0
        Maximum size of the covariances, in gigabytes (1e9 bytes): ``8e-9 * n_classes * d ** 2``.

    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        Score of each neuron; higher means chosen earlier. Greedily chosen neurons score from the
        number of steps (chosen first) down to 1 (chosen last). All others score at most zero: their
        individual score minus the best individual score, in the unit of the criterion. The value of
        the criterion after each step is in ``greedy_scores_``.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first: greedily chosen neurons in the order chosen, then the others.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.

    greedy_scores_ : ndarray of shape (n_steps,)
        Criterion on the held-out rows after each step. It may decrease, as more neurons can make
        the probe worse.

    single_scores_ : ndarray of shape (n_features_in_,)
        Criterion of each neuron alone.

    candidates_ : ndarray of shape (d,)
        Columns that could be chosen greedily, ascending.

    classes_ : ndarray of shape (n_classes,)
        Class labels of the training rows.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    sklearn_neurox.probes.GaussianProbeClassifier : The probe, its prior and its limitations.
    ProbelessRanker : Rank by the distances between class means.

    Notes
    -----
    The held-out rows are used to choose the neurons, so ``greedy_scores_`` are optimistic. For an
    unbiased estimate, use other rows, for example with
    ``GaussianProbeClassifier.mutual_information``.

    A step scores all candidates at once, from the Cholesky factor of the chosen neurons'
    covariances and the regression of each candidate on the chosen neurons, which grows by one row
    per step. Candidates are screened in single precision, and the best eight are compared in double
    precision. With more than 4096 held-out rows, 4096 evenly spread ones first preselect 64
    candidates, which are then scored on all held-out rows.

    References
    ----------
    .. [1] L. Torroba Hennigen, A. Williams, R. Cotterell, "Intrinsic Probing through Dimension
       Selection", EMNLP 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_neurox.ranking import GaussianRanker
    >>> X, y = load_iris(return_X_y=True)
    >>> ranker = GaussianRanker(max_neurons=2).fit(X, y, groups=np.arange(len(y)) % 10)
    >>> ranker.order_[:2]
    array([2, 0])
    >>> ranker.greedy_scores_.round(1)
    array([1.5, 1.5])
    """

    _parameter_constraints: dict = {
        **BaseRanker._parameter_constraints,
        "criterion": [StrOptions({"mutual_information", "log_likelihood", "accuracy"})],
        "max_neurons": [Interval(Integral, 1, None, closed="left")],
        "candidates": [*COUNT_CONSTRAINTS, "array-like"],
        "covariance_prior": [StrOptions({"mean", "mode"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "max_memory": [Interval(Real, 0, None, closed="neither")],
    }

    _needs_labels = True
    _why_dense = "a Gaussian has a dense covariance, and no mode at zero"

    def __init__(
        self,
        criterion: str = "mutual_information",
        *,
        max_neurons: int = 50,
        candidates: int | float | ArrayLike | None = None,
        covariance_prior: str = "mean",
        validation_fraction: float = 0.2,
        max_memory: float = 8.0,
        n_neurons: int | float | None = None,
        which: str = "top",
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.criterion = criterion
        self.max_neurons = max_neurons
        self.candidates = candidates
        self.covariance_prior = covariance_prior
        self.validation_fraction = validation_fraction
        self.max_memory = max_memory

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "GaussianRanker":
        """Rank the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,)
            Class label of each row.

        groups : array-like of shape (n_samples,) or None, default=None
            Group labels; no group is split between training and held-out rows. For words, use
            ``words["text"]``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the moments, in the means over held-out rows and in
            ``validation_fraction``; rows of weight zero are ignored.

        Returns
        -------
        self : GaussianRanker

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, there are fewer than two classes to
            train on or no rows to hold out, or the covariances would not fit into ``max_memory``.
        """
        beside = {"groups": groups, "sample_weight": sample_weight}
        options = {"squares": True, "beside": beside, "ensure_min_samples": 2}
        matrix, labels = self._check_fit_input(X, y, **options)
        check_class_labels(labels)
        check_consistent_length(matrix, groups)
        caller = type(self).__name__
        weight = check_weight(sample_weight, matrix)
        train, held_out = held_out_rows(
            labels, groups, weight, self.validation_fraction, caller=caller
        )
        split = GaussianSplit(
            matrix, labels, train, held_out, weight, prior=self.covariance_prior, caller=caller
        )
        self.classes_ = split.classes
        given = named_candidates(self)
        n_candidates = count_candidates(self, given, len(split.classes))
        alone = split.score_alone(n_candidates)
        if given is None:
            order = better_first(*alone, by_accuracy=self.criterion == "accuracy")
            given = np.sort(order[:n_candidates])
        self.candidates_ = given
        chosen, path = self._choose(split)
        self.single_scores_ = self._in_units(alone, split)
        self.greedy_scores_ = self._in_units(path, split)
        scores = self.single_scores_ - self.single_scores_.max()
        scores[chosen] = np.arange(len(chosen), 0, -1)
        self._set_ranking(scores, [alone[0]])
        return self

    def _choose(self, split):
        n_steps = min(self.max_neurons, len(self.candidates_))
        selection = split.selection(
            self.candidates_, n_steps=n_steps, by_accuracy=self.criterion == "accuracy"
        )
        places, *path = zip(*(selection.step() for _ in range(n_steps)), strict=True)
        return self.candidates_[list(places)], np.array(path)

    def _in_units(self, log_likelihood_and_accuracy, split):
        log_likelihood, accuracy = log_likelihood_and_accuracy
        if self.criterion == "accuracy":
            return accuracy
        if self.criterion == "log_likelihood":
            return log_likelihood
        return (split.held_out_entropy() + log_likelihood) / np.log(2)
