# SPDX-License-Identifier: BSD-3-Clause
"""Measure what the demo model knows about words and their heads, with intervals over texts.

Needs a treebank in SKLEARN_NEUROX_CONLLU. The guides "Pairs of words" and "Syntax trees" quote the
tables.
"""

import os

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox import (
    ActivationExtractor,
    StructuralProbe,
    SubwordAggregator,
    layer_profile,
    pair_frame,
    read_conllu,
)
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import attention_head_table, distance_spearman_score, uuas_score
from sklearn_neurox.evaluation._baselines._distance_baseline import distance_baseline
from sklearn_neurox.utils._scores._group_intervals import mean_interval


def run(*, quick: bool = False) -> dict:
    """Probe relations, arcs and trees layer by layer, and find the best attention heads.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use 60 sentences and two layers.

    Returns
    -------
    tables : dict of str to DataFrame
    """
    words = read_conllu(os.environ["SKLEARN_NEUROX_CONLLU"], columns=["upos", "head", "deprel"])
    if quick:
        words = words[words["sentence_id"].isin(words["sentence_id"].unique()[:60])]
    layers = [0, 3] if quick else list(range(7))
    every = pair_frame(words, heads="head", negatives="all")
    return {
        "Relations and arcs by layer": _classes(words, layers, quick),
        "The best attention head of each relation": _heads(every, 20 if quick else 200),
        "Trees by layer": _trees(words, every, layers, quick),
    }


def _classes(words, layers, quick):
    words = words[words["sentence_id"].isin(words["sentence_id"].unique()[:600])]
    arcs = pair_frame(words, heads="head")
    counts = arcs.groupby("relation")["relation"].transform("size")
    arcs = arcs[counts >= (20 if quick else 100)].reset_index(drop=True)
    matched = pair_frame(words, heads="head", negatives="matched", random_state=0)
    is_arc = matched["is_arc"].astype(str)
    parts = []
    for task, pairs, y, pair in (
        (f"relation ({arcs['relation'].nunique()} classes)", arcs, arcs["relation"], "concat"),
        ("arc or matched negative", matched, is_arc, "concat"),
        ("arc or matched negative", matched, is_arc, "product"),
    ):
        folds = {"groups": pairs["text"], "cv": GroupKFold(3)}
        guessed = cross_val_predict(distance_baseline(classes=True), pairs, y, **folds)
        baseline = mean_interval(
            guessed == y.to_numpy(), pd.factorize(pairs["text"])[0], scale="logit"
        )
        features = make_pipeline(
            ActivationExtractor(demo_model_path(), layers=layers),
            SubwordAggregator("mean", pair=pair),
        ).set_output(transform="pandas")
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.003))
        profile = layer_profile(probe, features.fit_transform(pairs), y, **folds)
        rows = [("distance", *baseline), *profile[["name", "score", "low", "high"]].to_numpy()]
        table = pd.DataFrame(rows, columns=["from", "accuracy", "low", "high"])
        table.insert(0, "task", task)
        table.insert(1, "pair", pair)
        parts.append(table.assign(n_pairs=len(pairs)))
    return pd.concat(parts).round(3)


def _heads(every, min_count):
    extractor = ActivationExtractor(demo_model_path(), component="attention_weights")
    attention = make_pipeline(extractor, SubwordAggregator()).set_output(transform="pandas")
    table = attention_head_table(attention.fit_transform(every), every, min_count=min_count)
    return table.round(3)


def _trees(words, every, layers, quick):
    forward = every[(every["distance"] > 0) & every["tree_distance"].notna()]
    forward = forward.reset_index(drop=True)
    train, test = next(GroupKFold(5).split(forward, groups=forward["text"]))
    n_words = forward["sentence_id"].map(words.groupby("sentence_id").size())
    weight, steps = 1 / n_words.to_numpy() ** 2, forward["tree_distance"].to_numpy()
    rows = [_score_trees("distance in the sentence", forward, test, forward["distance"][test])]
    for layer in layers:
        features = make_pipeline(
            ActivationExtractor(demo_model_path(), layers=[layer]),
            SubwordAggregator("mean", pair="difference"),
        )
        X = features.fit_transform(forward)
        probe = StructuralProbe(rank=16 if quick else 64, alpha=0.03)
        probe.fit(X[train], steps[train], sample_weight=weight[train])
        rows.append(_score_trees(f"layer {layer}", forward, test, probe.predict(X[test])))
    return pd.DataFrame(rows).round(3)


def _score_trees(name, forward, test, predicted):
    held_out, true = forward.iloc[test], forward["tree_distance"][test]
    mark = (held_out["upos"] == "PUNCT") | (held_out["other_upos"] == "PUNCT")
    arcs = uuas_score(true, predicted, held_out, ignore=mark, by_tree=True)
    found = mean_interval(
        arcs["n_correct"], pd.factorize(arcs["text"])[0], sizes=arcs["n_arcs"], scale="logit"
    )
    trees = distance_spearman_score(true, predicted, held_out, by_tree=True)
    # A mean over lengths of means over sentences: each sentence has a weight.
    weight = 1 / trees.groupby("n_words")["text"].transform("size").to_numpy()
    groups = pd.factorize(trees["text"])[0]
    spearman = mean_interval(weight * trees["spearman"], groups, sizes=weight)
    row = {"distances": name, "uuas": found.mean, "uuas_low": found.low, "uuas_high": found.high}
    row |= {
        f"spearman{end}": each for end, each in zip(("", "_low", "_high"), spearman, strict=True)
    }
    return row | {"n_sentences": len(arcs)}
