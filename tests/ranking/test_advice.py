# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about rankings gets the right result."""

import numpy as np
import pytest
import torch
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox import probes, ranking
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_labels_and_order(example):
    words, features, H = example.words, example.features, example.H
    y = words["upos"].copy()
    y[5] = None
    values = H.to_numpy()
    probe = make_pipeline(features, GaussianNB())
    labeled = words.assign(upos=y)
    shuffled = y.fillna("NOUN").sample(frac=1, random_state=0)
    mixed = words["upos"].astype(object)
    mixed[3] = 7
    clean = words["upos"]
    ranker = ranking.ProbelessRanker
    tensor = torch.tensor(values, dtype=torch.bfloat16, requires_grad=True)
    holes = values.copy()
    holes[3, 2] = np.nan
    some = H.iloc[:-5]
    follow(
        [
            Followed(
                lambda: ranker().fit(values, y.rename("upos")),
                r"words = words.dropna\(subset=\['upos'\]\)",
                lambda: (
                    make_pipeline(features, ranker())
                    .fit(labeled.dropna(subset=["upos"]), labeled.dropna(subset=["upos"])["upos"])[
                        -1
                    ]
                    .scores_.shape
                ),
                (H.shape[1],),
            ),
            Followed(
                lambda: ranker().fit(H, shuffled),
                r"To pair rows by label: y = y.loc\[X.index\]",
                lambda: ranker().fit(H, shuffled.loc[H.index]).scores_,
                ranker().fit(values, y.fillna("NOUN").to_numpy()).scores_,
            ),
            Followed(
                lambda: ranker().fit(H, shuffled),
                r"y = y.set_axis\(X.index\)",
                lambda: ranker().fit(H, shuffled.set_axis(H.index)).scores_,
                ranker().fit(values, shuffled.to_numpy()).scores_,
            ),
            Followed(
                lambda: ranker().fit(some, shuffled[shuffled.index != 3][: len(some)]),
                "take both from one frame",
                lambda: ranker().fit(some, clean.loc[some.index]).scores_,
            ),
            Followed(
                lambda: ranker().fit(values, mixed),
                r"7 at row 3 is of type int.* y.astype\(str\)",
                lambda: ranker().fit(values, mixed.astype(str)).classes_,
                ["7", "DET", "NOUN", "VERB"],
            ),
            Followed(
                lambda: ranker().fit(tensor, clean),
                r"Pass X.detach\(\).cpu\(\).float\(\).numpy\(\)",
                lambda: ranker().fit(tensor.detach().cpu().float().numpy(), clean),
            ),
            Followed(
                lambda: ranker().fit(holes, clean),
                "remove their rows first",
                lambda: ranker().fit(holes[np.arange(len(H)) != 3], clean.drop(3)),
            ),
            Followed(
                lambda: ranker().fit(words, clean),
                r"make_pipeline\(ActivationExtractor\(...\), SubwordAggregator\(\), ...\)",
                lambda: make_pipeline(features, ranker()).fit(words, clean)[-1].scores_,
                ranker().fit(values, clean).scores_,
            ),
            Followed(
                lambda: BaggingClassifier(probe, n_estimators=2).fit(words, clean),
                "compute the activations first and pass it the matrix",
                lambda: BaggingClassifier(GaussianNB(), n_estimators=2).fit(values, clean),
            ),
        ]
    )


@pytest.mark.slow
def test_rankers(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    net = probes.ElasticNetProbeClassifier
    two = y.where(y == "NOUN", "other")
    one_class = np.full(len(y), "a")
    follow(
        [
            Followed(
                lambda: ranking.LCARanker(n_neurons=3, mass=0.5).fit(values, y),
                "Set only one of them",
                lambda: (
                    ranking.LCARanker(net(alpha=1e-2), n_neurons=3)
                    .fit(values, y)
                    .get_support()
                    .sum()
                ),
                3,
            ),
            Followed(
                lambda: ranking.LCARanker(GaussianNB()).fit(values, y),
                "Use a linear estimator",
                lambda: ranking.LCARanker(LogisticRegression(max_iter=5000)).fit(values, y),
            ),
            Followed(
                lambda: ranking.LCARanker(
                    make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
                ).fit(values, y),
                "put the other steps in front of the ranker",
                lambda: make_pipeline(
                    StandardScaler(), ranking.LCARanker(LogisticRegression(max_iter=5000))
                ).fit(values, y),
            ),
            Followed(
                lambda: ranking.LCARanker(net(alpha=1e9)).fit(values, y),
                "All coefficients are zero|Fit the probe with a weaker penalty",
                lambda: ranking.LCARanker(net(alpha=1e-3)).fit(values, y),
            ),
            Followed(
                lambda: ranking.IoURanker(threshold=2.5).fit(values, two),
                'set unit="value"',
                lambda: ranking.IoURanker(threshold=0.5, unit="value").fit(values, two),
            ),
            Followed(
                lambda: ranking.ProbelessRanker(n_neurons=99).fit(values, y),
                "or for all with n_neurons=1.0",
                lambda: ranking.ProbelessRanker(n_neurons=1.0).fit(values, y).get_support().all(),
                True,
            ),
            Followed(
                lambda: ranking.ProbelessRanker().fit(values, one_class),
                "rows of another class as well",
                lambda: ranking.ProbelessRanker().fit(values, y),
            ),
        ]
    )


@pytest.mark.slow
def test_rankings_of_rankings_and_models(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    few = values[:12]
    from sklearn.feature_selection import SelectKBest, VarianceThreshold

    lca = ranking.LCARanker(probes.ElasticNetProbeClassifier(alpha=1e-2))
    follow(
        [
            Followed(
                lambda: ranking.ConsensusRanker([("v", VarianceThreshold())]).fit(values, y),
                "wrap a scikit-learn score function in SelectKBest",
                lambda: ranking.ConsensusRanker([("f", SelectKBest())]).fit(values, y),
            ),
            Followed(
                lambda: ranking.ConsensusRanker([("a", lca), ("b", lca)], weights=[1]).fit(
                    values, y
                ),
                "Pass one weight per ranker, or weights=None",
                lambda: ranking.ConsensusRanker([("a", lca), ("b", lca)], weights=None).fit(
                    values, y
                ),
            ),
            Followed(
                lambda: lca.fit(values, y).to_frame(label="X"),
                r"must be one of \['DET', 'NOUN', 'VERB'\]",
                lambda: lca.fit(values, y).to_frame(label="NOUN"),
            ),
            Followed(
                lambda: ranking.CrossModelRanker("linreg").fit(few, reference=few),
                "Use more rows, or criterion='maxcorr' or 'svcca'",
                lambda: ranking.CrossModelRanker("maxcorr").fit(few, reference=few),
            ),
            Followed(
                lambda: ranking.CrossModelRanker().fit(values[:-1], reference=values),
                "for the same words, in the same order",
                lambda: ranking.CrossModelRanker().fit(values, reference=values),
            ),
        ]
    )
