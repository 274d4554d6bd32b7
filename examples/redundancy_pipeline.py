# SPDX-License-Identifier: BSD-3-Clause
"""
How few neurons does a probe need?
==================================

The published redundancy pipeline: the fewest first layers, then one neuron of every cluster of
correlated ones, then the fewest of those that remain. Each step is a selector, so that all of it
is one pipeline, chosen inside the fold. Reads the treebank that the environment variable
SKLEARN_NEUROX_CONLLU names, and makes sentences where there is none.
"""

import os
import time

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    CorrelationClusterSelector,
    ElasticNetProbeClassifier,
    LayerSelector,
    MinimalNeuronSelector,
    SubwordAggregator,
    read_conllu,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words

# %%
# One row a word, from some hundred sentences. Every fourth text is held out from all that follows.
path = os.environ.get("SKLEARN_NEUROX_CONLLU")
words = read_conllu(path) if path else make_tagged_words(400, random_state=0)
text = pd.factorize(words["text"])[0]
words, text = words[text < 400], text[text < 400]
y = words["upos"].to_numpy()
train, test = np.flatnonzero(text % 4), np.flatnonzero(text % 4 == 0)

features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
H = features.set_output(transform="pandas").fit_transform(words)
print(f"{len(train):,} words to choose and train on, {len(test):,} to test, {H.shape[1]:,} neurons")

# %%
# The oracle: the probe on all neurons. Each step may lose one percent of what it starts from, by
# its score on a part of the training words.
probe = ElasticNetProbeClassifier(0.005, l1_ratio=0.1, standardize=True, random_state=0)
held_out = text[train] % 4 == 3
split = [(np.flatnonzero(~held_out), np.flatnonzero(held_out))]
oracle = probe.fit(H.iloc[train], y[train]).score(H.iloc[test], y[test])

started = time.perf_counter()
pipe = make_pipeline(
    LayerSelector("auto", estimator=probe, delta=0.01, cv=split),
    CorrelationClusterSelector(0.3),
    MinimalNeuronSelector(probe, delta=0.01, cv=split),
    probe,
).set_output(transform="pandas")
pipe.fit(H.iloc[train], y[train])
score = pipe.score(H.iloc[test], y[test])
print(f"selected and fitted in {time.perf_counter() - started:.0f} s")

# %%
# What each step kept, and what is left of the oracle's accuracy.
layers, clusters, minimal, _ = (step for _, step in pipe.steps)
print(layers.to_frame().round(4).to_string(index=False))
print(minimal.to_frame().round(4).to_string(index=False))
kept = [H.shape[1], *(int(step.get_support().sum()) for step in (layers, clusters, minimal))]
table = pd.DataFrame({"step": ["oracle", "layers", "clusters", "minimal set"], "neurons": kept})
print(table.assign(percent=(100 * table["neurons"] / kept[0]).round(1)).to_string(index=False))
print(f"accuracy on the test words: {oracle:.4f} with all neurons, {score:.4f} with {kept[-1]}")
