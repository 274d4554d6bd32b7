# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    ConsensusRanker,
    LCARanker,
    ProbelessRanker,
    RandomRanker,
)

PLANTED = make_planted_neurons(400, 20, n_informative=6, effect=1.5, random_state=0)
X, y = PLANTED.X, PLANTED.y


def _votes():
    return [
        ("probeless", ProbelessRanker()),
        ("precision", AveragePrecisionRanker()),
        ("random", RandomRanker(random_state=0)),
    ]


def test_borda_count_by_hand():
    ranker = ConsensusRanker(_votes(), weights=[1, 2, 0.5]).fit(X, y)
    expected = sum(
        weight * (20 - clone(vote).fit(X, y).ranks_) / 19
        for (_, vote), weight in zip(_votes(), [1, 2, 0.5], strict=True)
    )
    np.testing.assert_allclose(ranker.scores_, expected / 3.5)
    assert ranker.named_estimators_.probeless is ranker.estimators_[0]
    # A random ranking has no class scores.
    assert not hasattr(ranker, "class_scores_")


def test_borda_count_of_each_class_by_hand():
    ranker = ConsensusRanker(_votes()[:2], weights=[1, 3]).fit(X, y)
    expected = np.zeros((3, 20))
    for weight, (_, vote) in zip([1, 3], _votes()[:2], strict=True):
        for label, order in enumerate(clone(vote).fit(X, y).class_order_):
            for place, neuron in enumerate(order):
                expected[label, neuron] += weight / 4 * (19 - place) / 19
    np.testing.assert_allclose(ranker.class_scores_, expected, atol=1e-12)


def test_one_voter_is_followed_and_itself_twice_too():
    alone = ProbelessRanker().fit(X, y)
    for votes in (_votes()[:1], [("a", ProbelessRanker()), ("b", ProbelessRanker())]):
        ranker = ConsensusRanker(votes).fit(X, y)
        np.testing.assert_array_equal(ranker.order_, alone.order_)
        np.testing.assert_array_equal(ranker.class_order_, alone.class_order_)
        np.testing.assert_array_equal(ranker.classes_, alone.classes_)
        assert ranker.scores_[alone.order_[0]] == 1 and ranker.scores_[alone.order_[-1]] == 0
        assert ranker.to_frame().columns.tolist()[5:] == ["score_0", "score_1", "score_2"]


def test_ties_go_to_who_is_highest_with_someone():
    class Given(RandomRanker):
        def fit(self, X, y=None):
            self._check_fit_input(X)
            self._set_ranking(np.array([[3.0, 2, 1], [1, 2, 3]])[self.random_state])
            return self

    votes = [("a", Given(random_state=0)), ("b", Given(random_state=1))]
    ranker = ConsensusRanker(votes).fit(X[:, :3])
    assert ranker.scores_.tolist() == [0.5, 0.5, 0.5]
    assert ranker.order_.tolist() == [0, 2, 1]


def test_planted_neurons_are_found():
    ranker = ConsensusRanker(_votes(), weights=[1, 1, 0.01], n_neurons=6).fit(X, y)
    np.testing.assert_array_equal(ranker.get_support(indices=True), PLANTED.informative)


@pytest.mark.parametrize("scorer", [f_classif, mutual_info_classif])
@pytest.mark.filterwarnings("ignore:Features .* are constant:UserWarning")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_adapts_scorers_of_sklearn(scorer):
    Z = X.copy()
    Z[:, PLANTED.informative[0]] = 1.0
    ranker = ConsensusRanker([("scorer", SelectKBest(scorer, k="all"))], n_neurons=5).fit(Z, y)
    np.testing.assert_array_equal(ranker.get_support(indices=True), PLANTED.informative[1:])
    if scorer is f_classif:
        # The score of a constant neuron is undefined, so it ranks below any noise.
        assert ranker.order_[-1] == PLANTED.informative[0]


def test_refitting_leaves_no_ranking_by_class_behind():
    ranker = ConsensusRanker(_votes()[:2]).fit(X, y)
    assert ranker.class_scores_.shape == (3, 20)
    ranker.set_params(estimators=_votes()).fit(X, y)
    assert not hasattr(ranker, "class_scores_") and not hasattr(ranker, "classes_")


def test_parameters_of_rankers_are_tuned_and_rankers_dropped():
    pipe = make_pipeline(ConsensusRanker(_votes(), n_neurons=6), LogisticRegression())
    grid = {"consensusranker__random": ["drop"], "consensusranker__probeless__scale": [True, False]}
    best = GridSearchCV(pipe, grid, cv=2).fit(X, y).best_estimator_[0]
    assert list(best.named_estimators_) == ["probeless", "precision"]


def test_metadata_reach_who_asks():
    weight = np.random.RandomState(0).rand(len(y))
    votes = [("a", AveragePrecisionRanker()), ("b", RandomRanker(random_state=0))]
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        ConsensusRanker(votes).fit(X, y, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        votes[0][1].set_fit_request(sample_weight=True)
        ranker = ConsensusRanker(votes).fit(X, y, sample_weight=weight)
    alone = AveragePrecisionRanker().fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(ranker.estimators_[0].scores_, alone.scores_)


def test_bad_votes_are_named():
    with pytest.raises(ValueError, match="'a'.*LogisticRegression.*neither 'ranks_' nor 'scores_'"):
        ConsensusRanker([("a", LogisticRegression())]).fit(X, y)
    with pytest.raises(ValueError, match="unique"):
        ConsensusRanker([("a", ProbelessRanker()), ("a", RandomRanker())]).fit(X, y)
    with pytest.raises(ValueError, match="2 weights for 3 rankers"):
        ConsensusRanker(_votes(), weights=[1, 2]).fit(X, y)
    with pytest.raises(ValueError, match="at least one ranker that is not dropped"):
        ConsensusRanker([("a", "drop")]).fit(X, y)
    with pytest.raises(ValueError, match="finite, non-negative weights that are not all zero"):
        ConsensusRanker(_votes(), weights=[1, -1, 1]).fit(X, y)


def test_targets_are_asked_for_where_a_ranker_asks():
    assert ConsensusRanker(_votes()).__sklearn_tags__().target_tags.required
    only_random = ConsensusRanker([("a", RandomRanker()), ("b", RandomRanker())])
    assert not only_random.__sklearn_tags__().target_tags.required
    only_random.fit(X)
    assert LCARanker().__sklearn_tags__().target_tags.required
