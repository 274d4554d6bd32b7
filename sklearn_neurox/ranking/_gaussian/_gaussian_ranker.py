# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from sklearn_neurox.probes._gaussian._candidates import count_candidates, named_candidates
from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._gaussian._greedy import better_first
from sklearn_neurox.ranking._gaussian._held_out import held_out_rows
from sklearn_neurox.ranking._gaussian._split import GaussianSplit
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS
from sklearn_neurox.utils._validation import check_weight


class GaussianRanker(BaseRanker):
    r"""Rank neurons by greedy selection under a Gaussian probe, on rows held out.

    The Gaussians of `sklearn_neurox.probes.GaussianProbeClassifier` are fitted on the training
    rows. Then, step by step, the neuron is chosen that together with those chosen before predicts
    the held-out rows best. So a neuron that only repeats what is known comes late, and one that
    tells by its variance or its correlation with others is found. After ``max_neurons`` steps the
    rest follow by what each predicts alone.

    It does not see a pair that tells the class only together (XOR) before one of the two has come
    in by chance, nor what no Gaussian of the class describes, such as two separate modes.

    Parameters
    ----------
    criterion : {"mutual_information", "log_likelihood", "accuracy"}, default="mutual_information"
        What the next neuron makes largest on the held-out rows.

        - ``"log_likelihood"``: the mean log-probability of the true class, in nats, the objective
          of [1]_.
        - ``"mutual_information"``: the bound that it gives, the entropy of the labels less the
          cross-entropy, in bits. The order is the same, only the unit of the scores is another.
        - ``"accuracy"``: the share of rows that are classified rightly; among equals the
          log-likelihood decides.

    max_neurons : int, default=50
        How many neurons are chosen greedily, at most all candidates.

    candidates : int, float, array-like or None, default=None
        The neurons that may be chosen greedily: a number or a fraction in (0, 1] of those that
        alone score best on the held-out rows, a choice of columns (indices, feature names or a
        mask), or None for all. Their number is the dimension :math:`d` of the Gaussians and of
        their prior.

    covariance_prior : {"mean", "mode"}, default="mean"
        The prior of the covariances, as in `sklearn_neurox.probes.GaussianProbeClassifier`:
        ``"mean"`` is that of [1]_, ``"mode"`` does better with rare classes or many candidates.

    validation_fraction : float, default=0.2
        The share of rows to hold out, in (0, 1). They are never drawn at random over words: with
        ``groups`` the last groups, in the order of their first rows, are held out; without, the
        last rows of every class, with a warning.

    max_memory : float, default=8.0
        The most the covariances may take, in gigabytes (1e9 bytes): ``8e-9 * n_classes * d ** 2``.

    n_neurons : int, float or None, default=None
        How many neurons ``transform`` keeps: a number, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best or the worst.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        From the number of greedy steps for the first chosen down to 1 for the last. The others
        have how much worse they are alone than the best alone, zero or less, in the unit of the
        criterion. What a step brought is in ``greedy_scores_``.

    order_ : ndarray of shape (n_features_in_,)
        The columns, best first: those chosen greedily in their order, then the others.

    ranks_ : ndarray of shape (n_features_in_,)
        The rank of every column, 1 for the best.

    greedy_scores_ : ndarray of shape (n_steps,)
        The criterion on the held-out rows after every step. It may fall: more neurons may make
        the probe worse.

    single_scores_ : ndarray of shape (n_features_in_,)
        The criterion of every neuron alone.

    candidates_ : ndarray of shape (d,)
        The columns that could be chosen greedily, ascending.

    classes_ : ndarray of shape (n_classes,)
        The classes of the training rows.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    sklearn_neurox.probes.GaussianProbeClassifier : The probe, with its prior and its limits.
    ProbelessRanker : Ranks by the distances of the class means.

    Notes
    -----
    The held-out rows choose the neurons, so ``greedy_scores_`` are too good as an estimate; take
    that on other rows, for example with ``GaussianProbeClassifier.mutual_information``.

    A step scores all candidates at once: with the Cholesky factor of the chosen neurons' block it
    needs every candidate's regression on the chosen, which grows by a row a step. Candidates are
    screened in single precision, and the best eight compared in double precision. With more than
    4096 held-out rows, 4096 of them, spread evenly, choose 64 candidates to score on all.

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
    ) -> "GaussianRanker":
        """Rank the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations.

        y : array-like of shape (n_samples,)
            The class of every row.

        groups : array-like of shape (n_samples,) or None, default=None
            What must not be split between training and held-out rows; for words,
            ``words["text"]``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much every row counts in the moments, in the means over held-out rows, and in how
            many of them to hold out; a row of weight zero is as if it were not there.

        Returns
        -------
        self : GaussianRanker

        Raises
        ------
        ValueError
            If X is not finite, a label is missing, there are less than two classes to train on
            or no rows to hold out, or the covariances would not fit into ``max_memory``.
        """
        X, y = self._check_fit_input(X, y, ensure_min_samples=2)
        check_classification_targets(y)
        check_consistent_length(X, groups)
        caller = type(self).__name__
        weight = check_weight(sample_weight, X)
        train, held_out = held_out_rows(y, groups, weight, self.validation_fraction, caller=caller)
        split = GaussianSplit(
            X, y, train, held_out, weight, prior=self.covariance_prior, caller=caller
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
