# SPDX-License-Identifier: BSD-3-Clause
"""
How few neurons does a probe need?
==================================

This is the redundancy pipeline of Dalvi et al. (EMNLP 2020): keep as few of the first layers as
possible, then one neuron per cluster of correlated neurons, then as few of the remaining neurons as
possible. You learn how to combine the three selectors in one pipeline, so that every choice is made
on the training data alone. The script reads the treebank that the environment variable
``SKLEARN_NEUROX_CONLLU`` points to, or generates sentences if it is not set.
"""

import os
import time

import matplotlib.pyplot as plt
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
# One row per word, from a few hundred sentences. Every fourth text is held out as test data.
path = os.environ.get("SKLEARN_NEUROX_CONLLU")
words = read_conllu(path) if path else make_tagged_words(400, random_state=0)
text = pd.factorize(words["text"])[0]
words, text = words[text < 400], text[text < 400]
y = words["upos"].to_numpy()
train, test = np.flatnonzero(text % 4), np.flatnonzero(text % 4 == 0)

features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
H = features.set_output(transform="pandas").fit_transform(words)
source = "a treebank" if path else "generated sentences"
print(f"{len(train):,} training and {len(test):,} test words of {source}, {H.shape[1]:,} neurons")

# %%
# The oracle is the probe on all neurons. The first and the last selector may each lose one percent
# of the score they start from, measured on a held-out part of the training words.
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
# How many neurons each step keeps, and how much of the oracle's accuracy remains.
layers, clusters, minimal, _ = (step for _, step in pipe.steps)
print(layers.to_frame().round(4).to_string(index=False))
print(minimal.to_frame().round(4).to_string(index=False))
kept = [H.shape[1], *(int(step.get_support().sum()) for step in (layers, clusters, minimal))]
table = pd.DataFrame({"step": ["oracle", "layers", "clusters", "minimal set"], "neurons": kept})
print(table.assign(percent=(100 * table["neurons"] / kept[0]).round(1)).to_string(index=False))
print(f"accuracy on the test words: {oracle:.4f} with all neurons, {score:.4f} with {kept[-1]}")

# %%
# The last step chooses the smallest set of neurons that loses at most one percent of the score on
# all candidates.

# Figure: Accuracy against the number of neurons kept, on a logarithmic axis: it rises steeply at
# first, then slowly; a dot marks the chosen number, where the curve meets the threshold.
tried = minimal.to_frame()
ax = tried.plot("n_neurons", "score", logx=True, marker=".", label="held-out training words")
tried[tried["selected"]].plot.scatter("n_neurons", "score", s=60, color="C3", label="chosen", ax=ax)
ax.axhline(
    tried["score"].iloc[-1] * (1 - minimal.delta), color="gray", linestyle=":", label="threshold"
)
ax.set(xlabel="neurons kept", ylabel="accuracy")
ax.legend()

plt.show()
