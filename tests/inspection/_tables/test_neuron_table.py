# SPDX-License-Identifier: BSD-3-Clause
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.inspection import neuron_table
from sklearn_neurox.ranking import LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.selection import LayerSelector, NeuronSelector
from sklearn_neurox.utils._names import neuron_names


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.repeat(["A", "B", "C"], 60)
    X = rng.normal(size=(180, 12))
    # "A" is in two neurons of layer 2, "B" in one of layer 0, "C" in an MLP neuron of layer 2.
    X[:, [5, 6]] += 4 * (y == "A")[:, np.newaxis]
    X[:, 1] += 4 * (y == "B")
    X[:, 10] += 4 * (y == "C")
    names = np.concatenate([neuron_names([0, 2], 4), neuron_names([2], 4, component="mlp")])
    return pd.DataFrame(X, columns=names), y


@pytest.fixture(scope="module")
def lca(data):
    return LCARanker(LogisticRegression(), mass=0.25).fit(*data)


def test_layers_and_components_by_hand():
    mask = np.zeros(12, dtype=bool)
    mask[[0, 1, 5, 11]] = True
    names = np.concatenate([neuron_names([0, 2], 4), neuron_names([2], 4, component="mlp")])
    table = neuron_table(mask, input_features=names)
    assert table.to_dict("list") == {
        "layer": [0, 2],
        "n_selected": [2, 2],
        "n_neurons": [4, 8],
        "share": [0.5, 0.25],
    }
    table = neuron_table(mask, by=["component", "layer"], input_features=names)
    assert table.drop(columns="share").to_numpy().tolist() == [
        ["hidden", 0, 2, 4],
        ["hidden", 2, 1, 4],
        ["mlp", 2, 1, 4],
    ]
    assert neuron_table(mask, by="component", input_features=names)["n_selected"].tolist() == [3, 1]
    assert neuron_table(mask, n_layers=4)["n_selected"].tolist() == [2, 1, 0, 1]
    for same in ([0, 1, 5, 11], [*names[[11, 0]], names[1], names[5]]):
        again = neuron_table(same, by=["component", "layer"], input_features=names)
        pd.testing.assert_frame_equal(again, table)


def test_selectors_bring_their_support_and_names(data):
    X, y = data
    table = neuron_table(LayerSelector(0).fit(X))
    assert table["n_selected"].tolist() == [4, 0] and table["share"].tolist() == [1.0, 0.0]
    table = neuron_table(SelectKBest(k=4).fit(X, y))
    assert table["n_selected"].tolist() == [1, 3]
    selector = NeuronSelector([1, 2]).fit(X.to_numpy())
    assert neuron_table(selector, n_layers=3)["n_selected"].tolist() == [2, 0, 0]
    with pytest.raises(ValueError, match="needs to know the layer of every column"):
        neuron_table(selector)


@pytest.mark.slow
def test_rankers_count_their_best(data, lca):
    X, y = data
    ranker = ProbelessRanker(n_neurons=4).fit(X, y)
    assert neuron_table(ranker)["n_selected"].tolist() == [1, 3]
    for n_neurons, number in ((1, 1), (0.5, 6), (1.0, 12)):
        counts = neuron_table(ranker, n_neurons=n_neurons)["n_selected"]
        best = ranker.order_[:number]
        assert counts.tolist() == [(best < 4).sum(), (best >= 4).sum()]
    assert neuron_table(lca)["n_selected"].sum() == lca.get_support().sum()
    bottom = LCARanker(LogisticRegression(), mass=0.25, which="bottom").fit(X, y)
    assert neuron_table(bottom)["n_selected"].sum() == 12 - lca.get_support().sum()
    for mass in (0.1, 0.5, 1.0):
        expected = LCARanker(LogisticRegression(), mass=mass).fit(X, y).get_support()
        counts = neuron_table(lca, mass=mass)["n_selected"]
        assert counts.tolist() == [expected[:4].sum(), expected[4:].sum()]


