# SPDX-License-Identifier: BSD-3-Clause
"""
From text to neurons, end to end
================================

Which neurons of a language model encode part of speech, how many does each tag need, and what is
lost without them? This example runs the whole workflow on generated sentences and a small
model, without downloading anything. To use your own data, read a file in the first block of code
(with ``read_conllu``, or with ``read_parallel`` if words and tags are in two files, as in
NeuroX). To use your own model, replace ``demo_model_path()``. Run it as a notebook: as a script, it
shows neither tables nor figures.
"""

# %%
# Words
# -----
#
# The frame has one row per word: the text that the model reads, the word's position in it, and its
# labels.
import numpy as np
import pandas as pd

from sklearn_neurox.datasets import demo_model_path, make_tagged_words

words = make_tagged_words(200, random_state=0)
words.head()

# %%
# Every fourth sentence is held out, and repeated sentences always end up on the same side of the
# split.
sentence = pd.factorize(words["text"])[0]
train, test = np.flatnonzero(sentence % 4 != 0), np.flatnonzero(sentence % 4 == 0)
y = words["upos"].to_numpy()
len(train), len(test)

# %%
# Activations
# -----------
#
# The matrix has one row per word and one column per neuron, for all layers. Each word is
# represented by its last subword.
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationExtractor, SubwordAggregator

features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
H = features.set_output(transform="pandas").fit_transform(words)
H.shape

# %%
# Which layer is best?
# --------------------
#
# Fit a linear probe on each layer. The intervals treat whole sentences as independent, and the
# p-value compares each layer with the best one.
from sklearn_neurox import ElasticNetProbeClassifier
from sklearn_neurox.evaluation import baseline_table, layer_profile

probe = ElasticNetProbeClassifier(alpha=5e-3, l1_ratio=0.3, standardize=True, random_state=0)
split = [(train, test)]
profile = layer_profile(probe, H, y, groups=words["text"], cv=split)
profile[["layer", "score", "low", "high", "p_value"]].round(3)

# %%
from sklearn_neurox.inspection import LayerProfileDisplay

# Figure: Accuracy by layer, with 95% intervals: it rises from .80 at layer 0 to over .95 at
# layers 2 to 4, and falls to .87 at layer 6.
display = LayerProfileDisplay.from_frame(profile, score_name="accuracy")

# %%
# Baselines that never see the model reach these scores on the same words:
baseline_table(words, y, groups=words["text"], cv=split)[["name", "score"]].round(3)

# %%
# Does the probe memorize words?
# ------------------------------
#
# A control task gives every word type a random tag, drawn with the frequencies of the real ones
# (Hewitt and Liang, 2019). It can only be learned by memorizing which word has which tag. The
# selectivity is the accuracy on the task minus that on the control: the larger it is, the less of
# the accuracy can come from memorizing. Compute it for the best layer:
from sklearn_neurox.evaluation import control_labels, selectivity_score

control = control_labels(words, y, random_state=0)
layer = H.filter(regex=r"^hidden\.4\.")
given = {"types": words["word"], "groups": words["text"], "cv": split}
selectivity_score(probe, layer, y, control, **given)[["task", "control", "selectivity"]].round(3)

# %%
# Probe all layers and rank the neurons
# -------------------------------------
#
# The best neurons come first. Each column ``score_...`` has the scores for one tag: the neuron with
# the largest weight for the tag has the score 1. ``score`` is the highest of them, so the first
# neurons, each the best for some tag, share the score 1.
from sklearn.frozen import FrozenEstimator

from sklearn_neurox import LCARanker

probe.fit(H.iloc[train], y[train])
ranker = LCARanker(FrozenEstimator(probe)).fit(H.iloc[train], y[train])
ranking = ranker.to_frame()
print(f"accuracy {probe.score(H.iloc[test], y[test]):.3f}")
ranking[["neuron", "layer", "score", "rank", "score_NOUN", "score_VERB"]].head(8)

# %%
# How many neurons does each tag need?
# ------------------------------------
#
# For each tag, count the neurons that make up a quarter of the tag's total weight (the threshold
# of the original paper). A tag that needs few neurons is localized. A neuron can count for several
# tags.
from sklearn_neurox.inspection import neuron_table

neuron_table(ranker, by="class", mass=0.25).sort_values("n_selected")

# %%
# This plot shows how the best tenth of the neurons for each tag is distributed over the layers:
from sklearn_neurox.inspection import NeuronDistributionDisplay

# Figure: A table of colored cells: the number of the best neurons in each layer, one row per
# tag; most are in layers 1 to 4.
display = NeuronDistributionDisplay.from_estimator(ranker, by="class", n_neurons=0.1)

# %%
# What do the best neurons respond to?
# ------------------------------------
#
# List the words on which a neuron is most and least active (``z`` is in standard deviations from
# its mean), and color a few sentences by its activation.
from sklearn_neurox.inspection import highlight, top_words

best = ranking["neuron"].head(2).tolist()
top_words(H, words, best, n_words=3).round(2)

# %%
highlight(words.head(40), H.head(40), best[0], center="mean")

# %%
# Ablation
# --------
#
# Keep only a tenth of the neurons: the best, random ones or the worst. Without retraining, the
# probe stays as it is and the other neurons are filled with their means; with retraining, a new
# probe is fitted on the kept neurons.
from sklearn_neurox import ablation_curve

curve = ablation_curve(probe, H, y, cv=[(train, test)], fractions=[0.1], n_draws=3, random_state=0)
curve.groupby(["retrained", "which"])["score"].agg(["mean", "count"]).round(3)

# %%
# How few are enough?
# -------------------
#
# Keep the best tenth of the neurons and fit a probe on them, as one pipeline. Every step is a
# scikit-learn estimator, so the pipeline works with ``cross_validate`` and ``GridSearchCV``.
from sklearn.model_selection import GroupKFold, cross_val_score

few = make_pipeline(LCARanker(probe, n_neurons=0.1), probe)
cross_val_score(few, H, y, groups=words["text"], cv=GroupKFold(2)).round(3)
