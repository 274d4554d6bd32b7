# SPDX-License-Identifier: BSD-3-Clause
"""The main job on real text: the figures that the package promises."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeClassifier,
    LCARanker,
    SubwordAggregator,
    ablation_curve,
    read_conllu,
)
from sklearn_neurox.datasets import demo_model_path

pytestmark = pytest.mark.slow


def _probe(**params):
    params = {"alpha": 2.3e-3, "l1_ratio": 0.13, "standardize": True, "random_state": 0} | params
    return ElasticNetProbeClassifier(**params)


@pytest.fixture(scope="module")
def words(treebank):
    return read_conllu(treebank)


@pytest.fixture(scope="module")
def split(words):
    sentence = pd.factorize(words["sentence_id"])[0]
    return np.flatnonzero(sentence % 5 != 0), np.flatnonzero(sentence % 5 == 0)


@pytest.fixture(scope="module")
def H(words):
    features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
    return features.fit_transform(words)


def test_probe_is_as_good_as_the_prototype(words, split, H):
    train, test = split
    y = words["upos"].to_numpy()
    probe = _probe().fit(H[train], y[train])
    assert probe.score(H[test], y[test]) >= 0.945
    assert probe.dual_gap_ <= 1e-3
    text = words["text"].astype(str).to_numpy()
    unseen = test[~np.isin(text[test], text[train])]
    assert len(unseen) < len(test)
    assert probe.score(H[unseen], y[unseen]) >= 0.944


def test_ablated_probe_orders_top_random_bottom(words, split, H):
    y = words["upos"].to_numpy()
    curve = ablation_curve(
        _probe(), H, y, cv=[split], fractions=[0.10], retrain=False, random_state=0
    )
    score = curve.groupby("which")["score"].mean()
    assert (curve["which"] == "random").sum() == 10
    assert score["all"] > score["top"] > score["random"] > score["bottom"]


def test_grid_search_over_the_whole_pipeline(words, tmp_path):
    pipe = make_pipeline(
        ActivationExtractor(demo_model_path(), layers=[3, 6], cache=tmp_path / "activations"),
        SubwordAggregator(),
        LCARanker(_probe(), n_neurons=0.5),
        _probe(),
    )
    grid = {
        "subwordaggregator__strategy": ["first", "mean"],
        "elasticnetprobeclassifier__alpha": [2.3e-3, 2e-2],
    }
    search = GridSearchCV(pipe, grid, cv=GroupKFold(3), refit=False)
    search.fit(words, words["upos"], groups=words["text"])
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.best_params_["elasticnetprobeclassifier__alpha"] == 2.3e-3
    assert search.best_score_ > 0.9
