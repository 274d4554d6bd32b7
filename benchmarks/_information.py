# SPDX-License-Identifier: BSD-3-Clause
"""Measure the information about parts of speech that a linear probe can use, layer by layer."""

import pandas as pd
from sklearn.model_selection import GroupKFold

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import v_information


def run(*, quick: bool = False) -> pd.DataFrame:
    """Measure each layer alone, and beyond the embedding layer, on a fifth of the texts.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use few sentences and two layers.

    Returns
    -------
    table : DataFrame
        One row per layer and baseline.
    """
    words = benchmark_words(quick=quick)
    extractor, aggregator = ActivationExtractor(demo_model_path()), SubwordAggregator("last")
    X = aggregator.fit_transform(extractor.fit_transform(words))
    width = X.shape[1] // 7
    layers = [X[:, start : start + width] for start in range(0, X.shape[1], width)]
    y, groups = words["upos"], words["text"]
    folds = list(GroupKFold(5).split(X, y, groups))[:1]
    probe = ElasticNetProbeClassifier(2.3e-3, l1_ratio=0.13, standardize=True, random_state=0)
    rows = []
    for layer in (0, 2) if quick else range(7):
        for beyond in (None, layers[0])[: 1 + (layer > 0)]:
            found = v_information(probe, layers[layer], y, baseline=beyond, groups=groups, cv=folds)
            found.insert(0, "beyond layer 0", beyond is not None)
            found.insert(0, "layer", layer)
            rows.append(found)
    return pd.concat(rows).round(3)
