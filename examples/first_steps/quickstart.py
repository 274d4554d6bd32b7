# SPDX-License-Identifier: BSD-3-Clause
"""
Quickstart
==========

Probe a model, rank its neurons and ablate them in a few lines: first with plain matrices, then as a
single pipeline. You learn what each step takes and returns.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeClassifier,
    LCARanker,
    SubwordAggregator,
    ablation_curve,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.inspection import AblationCurveDisplay

# %%
# One row per word: the text that the model reads, the word's position in it, and its labels.
words = make_tagged_words(200, random_state=0)
y, groups = words["upos"], words["text"]
print(words[["text", "start", "end", "word", "upos"]].head().to_string(), "\n")

# %%
# One row per word, one column per neuron. The cache stores the activations in a folder, so the
# model reads each sentence only once.
extractor = ActivationExtractor(demo_model_path(), layers=[1, 3, 5], cache="activations/quickstart")
features = make_pipeline(extractor, SubwordAggregator("last")).set_output(transform="pandas")
H = features.fit_transform(words)
print(f"{H.shape[0]:,} words, {H.shape[1]:,} neurons, {H.columns[0]} to {H.columns[-1]}\n")

# %%
# Fit a linear probe and rank the neurons by its weights. A score of 1 means that no other neuron
# has a larger weight for some tag, so the first neurons share it.
probe = ElasticNetProbeClassifier(alpha=3e-3, standardize=True, random_state=0).fit(H, y)
ranking = LCARanker(FrozenEstimator(probe)).fit(H, y).to_frame()
print(ranking[["neuron", "layer", "score", "rank"]].head(5).to_string(index=False), "\n")

# %%
# How accurate is the probe on held-out sentences when it keeps only its best neurons, only random
# ones or only the worst?
curve = ablation_curve(
    probe,
    H,
    y,
    groups=groups,
    cv=3,
    fractions=[0.02, 0.05, 0.1, 0.2],
    n_draws=3,
    retrain=False,
    random_state=0,
)
tenth = curve[curve["fraction"].isin([0.1, 1])]
print(tenth.groupby("which")["score"].agg(["mean", "std"]).round(3).to_string(), "\n")
# Figure: Accuracy against the share of neurons kept, from 2% to 20%: top neurons rise to nearly
# the accuracy of all neurons, random ones stay far below, and bottom ones stay at .2.
display = AblationCurveDisplay.from_frame(curve, score_name="accuracy")

# %%
# Neuron selection and probe as a single pipeline: each fold ranks the neurons on its own training
# data.
pipe = make_pipeline(extractor, SubwordAggregator("last"), LCARanker(probe, n_neurons=0.1), probe)
scores = cross_validate(pipe, words, y, groups=groups, cv=GroupKFold(3))["test_score"]
print(f"accuracy with a tenth of the neurons, selected anew in each fold: {scores.mean():.3f}")

plt.show()
