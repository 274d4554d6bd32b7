# SPDX-License-Identifier: BSD-3-Clause
"""
What does a model know about words and their heads?
===================================================

This script probes pairs of words: which relation joins a word to its head, and whether two words
are joined at all. You learn how to make pairs with negatives that match in distance, how to compare
layers with a baseline that knows only the distance, how to fit a structural probe, and how to find
the attention head that attends to the heads of a relation. The script reads the treebank that the
environment variable ``SKLEARN_NEUROX_CONLLU`` points to, or generates sentences with simple heads
if it is not set.
"""

import os

import matplotlib.pyplot as plt
import pandas as pd
from scipy.stats import bootstrap
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_neurox import (
    ActivationExtractor,
    StructuralProbe,
    SubwordAggregator,
    layer_profile,
    pair_frame,
    read_conllu,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.evaluation import attention_head_table, uuas_score
from sklearn_neurox.inspection import LayerProfileDisplay


# %%
# The head of a generated word is the next noun, or else the last verb of its sentence. A real
# treebank has the true heads.
def with_heads(words):
    """Add the columns head and deprel to generated words."""
    for _, sentence in words.groupby("sentence_id"):
        tags, n = sentence["upos"].tolist(), len(sentence)
        root = max((i for i in range(n) if tags[i] == "VERB"), default=n - 1)
        for i, row in enumerate(sentence.index):
            nouns = [j for j in range(i + 1, n) if tags[j] == "NOUN"]
            modifies = tags[i] in ("DET", "ADJ", "NUM", "ADP") and nouns
            head = nouns[0] if modifies else root
            words.loc[row, "head"] = 0 if i == root else head + 1
            words.loc[row, "deprel"] = "root" if i == root else tags[i].lower()
    return words


path = os.environ.get("SKLEARN_NEUROX_CONLLU")
if path:
    words = read_conllu(path, columns=["upos", "head", "deprel"])
else:
    words = with_heads(make_tagged_words(150, random_state=0))
words = words[words["sentence_id"].isin(words["sentence_id"].unique()[:150])]

# %%
# Which relation? One row per arc; rare relations are left out. The baseline knows the distance and
# the direction of each pair, but neither word.
arcs = pair_frame(words, heads="head")
arcs = arcs[arcs.groupby("relation")["relation"].transform("size") >= 30].reset_index(drop=True)
source = "a treebank" if path else "generated sentences"
print(f"{len(arcs):,} arcs of {source}, {arcs['relation'].nunique()} relations")
folds = {"groups": arcs["text"], "cv": GroupKFold(3)}
distance = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
guessed = cross_val_predict(distance, arcs[["distance"]], arcs["relation"], **folds)
baseline = (guessed == arcs["relation"]).mean()
print(f"relation by distance alone: {baseline:.3f}\n")

probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.003))
extractor = ActivationExtractor(
    demo_model_path(), layers=[0, 2, 4, 6], cache="activations/words_and_their_heads"
)
relations = make_pipeline(extractor, SubwordAggregator("mean"), probe)
profile = layer_profile(relations, arcs, arcs["relation"], **folds)
print(profile[["name", "score", "low", "high"]].round(3), "\n")
# Figure: Accuracy of the relation by layer, with 95% intervals: highest at layer 2, and far above
# the dotted line of distance alone.
look = {"score_name": "accuracy", "band_name": "95% interval"}
display = LayerProfileDisplay.from_frame(profile, baselines={"distance alone": baseline}, **look)

# %%
# Is there an arc? Each arc has a negative of the same distance and direction, so the distance tells
# nothing. A linear probe of both vectors adds up what each word is, which says a lot: few articles
# are heads. A probe of their product sees only how the two fit together.
pairs = pair_frame(words, heads="head", negatives="matched", random_state=0)
y = pairs["is_arc"].map({True: "arc", False: "none"})
# Figure: Accuracy of arc or not by layer, with 95% intervals: concatenated vectors are about .8,
# products about .6.
ax = None
for pair in ("concat", "product"):
    joined = make_pipeline(extractor, SubwordAggregator("mean", pair=pair), probe)
    profile = layer_profile(joined, pairs, y, groups=pairs["text"], cv=GroupKFold(3))
    print(f"arc or not, pair={pair!r}\n{profile[['name', 'score', 'low', 'high']].round(3)}\n")
    ax = LayerProfileDisplay.from_frame(profile, name=pair, ax=ax, **look).ax_


# %%
# Is the whole tree in the distances between the words' activations? The structural probe learns a
# projection from two thirds of the texts; the score is the share of the arcs that the minimum
# spanning trees of the other third have, with an interval over sentences. The trees of the baseline
# join every word to the next.
def attached(predicted):
    """Return the UUAS of the held-out sentences, and its interval."""
    trees = uuas_score(steps[test], predicted, held_out, by_tree=True)
    counts = trees["n_correct"], trees["n_arcs"]
    found = bootstrap(
        counts, lambda right, arcs, axis: right.sum(axis) / arcs.sum(axis), paired=True
    )
    return [counts[0].sum() / counts[1].sum(), *found.confidence_interval]


every = pair_frame(words, heads="head", negatives="all")
forward = every[(every["distance"] > 0) & every["tree_distance"].notna()].reset_index(drop=True)
train, test = next(GroupKFold(3).split(forward, groups=forward["text"]))
weight = 1 / forward["sentence_id"].map(words.groupby("sentence_id").size()) ** 2
steps, held_out = forward["tree_distance"].to_numpy(), forward.iloc[test]
scores = {"distance in the sentence": attached(held_out["distance"])}
for layer in extractor.layers:
    differences = make_pipeline(
        clone(extractor).set_params(layers=[layer]), SubwordAggregator("mean", pair="difference")
    )
    X = differences.fit_transform(forward)
    tree_probe = StructuralProbe(rank=32, alpha=0.1)
    tree_probe.fit(X[train], steps[train], sample_weight=weight.to_numpy()[train])
    scores[f"structural probe, layer {layer}"] = attached(tree_probe.predict(X[test]))
print(pd.DataFrame(scores, index=["UUAS", "low", "high"]).T.round(3), "\n")

# %%
# Which attention head? For each dependent, an attention head picks the word that it attends to
# most, or that attends to it most. The best one per relation is compared with the best fixed
# offset, such as "the next word". Both are chosen on training texts and scored on the others.
attention = ActivationExtractor(demo_model_path(), component="attention_weights")
A = make_pipeline(attention, SubwordAggregator()).set_output(transform="pandas")
table = attention_head_table(A.fit_transform(every), every, min_count=30)
columns = ["relation", "attention_head", "accuracy", "low", "high", "offset", "offset_accuracy"]
print(table[["n_words", *columns]].round(3).to_string(index=False))

plt.show()
