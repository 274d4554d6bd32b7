# SPDX-License-Identifier: BSD-3-Clause
"""Probes of pairs know nothing where there is nothing to know, and something where there is."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import baseline_table, layer_profile
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.words import pair_frame


def _words():
    """Return sentences in which modifiers attach to the next noun, and others to the last verb."""
    words = make_tagged_words(150, random_state=0)
    words["head"] = 0
    for rows in words.groupby("sentence_id").indices.values():
        tags = words["upos"].to_numpy()[rows].tolist()
        root = max((i for i, tag in enumerate(tags) if tag == "VERB"), default=len(tags) - 1)
        for i, tag in enumerate(tags):
            nouns = [j for j in range(i + 1, len(tags)) if tags[j] == "NOUN"]
            head = nouns[0] if nouns and tag in ("DET", "ADJ", "NUM", "ADP") else root
            words.loc[words.index[rows[i]], "head"] = 0 if i == root else head + 1
    return words


@pytest.mark.slow
def test_shuffled_labels_and_the_distance_of_matched_pairs_are_at_chance():
    words = _words()
    arcs = pair_frame(words, heads="head", relation="upos")
    matched = pair_frame(words, heads="head", negatives="matched", random_state=0)
    features = make_pipeline(
        ActivationExtractor(make_tiny_model("bert"), layers=[1]), SubwordAggregator("mean")
    ).set_output(transform="pandas")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    rng = np.random.default_rng(0)
    for pairs, y in ((arcs, arcs["relation"]), (matched, matched["is_arc"].astype(str))):
        X, folds = features.fit_transform(pairs), {"groups": pairs["text"], "cv": GroupKFold(3)}
        y = y.to_numpy(dtype=object)
        chance = max(np.unique(y.astype(str), return_counts=True)[1]) / len(y)
        shuffled = layer_profile(probe, X, rng.permutation(y), **folds).iloc[0]
        real = layer_profile(probe, X, y, **folds).iloc[0]
        assert shuffled["low"] < chance, (shuffled["score"], chance)
        assert real["low"] > max(chance, shuffled["high"])
    table = baseline_table(matched, y, baselines=["majority", "distance"], **folds)
    scores = table.set_index("name")["score"]
    assert abs(scores["distance"] - 0.5) < 0.04
