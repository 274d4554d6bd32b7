# SPDX-License-Identifier: BSD-3-Clause
"""The sparse-probing curve against loops written by hand, and its controls."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.model_selection import GroupKFold

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.evaluation import sparse_probing_curve
from sklearn_neurox.inspection import SparseProbingDisplay
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.selection import BestSubsetSelector

GROUPS = np.arange(300) // 2
PROBE = LogisticRegression()


def _planted(**params):
    params = {"n_informative": 4, "effect": 2.0, "n_classes": 2, "random_state": 0} | params
    return make_planted_neurons(300, 20, **params)


@pytest.mark.slow
def test_one_curve_by_hand():
    planted = _planted(n_classes=3)
    X, y = planted.X, planted.y
    label = y[0]
    rankers = {"best": BestSubsetSelector(compute_bound=False), "f": SelectKBest(k=1)}
    curve = sparse_probing_curve(
        X, y, n_neurons=[1, 0.2], label=label, estimator=PROBE, rankers=rankers, cv=2,
        groups=GROUPS, n_random=2, n_shuffled=2, random_state=0,
    )  # fmt: skip
    rows = []
    target = (y == label).astype(int)
    for fold, (train, test) in enumerate(GroupKFold(2).split(X, target, GROUPS)):
        scores = SelectKBest().fit(X[train], target[train]).scores_
        for size in (1, 4):
            best = BestSubsetSelector(size, compute_bound=False).fit(X[train], target[train])
            for name, columns in (
                ("best", best.get_support(indices=True)),
                ("f", np.sort(np.argsort(-scores)[:size])),
            ):
                probe = LogisticRegression().fit(X[train][:, columns], target[train])
                predicted = probe.predict(X[test][:, columns])
                rows.append((fold, name, size, matthews_corrcoef(target[test], predicted)))
    by_hand = pd.DataFrame(rows, columns=["fold", "ranker", "n_neurons", "score"])
    is_chosen = (curve["labels"] == "true") & (curve["ranker"] != "random")
    keys = ["fold", "ranker", "n_neurons"]
    pd.testing.assert_series_equal(
        curve[is_chosen].set_index(keys)["score"].sort_index(),
        by_hand.set_index(keys)["score"].sort_index(),
    )
    counts = curve.groupby(["ranker", "labels"]).size().to_dict()
    assert counts == {
        ("best", "true"): 4, ("f", "true"): 4, ("random", "true"): 8,
        ("best", "shuffled"): 8, ("f", "shuffled"): 8,
    }  # fmt: skip
    assert rankers["best"].n_neurons == 10


@pytest.mark.slow
def test_controls_are_at_chance_and_draws_differ():
    planted = _planted(n_classes=2)
    options = {"n_neurons": [4], "estimator": PROBE, "groups": GROUPS, "n_shuffled": 4, "cv": 2}
    curve = sparse_probing_curve(planted.X, planted.y, random_state=0, **options)
    means = curve.groupby(["ranker", "labels"])["score"].mean()
    assert means["best subset", "true"] > 0.6
    assert means["probeless", "true"] > 0.6
    # Some of the random neurons are informative.
    assert means["random", "true"] < means["best subset", "true"] - 0.3
    assert means.xs("shuffled", level="labels").abs().max() < 0.2
    draws = curve[curve["ranker"] == "random"].pivot(columns="draw", index="fold", values="score")
    assert not draws[0].equals(draws[1])
    again = sparse_probing_curve(planted.X, planted.y, random_state=0, n_jobs=2, **options)
    pd.testing.assert_frame_equal(curve, again)


def test_any_scorer_sparse_matrices_and_numbers():
    planted = _planted()
    options = {"n_neurons": 2, "groups": GROUPS, "n_random": 0, "n_shuffled": 0, "cv": 2}
    dense, sparse = (
        sparse_probing_curve(
            X, planted.y, estimator=PROBE, rankers=ProbelessRanker(), scoring="f1_macro", **options
        )
        for X in (planted.X, csr_matrix(planted.X))
    )
    assert dense["ranker"].unique().tolist() == ["ProbelessRanker"]
    pd.testing.assert_frame_equal(dense, sparse)
    train, test = next(iter(GroupKFold(2).split(planted.X, groups=GROUPS)))
    order = ProbelessRanker().fit(planted.X[train], planted.y[train]).order_
    columns = np.sort(order[:2])
    probe = LogisticRegression().fit(planted.X[train][:, columns], planted.y[train])
    predicted = probe.predict(planted.X[test][:, columns])
    assert dense["score"][0] == f1_score(planted.y[test], predicted, average="macro")
    numbers = planted.X[:, 3] - planted.X[:, 9]
    curve = sparse_probing_curve(planted.X, numbers, estimator=Ridge(), **options)
    assert curve["ranker"].unique().tolist() == ["best subset"]
    assert curve["score"].min() > 0.99


def test_wrong_calls_are_named():
    planted = _planted()
    options = {"estimator": PROBE, "groups": GROUPS}
    for parameters, message in (
        ({"n_neurons": [21]}, "n_neurons=21, but X has 20 columns"),
        ({"label": "no such"}, "'label' parameter.*must be one of.*got 'no such'"),
        ({"rankers": {"random": ProbelessRanker()}}, "named 'random'"),
    ):
        with pytest.raises(ValueError, match=message):
            sparse_probing_curve(planted.X, planted.y, **options, **parameters)
    with pytest.warns(UserWarning, match="given no groups"):
        sparse_probing_curve(planted.X, planted.y, n_neurons=1, estimator=PROBE, cv=2)


@pytest.mark.slow
def test_the_display_shows_means_and_spreads():
    pytest.importorskip("matplotlib").use("Agg")
    frame = pd.DataFrame(
        {
            "fold": [0, 1] * 4,
            "ranker": ["one"] * 4 + ["random"] * 2 + ["one"] * 2,
            "labels": ["true"] * 6 + ["shuffled"] * 2,
            "n_neurons": [1, 1, 8, 8, 1, 1, 1, 1],
            "score": [0.2, 0.4, 0.6, 1.0, 0.0, 0.1, -0.1, 0.1],
        }
    )
    display = SparseProbingDisplay.from_frame(frame, score_name="MCC", band="range")
    line = display.lines_["one", "true"]
    np.testing.assert_allclose(line.get_xydata(), [[1, 0.3], [8, 0.8]])
    corners = display.bands_["one", "true"].get_paths()[0].vertices
    assert {(1, 0.2), (1, 0.4), (8, 0.6), (8, 1.0)} <= set(map(tuple, corners.round(9)))
    spread = SparseProbingDisplay.from_frame(frame).frame.set_index(["ranker", "labels"])
    np.testing.assert_allclose(
        spread.loc[("random", "true"), "high"], 0.05 + np.std([0, 0.1], ddof=1)
    )
    assert display.lines_["one", "shuffled"].get_linestyle() == "--"
    assert display.ax_.get_ylabel() == "MCC"
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert labels == ["one", "random", "shuffled labels", "lowest to highest"]
    with pytest.raises(ValueError, match="frame lacks"):
        SparseProbingDisplay.from_frame(frame.drop(columns="labels"))
    with pytest.raises(ValueError, match="'band' parameter"):
        SparseProbingDisplay.from_frame(frame, band="ci")


def test_groups_in_another_order_are_told():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3)))
    y, groups = pd.Series(np.arange(40) % 2), pd.Series(np.arange(40) // 4)
    how = {"n_neurons": 1, "estimator": PROBE, "rankers": ProbelessRanker(), "cv": 2}
    with pytest.warns(UserWarning, match="indexes of X and groups share labels, but in different"):
        sparse_probing_curve(X, y, groups=groups[::-1], n_random=0, n_shuffled=0, **how)
