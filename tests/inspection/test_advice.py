# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about inspection gets the right result."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox import ablation, inspection, ranking
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_tables_and_reports(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    every = ranking.ProbelessRanker().fit(H, y)
    constant = H.assign(**{"hidden.0.0": 1.0})
    score = pd.Series(values[:, 0], name="score")
    pipe = make_pipeline(StandardScaler(), GaussianNB()).fit(values, y)
    follow(
        [
            Followed(
                lambda: inspection.top_words(H, words, [0], min_count=10**6),
                "Lower min_count",
                lambda: inspection.top_words(H, words, [0], min_count=2),
            ),
            Followed(
                lambda: inspection.top_words(constant, words, ["hidden.0.0"], min_count=2),
                "Leave these neurons out",
                lambda: inspection.top_words(constant, words, ["hidden.0.1"], min_count=2),
            ),
            Followed(
                lambda: inspection.top_words(H, words, [], min_count=2),
                "at least one neuron, or None for all",
                lambda: inspection.top_words(H, words, None, min_count=2),
            ),
            Followed(
                lambda: inspection.neuron_table(every),
                "Set the number of best neurons with n_neurons",
                lambda: inspection.neuron_table(every, n_neurons=3)["n_selected"].sum(),
                3,
            ),
            Followed(
                lambda: inspection.neuron_table(every, mass=0.5),
                "Use n_neurons instead",
                lambda: inspection.neuron_table(every, n_neurons=3)["n_selected"].sum(),
                3,
            ),
            Followed(
                lambda: inspection.neuron_table(["hidden.1.3"]),
                "names of all columns as input_features, or a mask",
                lambda: inspection.neuron_table(["hidden.1.3"], input_features=H.columns)[
                    "n_selected"
                ],
                [0, 1, 0],
            ),
            Followed(
                lambda: inspection.neuron_table(
                    ranking.ProbelessRanker(n_neurons=3).fit(values, y)
                ),
                "pass the number of equal layers as n_layers=",
                lambda: inspection.neuron_table(
                    ranking.ProbelessRanker(n_neurons=3).fit(values, y), n_layers=3
                )["n_selected"].sum(),
                3,
            ),
            Followed(
                lambda: inspection.highlight(words, pipe, [0]),
                r"Leave the probe out: pipeline\[:-1\]",
                lambda: None,
            ),
            Followed(
                lambda: inspection.highlight(words, H, ["nothing"]),
                "the first columns are",
                lambda: inspection.highlight(words, H, ["hidden.1.3"]),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, H, score, words),
                r"pandas.qcut\(y, 4\).astype\(str\)",
                lambda: inspection.NeuronReport(
                    ranking.ProbelessRanker().fit(H, pd.qcut(score, 4).astype(str)),
                    H,
                    pd.qcut(score, 4).astype(str),
                    words,
                ),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, H, y, words, probe=pipe),
                "which .* is not. For a pipeline, pass its last step",
                lambda: inspection.NeuronReport(
                    every,
                    H,
                    y,
                    words,
                    probe=make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(
                        values, y
                    )[-1],
                ),
            ),
        ]
    )


@pytest.mark.slow
def test_pictures_and_pages(example):
    words, features, H = example.words, example.features, example.H
    y, values = words["upos"], H.to_numpy()
    every = ranking.ProbelessRanker().fit(values, y)
    plain = {"groups": words["text"], "cv": 3, "n_draws": 1, "random_state": 0}
    two = ablation.ablation_table(
        H,
        y,
        probes={"a": GaussianNB(), "b": GaussianNB()},
        rankings={"r": ranking.ProbelessRanker()},
        **plain,
    )
    names = ["x"] * H.shape[1]
    overlapping = pd.DataFrame({"text": ["abc", "abc"], "start": [0, 1], "end": [2, 3]})
    picture = inspection.highlight(words, H, ["hidden.1.3"])
    pipe = make_pipeline(StandardScaler(), ranking.ProbelessRanker(), GaussianNB())

    def drawn(call):
        import matplotlib.pyplot as plt

        call()
        plt.close("all")

    follow(
        [
            Followed(
                lambda: inspection.AblationCurveDisplay.from_frame(two),
                "Keep the rows of one probe",
                lambda: drawn(
                    lambda: inspection.AblationCurveDisplay.from_frame(two[two["probe"] == "a"])
                ),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, values, y, words, input_features=names),
                "Pass distinct names as input_features",
                lambda: inspection.NeuronReport(every, values, y, words, input_features=H.columns),
            ),
            Followed(
                lambda: inspection.NeuronReport(every, values, y, words[["word"]]),
                "Create it with words_frame or read_conllu",
                lambda: inspection.NeuronReport(every, values, y, words),
            ),
            Followed(
                lambda: inspection.highlight(overlapping, np.ones((2, 1)), [0]),
                "Keep one of these rows",
                lambda: inspection.highlight(overlapping[:1], np.ones((1, 1)), [0]),
            ),
            Followed(
                lambda: picture.to_svg(width=0.2),
                "Increase the width or decrease the font size",
                lambda: picture.to_svg(width=6),
            ),
            Followed(
                lambda: inspection.NeuronReport.from_pipeline(
                    make_pipeline(features, GaussianNB()).fit(words, y), words, y
                ),
                r"needs a pipeline with a ranker, such as LCARanker\(\)",
                lambda: inspection.NeuronReport.from_pipeline(
                    make_pipeline(features, *pipe).fit(words, y), words, y
                ),
            ),
            Followed(
                lambda: inspection.LayerProfileDisplay.from_frame(
                    pd.DataFrame({"layer": [1, 1], "score": [0.1, 0.2]})
                ),
                "Aggregate the frame first",
                lambda: drawn(
                    lambda: inspection.LayerProfileDisplay.from_frame(
                        pd.DataFrame({"layer": [1, 1], "score": [0.1, 0.2]})
                        .groupby("layer", as_index=False)
                        .mean()
                    )
                ),
            ),
        ]
    )
