# SPDX-License-Identifier: BSD-3-Clause
"""What every ranking finds, judged by every probe: figures of quality, not of speed."""

import warnings

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.ablation import ablation_table
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    ConsensusRanker,
    GaussianRanker,
    IoURanker,
    LCARanker,
    ProbelessRanker,
)


def run(*, quick: bool = False) -> dict[str, pd.DataFrame]:
    """Score the probes on the best, random and worst neurons of the rankings.

    Parameters
    ----------
    quick : bool, default=False
        A few sentences, one fraction and a short greedy search.

    Returns
    -------
    tables : dict of DataFrame
        Accuracy by ranking and choice, for every label, probe and fraction kept.
    """
    words = benchmark_words(quick=quick)
    pooled = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
    H = pooled.fit_transform(words)
    tables = {}
    for label in ("upos", "Number"):
        if label in words:
            rows = np.flatnonzero(words[label].notna())
            labelled = words.iloc[rows].reset_index(drop=True)
            title = f"{label}: accuracy with some neurons kept, the others at their mean"
            tables[title] = _table(H[rows], labelled, label, quick)
    return tables


def _table(H, words, label, quick):
    y = words[label].to_numpy(dtype=str)
    held_out = pd.factorize(words["sentence_id"])[0] % 5 == 0
    with warnings.catch_warnings():
        # Bottom neurons without any weight are what is wanted here.
        warnings.filterwarnings("ignore", ".*without any weight", UserWarning)
        table = ablation_table(
            H,
            y,
            rankings=rankings(max_neurons=5 if quick else 50),
            probes={
                "elastic net": elastic_net(),
                # Gaussians that share their covariance: those of single classes take minutes.
                "LDA": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
            },
            fractions=[0.1] if quick else [0.10, 0.15, 0.20],
            retrain=False,
            cv=[(np.flatnonzero(~held_out), np.flatnonzero(held_out))],
            groups=words["text"],
            random_state=0,
        )
    whole = table["which"] == "all"
    scores = table[~whole].pivot_table("score", ["ranking", "which"], ["probe", "fraction"])
    of_all = table[whole].set_index("probe")["score"]
    scores.loc[("all", "all"), :] = of_all[scores.columns.get_level_values("probe")].to_numpy()
    scores.columns = [f"{probe} {fraction:.0%}" for probe, fraction in scores.columns]
    return scores.round(3).reset_index()


def elastic_net() -> ElasticNetProbeClassifier:
    """Make the probe of the package's figures."""
    return ElasticNetProbeClassifier(alpha=2.3e-3, l1_ratio=0.13, standardize=True, random_state=0)


def rankings(*, max_neurons: int) -> dict:
    """Make every ranker that needs nothing but the activations and the labels."""
    return {
        "LCA": LCARanker(elastic_net()),
        "probeless": ProbelessRanker(),
        "probeless, scaled": ProbelessRanker(scale=True),
        "average precision": AveragePrecisionRanker(),
        "IoU": IoURanker(),
        "Gaussian": GaussianRanker(max_neurons=max_neurons),
        "consensus": ConsensusRanker(
            [
                ("LCA", LCARanker(elastic_net())),
                ("probeless", ProbelessRanker(scale=True)),
                ("average precision", AveragePrecisionRanker()),
            ]
        ),
    }
