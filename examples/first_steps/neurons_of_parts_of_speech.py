# SPDX-License-Identifier: BSD-3-Clause
"""
Which neurons encode parts of speech?
=====================================

This script goes from annotated sentences to ranked and ablated neurons. You learn how to measure
the accuracy of a probe, count its best neurons in each layer, make the ablation table, and tune a
pipeline with a grid search. The script reads the treebank that the environment variable
``SKLEARN_NEUROX_CONLLU`` points to, or generates sentences if it is not set.
"""

import os
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
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
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.inspection import AblationCurveDisplay, NeuronDistributionDisplay

# %%
# One row per word. Every fifth sentence is held out.
path = os.environ.get("SKLEARN_NEUROX_CONLLU")
words = read_conllu(path) if path else make_tagged_words(500, random_state=0)
y = words["upos"].to_numpy()
sentence = pd.factorize(words["sentence_id"])[0]
train, test = np.flatnonzero(sentence % 5 != 0), np.flatnonzero(sentence % 5 == 0)
source = "a treebank" if path else "generated sentences"
print(f"{len(words):,} words of {source}, {len(train):,} of them for training")

# %%
# Extract all layers of the model at the last subword of each word. The cache keeps the activations
# for the grid search below.
extractor = ActivationExtractor(demo_model_path(), cache="activations/neurons_of_parts_of_speech")
features = make_pipeline(extractor, SubwordAggregator("last"))
started = time.perf_counter()
H = features.fit_transform(words)
print(f"{H.shape[1]:,} neurons in {time.perf_counter() - started:.1f} s")

# %%
# Fit the probe. Some test sentences also occur in the training set; the second accuracy excludes
# them.
probe = ElasticNetProbeClassifier(alpha=2.3e-3, l1_ratio=0.13, standardize=True, random_state=0)
started = time.perf_counter()
probe.fit(H[train], y[train])
text = words["text"].astype(str).to_numpy()
unseen = test[~np.isin(text[test], text[train])]
print(
    f"accuracy {probe.score(H[test], y[test]):.4f}, {probe.score(H[unseen], y[unseen]):.4f} on "
    f"sentences not seen in training; fitted in {time.perf_counter() - started:.1f} s, "
    f"{probe.n_iter_} epochs, duality gap {probe.dual_gap_:.1e}"
)

# %%
# List the best neurons, and show how the best tenth is distributed over the layers, for all tags
# together and for each tag. A score of 1 means that no other neuron has a larger weight for some
# tag, so the first neurons share it.
ranker = LCARanker(FrozenEstimator(probe)).fit(H[train], y[train])
names = features.get_feature_names_out()
ranking = ranker.to_frame(names)
print(ranking[["neuron", "score", "rank"]].head(10).to_string(index=False))
print(ranking.head(len(ranking) // 10)["layer"].value_counts().sort_index().rename("neurons"))
# Figure: A table of colored cells: the number of the best neurons in each layer, one row per
# tag; most are in layers 0 to 3, few in layers 5 and 6.
distribution = NeuronDistributionDisplay.from_estimator(
    ranker, input_features=names, by="class", n_neurons=0.1
)

# %%
# The ablation table of the papers: the accuracy with only the best, random or worst neurons. Where
# ``retrained`` is False, the same probe is used and the other neurons are filled with their
# training means. Where it is True, a new probe is fitted on the kept neurons; this hides much of
# the difference, because neurons are redundant.
curve = ablation_curve(probe, H, y, cv=[(train, test)], n_draws=3, random_state=0)
print(curve.groupby(["retrained", "which", "fraction"])["score"].agg(["mean", "std", "count"]))
# Figure: Two panels of accuracy against the share of neurons kept. Filled: top far above random,
# and bottom flat. Retrained: all three are close to the accuracy of all neurons.
display = AblationCurveDisplay.from_frame(curve, score_name="accuracy")

# %%
# Tune the subword strategy and the penalty together, cross-validated over whole sentences. Use only
# the layers that contain most of the best neurons; they are already in the cache.
extractor.set_params(layers=[2, 3])
pipe = make_pipeline(extractor, SubwordAggregator(), probe)
grid = {
    "subwordaggregator__strategy": ["first", "last", "mean"],
    "elasticnetprobeclassifier__alpha": [2.3e-3, 1e-2],
}
search = GridSearchCV(pipe, grid, cv=GroupKFold(3), refit=False)
started = time.perf_counter()
search.fit(words, y, groups=words["text"])
columns = [*(f"param_{name}" for name in grid), "mean_test_score", "std_test_score"]
print(pd.DataFrame(search.cv_results_)[columns].round(4).to_string(index=False))
print(f"{time.perf_counter() - started:.0f} s")

plt.show()
