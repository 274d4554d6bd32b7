# SPDX-License-Identifier: BSD-3-Clause
"""
Is it the representation, or the probe?
=======================================

A probe that memorizes words can be accurate even if the representation does not encode the property
at all. You learn two checks. A control task assigns random labels to word types, which a probe can
only memorize. The online code length grows with the effort that the probe needs to learn the
labels. The script reads the treebank that the environment variable ``SKLEARN_NEUROX_CONLLU`` points
to, or generates sentences if it is not set.
"""

import os

import matplotlib.pyplot as plt
import pandas as pd
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeClassifier,
    SubwordAggregator,
    read_conllu,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    SelectivityScorer,
    control_labels,
    online_codelength,
    selectivity_score,
)
from sklearn_neurox.inspection import LayerProfileDisplay
from sklearn_neurox.words import annotate

# %%
# One row per word, from a few hundred texts, and three layers of the model.
path = os.environ.get("SKLEARN_NEUROX_CONLLU")
words = read_conllu(path) if path else make_tagged_words(300, random_state=0)
words = words[pd.factorize(words["text"])[0] < 300].reset_index(drop=True)
y, groups = words["upos"], words["text"]
features = make_pipeline(
    ActivationExtractor(demo_model_path(), layers=[0, 3, 6]), SubwordAggregator("last")
)
H = features.set_output(transform="pandas").fit_transform(words)
layers = {layer: H.filter(regex=rf"^hidden\.{layer}\.") for layer in (0, 3, 6)}
source = "a treebank" if path else "generated sentences"
n_types = words["word"].nunique()
print(f"{len(words):,} words of {source}, {n_types:,} types, {y.nunique()} labels")

# %%
# The control task gives each word type a random tag, drawn with the frequencies of the real tags.
# The ceiling is the accuracy of a perfect memory on the control task; it depends on how many test
# words occur in training.
control = control_labels(words, y)
probe = ElasticNetProbeClassifier(5e-3, l1_ratio=0.13, standardize=True, random_state=0)
memory = KNeighborsClassifier(1)
table = pd.concat(
    {
        (name, layer): selectivity_score(
            estimator, H, y, control, types=words["word"], cv=3, groups=groups
        )
        for name, estimator in (("linear", probe), ("nearest neighbor", memory))
        for layer, H in layers.items()
    },
    names=["probe", "layer"],
)
columns = ["task", "control", "selectivity", "seen", "ceiling"]
print("\nAccuracy on the task and on its control, averaged over three folds")
means = table.groupby(level=["probe", "layer"], sort=False)[columns].mean()
print(means.round(3).to_string())

# Figure: Two panels, for the linear probe and the nearest neighbor: accuracy on the task and on
# its control by layer; the gap between them is widest for the linear probe.
_, axes = plt.subplots(ncols=2, figsize=(8, 3), sharey=True)
for ax, (name, rows) in zip(axes, means.groupby(level="probe"), strict=True):
    rows.droplevel("probe")[["task", "control"]].plot(ax=ax, marker="o", title=name)
    ax.set(ylabel="accuracy", xticks=list(layers))

# %%
# How many bits does it take to encode the labels with a probe trained on the earlier labels?
codes = pd.concat(
    {
        (task, layer): online_codelength(
            probe, H, labels, groups=groups, random_state=0, fractions=[0.05, 0.1, 0.25, 0.5, 1.0]
        ).to_frame()
        for task, labels in (("task", y), ("control", control))
        for layer, H in layers.items()
    },
    names=["labels", "layer"],
)
print("\nDescription length, in bits")
print(codes.droplevel(2).round(1).to_string())
# Figure: Description length in bits by layer: the control takes more bits than the task at every
# layer, and the task takes the fewest at layer 3.
frame = codes.reset_index().rename(columns={"labels": "component", "codelength": "score"})
display = LayerProfileDisplay.from_frame(
    frame, score_name="description length (bits)", band_name="95% interval"
)

# %%
# Search for the most selective probe on a binary task: is the word a noun? Metadata routing passes
# the matching control labels to each fold.
words = annotate(words, {"NOUN", "PROPN"}, on="upos", name="noun")
with config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        ControlTaskClassifier(probe).set_fit_request(control_y=True),
        {"estimator": [memory, probe]},
        scoring={"task": "accuracy", "selectivity": SelectivityScorer()},
        refit="selectivity",
        cv=GroupKFold(3),
    )
    noun_control = control_labels(words, words["noun"])
    search.fit(layers[3], words["noun"], control_y=noun_control, groups=groups)
results = pd.DataFrame(search.cv_results_)[["mean_test_task", "mean_test_selectivity"]]
results.index = [type(estimator).__name__ for estimator in (memory, probe)]
print("\nNoun or not, layer 3")
print(results.round(3).to_string())
print(f"the search chose the {type(search.best_params_['estimator']).__name__}")

plt.show()
