# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.evaluation import ranking_agreement
from sklearn_neurox.ranking import ProbelessRanker, RandomRanker


@pytest.fixture
def orders():
    rng = np.random.default_rng(0)
    return {name: rng.permutation(40) for name in "abc"}


def test_each_measure_is_what_its_definition_gives(orders):
    agreement = ranking_agreement(orders, k=[5, 0.5], p=0.9)
    assert list(zip(agreement["first"], agreement["second"], strict=True)) == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    for row in agreement.to_dict("records"):
        one, two = orders[row["first"]].tolist(), orders[row["second"]].tolist()
        for k in (5, 20):
            a, b = set(one[:k]), set(two[:k])
            assert row[f"jaccard@{k}"] == pytest.approx(len(a & b) / len(a | b))
        # Depth by depth; beyond the last depth, all neurons agree.
        total = sum(
            0.1 * 0.9 ** (d - 1) * len(set(one[:d]) & set(two[:d])) / min(d, 40)
            for d in range(1, 1000)
        )
        assert row["rank_biased_overlap"] == pytest.approx(total)
        ranks = np.argsort(one), np.argsort(two)
        assert row["spearman"] == pytest.approx(spearmanr(*ranks).statistic)
        assert np.sign(row["spearman"]) == np.sign(kendalltau(*ranks).statistic)


def test_equal_and_opposite_rankings():
    order = np.arange(10)
    agreement = ranking_agreement({"a": order, "b": order, "c": order[::-1]}, k=[1, 5, 1.0])
    measures = agreement.drop(columns=["first", "second"])
    np.testing.assert_allclose(measures.iloc[0], 1)
    np.testing.assert_allclose(measures.iloc[1], measures.iloc[2])
    assert measures.iloc[1][["jaccard@1", "jaccard@5", "jaccard@10"]].tolist() == [0, 0, 1]
    assert measures.iloc[1]["spearman"] == pytest.approx(-1)


def test_early_ranks_count_for_more_where_p_is_small():
    order = np.arange(20)
    early, late = order.copy(), order.copy()
    early[[0, 1]], late[[18, 19]] = early[[1, 0]], late[[19, 18]]
    rankings = {"all": order, "early": early, "late": late}
    for p in (0.5, 0.9):
        overlap = ranking_agreement(rankings, p=p)["rank_biased_overlap"]
        assert overlap[0] == pytest.approx(p) and overlap[1] > 0.99


def test_selectors_of_scikit_learn_are_rankings_too():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 20)
    X = rng.normal(size=(40, 8)) + y[:, np.newaxis] * np.arange(8)
    scores = SelectKBest(k=2).fit(X, y)
    removed = RFE(LogisticRegression(), n_features_to_select=1).fit(X, y)
    order = np.argsort(-scores.scores_)
    table = ranking_agreement({"given": order, "scored": scores, "removed": removed}, k=2)
    assert table["jaccard@2"][0] == 1 and table["spearman"][0] == 1
    expected = spearmanr(np.argsort(order), removed.ranking_)[0]
    assert table["spearman"][1] == pytest.approx(expected)


def test_fitted_rankers_by_method_and_seed():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = rng.normal(size=(200, 30)) + 3 * np.outer(y, np.arange(30) < 5)
    rankings = {
        (name, seed): ranker.fit(X[seed::2], y[seed::2])
        for seed in (0, 1)
        for name, ranker in (
            ("probeless", ProbelessRanker()),
            ("random", RandomRanker(random_state=seed)),
        )
    }
    agreement = ranking_agreement(rankings, k=5, names=["method", "seed"])
    assert agreement.columns.tolist()[:4] == [
        "method_first",
        "method_second",
        "seed_first",
        "seed_second",
    ]
    same = agreement[agreement["method_first"] == agreement["method_second"]]
    by_method = same.set_index("method_first")["jaccard@5"]
    assert by_method["probeless"] == 1 and by_method["random"] < 0.5
    frame = ranking_agreement(rankings, k=5)
    assert frame["first"].tolist()[0] == ("probeless", 0)
    pd.testing.assert_series_equal(frame["jaccard@5"], agreement["jaccard@5"])


@pytest.mark.parametrize(
    ("rankings", "parameters", "message"),
    [
        ({"a": [0, 1]}, {}, "needs at least two rankings"),
        ([RandomRanker(), RandomRanker()], {}, "must be a mapping .* by name, .* got a list"),
        ({"a": [0, 1], "b": [0, 1, 2]}, {}, r"of \[2, 3\] neurons"),
        ({"a": [0, 1], "b": [1, 2]}, {}, "The ranking 'b' is neither"),
        ({"a": [0, 1], "b": [0.1, 0.9]}, {}, "The ranking 'b' is neither"),
        ({"a": [0, 1], "b": RandomRanker()}, {}, "The ranking 'b' is neither"),
        ({"a": [0, 1], "b": [1, 0]}, {"k": 3}, "contains 3, but the rankings have only 2 neurons"),
        ({"a": [0, 1], "b": [1, 0]}, {"k": 1.5}, "'k' parameter"),
        ({"a": [0, 1], "b": [1, 0]}, {"k": 0}, "'k' parameter"),
        ({"a": [0, 1], "b": [1, 0]}, {"k": None}, "'k' parameter"),
        ({"a": [0, 1], "b": [1, 0]}, {"p": 1}, "'p' parameter"),
        ({"a": [0, 1], "b": [1, 0]}, {"p": "0.9"}, "'p' parameter"),
        ({"a": [0, 1], "b": [1, 0]}, {"names": ["method", "seed"]}, "tuple of 2 parts"),
    ],
)
def test_wrong_input_is_named(rankings, parameters, message):
    with pytest.raises(ValueError, match=message):
        ranking_agreement(rankings, **{"k": 1, **parameters})
