# SPDX-License-Identifier: BSD-3-Clause
"""Pareto probing of parts of speech: accuracy of low-rank probes by their complexity."""

import time

import pandas as pd
from sklearn.model_selection import GroupKFold

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import pareto_curve, pareto_hypervolume

_LARGEST = 30.0


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Measure layers of the demo model, trained and untrained, on a fifth of the texts.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use few sentences and one layer.

    Returns
    -------
    tables : dict of DataFrame
        The curve of each layer, and one row per layer with its hypervolume.
    """
    words = benchmark_words(quick=quick)
    y, groups = words["upos"], words["text"]
    folds = list(GroupKFold(5).split(words, y, groups))[:1]
    tables, rows = {}, []
    for weights in ("pretrained", "random"):
        for layer in (2,) if quick else (0, 2, 6):
            extractor = ActivationExtractor(demo_model_path(), layers=[layer], weights=weights)
            X = SubwordAggregator("last").fit_transform(extractor.fit_transform(words))
            start = time.perf_counter()
            curve = pareto_curve(X, y, groups=groups, cv=folds)
            seconds = time.perf_counter() - start
            tables[f"layer {layer}, {weights}"] = curve.drop(columns="fold").round(3)
            volumes = {
                name: pareto_hypervolume(curve[name], curve["score"], max_complexity=largest)
                for name, largest in (("nuclear_norm", _LARGEST), ("rank", y.nunique() - 1))
            }
            rows.append({"layer": layer, "weights": weights, **volumes, "seconds": seconds})
    tables["hypervolume"] = pd.DataFrame(rows).round(3)
    return tables