def test_labels_have_the_neurons_that_make_up_their_mass(data, lca):
    by_class = neuron_table(lca, by="class")
    assert by_class["class"].tolist() == ["A", "B", "C"] and (by_class["n_neurons"] == 12).all()
    for label, count in by_class[["class", "n_selected"]].to_numpy():
        weights = lca.importances_[lca.classes_.tolist().index(label)]
        # The smallest set of largest weights that make up a quarter of the total.
        shares = np.cumsum(np.sort(weights)[::-1]) / weights.sum()
        assert count == 1 + np.searchsorted(shares, 0.25)
    everything = neuron_table(lca, by=["class", "component", "layer"], n_neurons=1)
    assert len(everything) == 9
    found = everything[everything["n_selected"] == 1]
    assert found.iloc[:, :3].to_numpy().tolist() == [
        ["A", "hidden", 2],
        ["B", "hidden", 0],
        ["C", "mlp", 2],
    ]
    layer_first = neuron_table(lca, by=["layer", "class"], n_neurons=2)
    assert layer_first.columns.tolist()[:2] == ["layer", "class"]
    assert layer_first.groupby("class")["n_selected"].sum().tolist() == [2, 2, 2]


def test_a_threshold_counts_by_class(data):
    X, y = data
    ranker = LCARanker(LogisticRegression(), threshold=0.5).fit(X, y)
    counts = neuron_table(ranker, by="class")["n_selected"]
    largest = ranker.importances_.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(counts, (ranker.importances_ >= 0.5 * largest).sum(axis=1))
    assert (neuron_table(ranker)["n_selected"].sum()) == ranker.get_support().sum()
    two = LCARanker(LogisticRegression(), threshold=0.5).fit(X, y == "A")
    assert neuron_table(two, by="class")["n_selected"].nunique() == 1


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (ProbelessRanker(), {}, "The ProbelessRanker keeps all neurons"),
        (ProbelessRanker(), {"by": "class"}, "The ProbelessRanker keeps all neurons"),
        (ProbelessRanker(n_neurons=2, which="bottom"), {"by": "class"}, "keeps the bottom neurons"),
        (ProbelessRanker(), {"mass": 0.5}, "needs an LCARanker, got the ProbelessRanker"),
        (ProbelessRanker(), {"n_neurons": 13}, "asked for n_neurons=13, but X has 12 columns"),
        (ProbelessRanker(), {"n_neurons": 2, "mass": 0.5}, "'n_neurons' or 'mass', not both"),
        (RandomRanker(n_neurons=2), {"by": "class"}, "which the RandomRanker lacks"),
        (SelectKBest(k=2), {"n_neurons": 2}, "the SelectKBest has no attribute 'ranks_'"),
        (ProbelessRanker(n_neurons=2), {"by": "unit"}, "must contain at least one of"),
        (ProbelessRanker(n_neurons=2), {"by": []}, "must contain at least one of"),
        (ProbelessRanker(n_neurons=2), {"by": ["layer", "layer"]}, "each at most once"),
        (ProbelessRanker(n_neurons=2), {"by": "component", "n_layers": 2}, "neuron names"),
        (ProbelessRanker(n_neurons=2), {"input_features": ["a"]}, "has 1 names, but there are 12"),
    ],
)
def test_wrong_choices_are_named(data, make, parameters, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make.fit(*data)
    with pytest.raises(ValueError, match=message):
        neuron_table(fitted, **parameters)


@pytest.mark.parametrize(
    ("neurons", "parameters", "message"),
    [
        (np.zeros(4, dtype=bool), {"n_layers": 2}, "contains no neuron"),
        ([0, 1], {"n_layers": 2}, "needs to know how many columns there are"),
        ([True, False], {"by": "class"}, "no order and no classes"),
        ([4], {"input_features": neuron_names([0], 4)}, "was given neuron 4"),
    ],
)
def test_wrong_neurons_are_named(neurons, parameters, message):
    with pytest.raises(ValueError, match=message):
        neuron_table(neurons, **parameters)
