# SPDX-License-Identifier: BSD-3-Clause
"""On real text, top neurons beat random ones, and random ones beat bottom ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from benchmarks._ablation import elastic_net, rankings
from sklearn_neurox import ActivationExtractor, SubwordAggregator, ablation_table, read_conllu
from sklearn_neurox.datasets import demo_model_path

pytestmark = pytest.mark.slow

# The Gaussian ranking finds a few neurons that are informative together, and ranks no others.
_CLAIMED = ["LCA", "probeless", "probeless, scaled", "average precision", "IoU", "consensus"]


@pytest.fixture(scope="module")
def words(treebank):
    return read_conllu(treebank, feats=["Tense", "Number"])


@pytest.fixture(scope="module")
def H(words):
    features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
    return features.fit_transform(words)


@pytest.mark.parametrize(
    ("label", "scoring"),
    # With few neurons left, a probe predicts the majority value (four words in five) for nearly
    # every word, so probabilities show differences that predicted labels do not.
    [("upos", "accuracy"), ("Tense", "accuracy"), ("Number", "neg_log_loss")],
)
def test_top_random_bottom_at_every_fraction_and_for_every_ranker(words, H, label, scoring):
    rows = np.flatnonzero(words[label].notna())
    held_out = pd.factorize(words["sentence_id"].iloc[rows])[0] % 5 == 0
    rankers = {name: rankings(max_neurons=1)[name] for name in _CLAIMED}
    table = ablation_table(
        H[rows],
        words[label].iloc[rows].to_numpy(dtype=str),
        rankings=rankers,
        probes={"elastic net": elastic_net()},
        fill="mean",
        retrain=False,
        scoring=scoring,
        cv=[(np.flatnonzero(~held_out), np.flatnonzero(held_out))],
        random_state=0,
    )
    of_random = table[table["which"] == "random"]
    assert (of_random.groupby("fraction").size() == 10).all()
    random = of_random.groupby("fraction")["score"].mean()
    chosen = table[table["which"].isin(["top", "bottom"])]
    scores = chosen.pivot(index=["ranking", "fraction"], columns="which", values="score")
    assert sorted(scores.index.unique("ranking")) == sorted(_CLAIMED)
    assert random.index.tolist() == [0.10, 0.15, 0.20]
    for (name, fraction), row in scores.iterrows():
        assert row["top"] > random[fraction] > row["bottom"], (name, fraction)
