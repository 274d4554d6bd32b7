# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import distance_spearman_score, uuas_score
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.probes import StructuralProbe
from sklearn_neurox.words import read_conllu
from tests.evaluation._trees.test_tree_scores import distances_in_tree

_NODES = ["start", "end", "position", "upos"]


@pytest.fixture(scope="module")
def words(treebank):
    words = read_conllu(treebank, columns=["upos", "head"])
    lengths = words.groupby("sentence_id")["word"].transform("size")
    words = words[lengths.between(5, 20)]
    sentences = words["sentence_id"].unique()[::2][:400]
    return words[words["sentence_id"].isin(sentences)].reset_index(drop=True)


@pytest.fixture(scope="module")
def pairs(words):
    """Return the pairs, with the rows of their words and their distances."""
    parts = []
    for rows in words.groupby("sentence_id", sort=False).indices.values():
        i, j = np.triu_indices(len(rows), 1)
        far = distances_in_tree(words["head"].to_numpy()[rows])[i, j]
        parts.append(pd.DataFrame({"first": rows[i], "other": rows[j], "tree_distance": far}))
    rows = pd.concat(parts, ignore_index=True)
    first = words.iloc[rows["first"]].reset_index(drop=True)
    other = words.iloc[rows["other"]].reset_index(drop=True)[_NODES].add_prefix("other_")
    return pd.concat([first, other, rows], axis=1)


@pytest.mark.slow
def test_a_layer_of_a_real_model_knows_more_than_distance_and_an_untrained_model(words, pairs):
    ids = pairs["sentence_id"].unique()
    train = pairs["sentence_id"].isin(ids[:300]).to_numpy()
    # The texts of the test sentences do not occur in training.
    test = ~train & ~pairs["text"].isin(pairs["text"][train]).to_numpy()
    n_words = words.groupby("sentence_id").size()
    weight = 1 / pairs["sentence_id"].map(n_words).to_numpy() ** 2
    y = pairs["tree_distance"].to_numpy()
    mark = (pairs["upos"] == "PUNCT") | (pairs["other_upos"] == "PUNCT")

    def scores(predicted):
        given = y[test], predicted, pairs[test]
        return uuas_score(*given, ignore=mark[test]), distance_spearman_score(*given)

    found = {"distance": scores((pairs["other_position"] - pairs["position"])[test].abs())}
    for weights, layer in (("pretrained", 0), ("pretrained", 3), ("random", 3)):
        extractor = ActivationExtractor(demo_model_path(), layers=[layer], weights=weights)
        H = make_pipeline(extractor, SubwordAggregator("mean")).fit_transform(words)
        X = H[pairs["first"]] - H[pairs["other"]]
        probe = StructuralProbe(32, alpha=0.1, tol=1e-3).fit(X[train], y[train], weight[train])
        found[weights, layer] = scores(probe.predict(X[test]))
    best = found.pop(("pretrained", 3))
    for other in found.values():
        assert best[0] > other[0] + 0.04, found | {"best": best}
        assert best[1] > other[1] + 0.04, found | {"best": best}
