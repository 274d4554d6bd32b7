# SPDX-License-Identifier: BSD-3-Clause
"""
Quickstart
==========

From words to a probe, a ranking and an ablation in a few lines, with plain matrices and then as
one pipeline. You learn what goes in and what comes out of each step.
"""

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

# %%
# One row a word: the text that the model reads, the characters of the word in it, and its labels.
words = make_tagged_words(200, random_state=0)
y, groups = words["upos"], words["text"]
print(words[["text", "start", "end", "word", "upos"]].head().to_string(), "\n")

# %%
# One row a word, one column a neuron.
# The cache keeps what the model said, so that it reads each sentence once.
extractor = ActivationExtractor(demo_model_path(), layers=[1, 3, 5], cache="activations/")
features = make_pipeline(extractor, SubwordAggregator("last")).set_output(transform="pandas")
H = features.fit_transform(words)
print(f"{H.shape[0]:,} words, {H.shape[1]:,} neurons, {H.columns[0]} to {H.columns[-1]}\n")

# %%
# A linear probe, and the neurons by their weights in it.
probe = ElasticNetProbeClassifier(alpha=3e-3, standardize=True, random_state=0).fit(H, y)
ranking = LCARanker(FrozenEstimator(probe)).fit(H, y).to_frame()
print(ranking[["neuron", "layer", "score", "rank"]].head(5).to_string(index=False), "\n")

# %%
# What is left of the probe's accuracy with a tenth of its neurons, on sentences held out?
curve = ablation_curve(
    probe, H, y, groups=groups, cv=3, fractions=[0.1], n_draws=3, retrain=False, random_state=0
)
print(curve.groupby("which")["score"].agg(["mean", "std"]).round(3).to_string(), "\n")

# %%
# The same as one pipeline, in which each fold ranks its own neurons.
pipe = make_pipeline(extractor, SubwordAggregator("last"), LCARanker(probe, n_neurons=0.1), probe)
scores = cross_validate(pipe, words, y, groups=groups, cv=GroupKFold(3))["test_score"]
print(f"a tenth of the neurons, chosen and probed anew in each fold: {scores.mean():.3f}")
