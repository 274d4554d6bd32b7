# SPDX-License-Identifier: BSD-3-Clause
"""
Which layer, and which subword?
===============================

This script runs a grid search over layers and over ways to combine subwords into words,
cross-validated over whole sentences. You learn how the cache lets the model read each sentence only
once for the whole search, and how to turn the results into a table.
"""

import time

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.inspection import LayerProfileDisplay

# %%
words = make_tagged_words(400, random_state=0)
extractor = ActivationExtractor(demo_model_path(), cache="activations/layers_and_aggregation")
started = time.perf_counter()
n_read = extractor.fill_cache(words)
print(f"the model read {n_read} sentences in {time.perf_counter() - started:.1f} s")

# %%
# 7 layers, 3 subword strategies and 3 folds make 63 fits; the model does not run again.
pipe = make_pipeline(
    extractor,
    SubwordAggregator(),
    ElasticNetProbeClassifier(alpha=1e-2, l1_ratio=0.2, standardize=True, random_state=0),
)
grid = {
    "activationextractor__layers": list(range(7)),
    "subwordaggregator__strategy": ["first", "last", "mean"],
}
search = GridSearchCV(pipe, grid, cv=GroupKFold(3), refit=False)
started = time.perf_counter()
search.fit(words, words["upos"], groups=words["text"])
print(f"{len(search.cv_results_['params'])} settings in {time.perf_counter() - started:.1f} s\n")

# %%
# Accuracy by layer and strategy. Layer 0 sees each subword in isolation; higher layers have also
# seen the rest of the sentence.
results = pd.DataFrame(search.cv_results_).rename(columns=lambda name: name.split("__")[-1])
print(results.pivot(index="layers", columns="strategy", values="mean_test_score").round(3))

# %%
# Plot these results, with one line per strategy.
columns = {"layers": "layer", "strategy": "component", "mean_test_score": "score"}
profile = results[[*columns]].rename(columns=columns)
# Figure: Accuracy by layer for the strategies first, last and mean: it rises from .86 at layer 0
# to .97 at layers 2 and 3, and falls to .91; the three lines nearly coincide.
display = LayerProfileDisplay.from_frame(profile, score_name="accuracy")

plt.show()
