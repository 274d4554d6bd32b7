# SPDX-License-Identifier: BSD-3-Clause
"""Evaluate every ranking with every probe: this suite measures quality, not speed."""

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
    """Score the probes on the best, random and worst neurons of each ranking.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use only a few sentences, one fraction and a short greedy search.

    Returns
    -------
    tables : dict of DataFrame
        One table per label: accuracy by ranking and choice of neurons (rows), and by probe and
        fraction kept (columns).
    """
    words = benchmark_words(quick=quick)
    pooled = make_pipeline(ActivationExtractor(demo_model_path()), SubwordAggregator("last"))
    H = pooled.fit_transform(words)
    tables = {}
    for label in ("upos", "Number"):
        if label in words:
            rows = np.flatnonzero(words[label].notna())
            labeled = words.iloc[rows].reset_index(drop=True)
            title = f"{label}: accuracy when the other neurons are set to their means"
            tables[title] = _table(H[rows], labeled, label, quick)
    return tables


def _table(H, words, label, quick):
    y = words[label].to_numpy(dtype=str)
    held_out = pd.factorize(words["sentence_id"])[0] % 5 == 0
    table = ablation_table(
        H,
        y,
        rankings=rankings(max_neurons=5 if quick else 50),
        probes={
            "elastic net": elastic_net(),
            # Gaussians with a shared covariance; one covariance per class takes minutes.
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
    """Return the probe that the documented figures use."""
    return ElasticNetProbeClassifier(alpha=2.3e-3, l1_ratio=0.13, standardize=True, random_state=0)


def rankings(*, max_neurons: int) -> dict:
    """Return every ranker that needs only activations and labels."""
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
