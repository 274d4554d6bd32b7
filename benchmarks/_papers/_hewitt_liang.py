# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy, control accuracy and selectivity (Hewitt and Liang 2019, tables 1 and 2)."""

import pandas as pd
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks._papers._treebank import Treebank, linear_probe, with_interval
from sklearn_neurox.evaluation import interval_table, selectivity_score

_N_DRAWS = 3
_LAYER = 2


def make(*, quick):
    """Return the tables of probes and of layers."""
    data = Treebank.read(quick=quick)
    H = data.activations()
    layer = H.filter(regex=rf"^hidden.{_LAYER}[.]")
    probes = {
        ("linear", "full rank"): linear_probe(),
        ("linear", "rank 2"): mlp(2, activation="identity"),
        ("linear", "rank 5"): mlp(5, activation="identity"),
        ("linear", "rank 10"): mlp(10, activation="identity"),
        ("MLP-1", "10 units"): mlp(10),
        ("MLP-1", "45 units"): mlp(45),
        ("MLP-1", "100 units"): mlp(100),
        ("MLP-2", "100 units"): mlp(100, 100),
    }
    if quick:
        probes = {key: probes[key] for key in [("linear", "full rank"), ("MLP-1", "10 units")]}
    rows = [
        {"probe": probe, "size": size, **_scores(estimator, layer, data)}
        for (probe, size), estimator in probes.items()
    ]
    title = f"probes on layer {_LAYER}, {data.sizes}, {_N_DRAWS} draws of control labels"
    layers = []
    for number in (0, _LAYER) if quick else range(7):
        own = H.filter(regex=rf"^hidden.{number}[.]")
        layers.append({"layer": number, **_scores(linear_probe(), own, data)})
    return {title: pd.DataFrame(rows), "the linear probe on each layer": pd.DataFrame(layers)}


def mlp(*sizes, activation="relu"):
    """Return a probe with hidden layers; with "identity", it is linear, of the rank of its size."""
    network = MLPClassifier(
        sizes, activation=activation, early_stopping=True, max_iter=100, random_state=0
    )
    return make_pipeline(StandardScaler(), network)


def _scores(estimator, X, data):
    _, of_words = selectivity_score(
        estimator,
        X,
        data.labels(),
        types=data.words["word"],
        n_draws=_N_DRAWS,
        groups=data.groups,
        cv=[data.split],
        return_words=True,
    )
    columns = {"PoS": "task", "control": "control", "selectivity": "outcome"}
    return {
        name: with_interval(interval_table(of_words, outcome=column).iloc[0])
        for name, column in columns.items()
    }
