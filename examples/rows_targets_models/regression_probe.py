# SPDX-License-Identifier: BSD-3-Clause
"""
A probe for numerical targets
=============================

Does a model encode the position of a word in its sentence, and in which neurons? You learn to probe
and rank with a numerical target instead of a label, to choose the penalty by cross-validation, and
to check the ranking by ablation.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationExtractor,
    ElasticNetProbeRegressor,
    ElasticNetProbeRegressorCV,
    LCARanker,
    SubwordAggregator,
    ablation_curve,
)
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.evaluation import ranking_agreement
from sklearn_neurox.inspection import AblationCurveDisplay, RegularizationPathDisplay
from sklearn_neurox.ranking import ConsensusRanker

# %%
# The target is the position of the word in its sentence.
words = make_tagged_words(300, random_state=0)
y, groups = words["position"].to_numpy(dtype=float), words["text"]
features = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
H = features.set_output(transform="pandas").fit_transform(words)

# %%
# How well does each layer predict the position? The score is R squared on held-out sentences.
probe = ElasticNetProbeRegressor(alpha=0.03, l1_ratio=0.5, standardize=True, random_state=0)
layers = H.columns.str.extract(r"hidden\.(\d+)\.", expand=False)
by_layer = {
    layer: cross_val_score(probe, H.loc[:, layers == layer], y, groups=groups, cv=GroupKFold(3))
    for layer in layers.unique()
}
print(pd.DataFrame(by_layer).agg(["mean", "std"]).T.rename_axis("layer").round(3), "\n")

# %%
# Choose the penalty for one layer by cross-validation.
first = H.loc[:, layers == "1"]
tuned = ElasticNetProbeRegressorCV(
    0.5, alphas=[0.3, 0.1, 0.03, 0.01], cv=3, standardize=True, random_state=0
).fit(first, y, groups=groups)
print(f"alpha {tuned.alpha_}: {np.count_nonzero(tuned.coef_)} of {first.shape[1]} neurons\n")
# Figure: R squared and the number of non-zero weights against alpha: both fall as alpha grows; a
# star marks the chosen alpha, the smallest.
path = RegularizationPathDisplay.from_estimator(tuned)

# %%
# Rank the neurons by the probe's weights and by a scikit-learn scorer, and compare the rankings.
by_weight = LCARanker(FrozenEstimator(tuned)).fit(first, y)
by_f = ConsensusRanker([("f", SelectKBest(f_regression, k="all"))]).fit(first, y)
print(by_weight.to_frame().head(5).to_string(index=False), "\n")
print(ranking_agreement({"weights": by_weight, "F": by_f}, k=20).round(2).to_string(), "\n")

# %%
# Check the ranking by ablation: R squared with only the best, random or worst neurons.
curve = ablation_curve(
    probe, first, y, groups=groups, cv=3, fractions=[0.02, 0.1, 0.3], n_draws=3, random_state=0
)
print(curve.groupby(["retrained", "which", "fraction"])["score"].agg(["mean", "std"]).round(3))
# Figure: Two panels of R squared against the share of neurons kept, filled and retrained: top
# neurons are far above random ones, and random ones above bottom ones.
display = AblationCurveDisplay.from_frame(curve, score_name="R squared")

plt.show()
