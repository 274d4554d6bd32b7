# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.ablation import ablation_curve, ablation_table
from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.ranking import LCARanker, ProbelessRanker

GROUPS = np.arange(300) // 3
OPTIONS = {"groups": GROUPS, "cv": 3, "n_draws": 2, "random_state": 0}
KEYS = ["fold", "which", "fraction", "retrained", "draw"]


def _planted():
    planted = make_planted_neurons(300, 20, n_informative=3, effect=3.0, random_state=0)
    return planted.X, planted.y


@pytest.mark.slow
def test_every_cell_is_the_curve_of_its_probe_and_ranking():
    X, y = _planted()
    probes = {"linear": LogisticRegression(), "bayes": GaussianNB()}
    rankings = {"lca": LCARanker(LogisticRegression()), "means": ProbelessRanker()}
    table = ablation_table(X, y, rankings=rankings, probes=probes, **OPTIONS)
    columns = (
        "repeat fold probe ranking which fraction n_neurons retrained fill draw score low high"
    )
    assert table.columns.tolist() == columns.split()
    assert len(table) == 3 * 2 * (1 + (2 * 2 + 2) * 3 * 2)
    for probe in probes:
        for ranking in rankings:
            curve = ablation_curve(probes[probe], X, y, ranker=rankings[ranking], **OPTIONS)
            cell = table[
                (table["probe"] == probe) & table["ranking"].isin([ranking, "random", "all"])
            ]
            merged = curve.merge(cell, on=KEYS)
            assert len(merged) == len(curve) == len(cell)
            np.testing.assert_array_equal(merged["score_x"], merged["score_y"])


@pytest.mark.slow
def test_top_beats_random_beats_bottom_whoever_ranks_and_whoever_judges():
    X, y = _planted()
    rankings = [LCARanker(LogisticRegression()), ProbelessRanker()]
    probes = [LogisticRegression(), GaussianNB()]
    table = ablation_table(X, y, rankings=rankings, probes=probes, retrain=False, **OPTIONS)
    means = table.groupby(["probe", "ranking"])["score"].mean()
    scores = table.groupby(["probe", "ranking", "which"])["score"].mean()
    for probe in ("LogisticRegression", "GaussianNB"):
        for ranking in ("LCARanker", "ProbelessRanker"):
            random = means[probe, "random"]
            assert scores[probe, ranking, "top"] > random + 0.1
            assert scores[probe, ranking, "bottom"] < random


@pytest.mark.slow
def test_features_and_pipelines_as_probes():
    X, y = _planted()
    scaled = make_pipeline(StandardScaler(), LogisticRegression())
    options = {"rankings": {"means": ProbelessRanker(scale=True)}, **OPTIONS}
    inside = ablation_table(X, y, probes={"p": scaled}, **options)
    before = ablation_table(
        X, y, probes={"p": LogisticRegression()}, features=StandardScaler(), **options
    )
    pd.testing.assert_frame_equal(inside, before)


@pytest.mark.slow
def test_weights_go_to_every_probe_every_ranking_and_what_makes_the_features():
    X, y = _planted()
    weight = np.random.RandomState(0).randint(3, size=300)
    rows = np.repeat(np.arange(300), weight)
    options = {
        "rankings": {"lca": LCARanker(LogisticRegression()), "means": ProbelessRanker(scale=True)},
        "probes": [LogisticRegression(tol=1e-9, max_iter=5000), GaussianNB()],
        "features": StandardScaler(),
        "scoring": "neg_log_loss",
        "n_draws": 1,
        "random_state": 0,
    }
    split = [(np.arange(200), np.arange(200, 300))]
    weighted = ablation_table(X, y, sample_weight=weight, cv=split, **options)
    of_rows = [(np.flatnonzero(rows < 200), np.flatnonzero(rows >= 200))]
    repeated = ablation_table(X[rows], y[rows], cv=of_rows, **options)
    pd.testing.assert_frame_equal(weighted, repeated, rtol=1e-4)


@pytest.mark.slow
def test_equal_classes_get_numbers():
    X, y = _planted()
    probes = [LogisticRegression(), LogisticRegression(C=0.1), GaussianNB()]
    table = ablation_table(X, y, rankings=[ProbelessRanker()], probes=probes, **OPTIONS)
    names = ["LogisticRegression-1", "LogisticRegression-2", "GaussianNB"]
    assert table["probe"].unique().tolist() == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rankings": []}, "'rankings' parameter of ablation_table.*at least one estim.*Got none"),
        ({"probes": {}}, "'probes' parameter of ablation_table.*at least one estimator.*Got none"),
        ({"probes": {"p": StandardScaler()}}, "each with fit and predict. Got p"),
        ({"rankings": [LCARanker]}, "Got type|Got ABCMeta"),
        ({"probes": LogisticRegression()}, "The 'probes' parameter of ablation_table must be"),
        ({"fractions": [2.0]}, "'fractions' parameter of ablation_table.*Got 2.0"),
    ],
)
def test_bad_input_is_named(options, message):
    X, y = _planted()
    given = {"rankings": [ProbelessRanker()], "probes": [GaussianNB()], **OPTIONS, **options}
    with pytest.raises(ValueError, match=message):
        ablation_table(X, y, **given)


def test_warnings_point_at_the_caller():
    X, y = _planted()
    with pytest.warns(UserWarning, match="ablation_table was given no groups") as record:
        ablation_table(X, y, rankings=[ProbelessRanker()], probes=[GaussianNB()], n_draws=0)
    assert record[0].filename == __file__
