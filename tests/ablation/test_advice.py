# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about ablation gets the right result."""

import numpy as np
import pytest
import sklearn
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from sklearn_neurox import ablation, ranking
from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_curves(example):
    words, H = example.words, example.H
    y, groups = words["upos"], words["text"]
    values, probe = H.to_numpy(), GaussianNB()
    follow(
        [
            Followed(
                lambda: ablation_curve(probe, H, y, groups=groups, cv=3, n_draws=1, random_state=0),
                r"ranker=ProbelessRanker\(\)",
                lambda: ablation_curve(
                    probe,
                    H,
                    y,
                    groups=groups,
                    cv=3,
                    n_draws=1,
                    random_state=0,
                    ranker=ranking.ProbelessRanker(),
                ),
            ),
            Followed(
                lambda: ablation_curve(
                    FrozenEstimator(
                        GridSearchCV(LogisticRegression(max_iter=5000), {"C": [1.0]}, cv=2).fit(
                            values, y
                        )
                    ),
                    values,
                    y,
                    groups=groups,
                    cv=3,
                    n_draws=1,
                    random_state=0,
                ),
                "pass its best_estimator_ instead",
                lambda: ablation_curve(
                    GridSearchCV(LogisticRegression(max_iter=5000), {"C": [1.0]}, cv=2)
                    .fit(values, y)
                    .best_estimator_,
                    values,
                    y,
                    groups=groups,
                    cv=3,
                    n_draws=1,
                    random_state=0,
                ),
            ),
            Followed(
                lambda: ablation_curve(
                    probe, H, y, cv=3, n_draws=1, random_state=0, ranker=ranking.ProbelessRanker()
                ),
                r'Pass groups=words\["text"\]',
                lambda: ablation_curve(
                    probe,
                    H,
                    y,
                    groups=words["text"],
                    cv=3,
                    n_draws=1,
                    random_state=0,
                    ranker=ranking.ProbelessRanker(),
                ),
            ),
        ]
    )


@pytest.mark.slow
def test_weighted_curves(example):
    words, H = example.words, example.H
    y, groups = words["upos"], words["text"]
    weights = np.ones(len(y))
    follow(
        [
            Followed(
                lambda: ablation_curve_weights(weights, H, y, groups),
                r"call set_fit_request\(sample_weight=True\) on the inner",
                lambda: ablation_curve_weights(weights, H, y, groups, routed=True),
            ),
        ]
    )


def ablation_curve_weights(weights, H, y, groups, *, routed=False):
    """Score a weighted search, which takes weights only if they are routed to its probe."""
    options = {"groups": groups, "cv": 3, "n_draws": 1, "random_state": 0, "fractions": [0.5]}
    options |= {"ranker": ranking.ProbelessRanker(), "sample_weight": weights}
    with sklearn.config_context(enable_metadata_routing=routed):
        probe = GaussianNB().set_fit_request(sample_weight=True) if routed else GaussianNB()
        if routed:
            probe.set_score_request(sample_weight=True)
        return ablation_curve(GridSearchCV(probe, {}, cv=2), H, y, **options)


@pytest.mark.slow
def test_names_of_neurons(example):
    H = example.H
    values = H.to_numpy()
    follow(
        [
            Followed(
                lambda: ablation.NeuronAblator(["hidden.1.3"]).fit(values),
                "Give indices, or make X a DataFrame",
                lambda: ablation.NeuronAblator(["hidden.1.3"]).fit(H).get_support().sum(),
                len(H.columns) - 1,
            ),
        ]
    )


@pytest.mark.slow
def test_fills(example):
    H = example.H
    values = H.to_numpy()
    follow(
        [
            Followed(
                lambda: (
                    ablation.NeuronAblator([0], fill=1e9)
                    .fit(values.astype(np.float16))
                    .transform(values.astype(np.float16))
                ),
                "Use a smaller number or a wider dtype",
                lambda: ablation.NeuronAblator([0], fill=1e9).fit(values).transform(values),
            ),
        ]
    )


@pytest.mark.slow
def test_models_that_are_changed_while_they_run(example):
    words = example.words
    from transformers import AutoModelForCausalLM

    gpt = make_tiny_model("gpt2", n_layers=1, hidden_size=8, random_state=0)
    own = words[words["position"] > 0]
    options = {"positive": "NOUN", "steps": [2], "n_draws": 1, "random_state": 0}
    neurons = [f"hidden.1.{unit}" for unit in range(4)]

    def effect(model=gpt, rows=own, names=neurons, **changed):
        forget_passes()
        return ablation.causal_effect(model, rows, rows["upos"], names, **options | changed)

    live = AutoModelForCausalLM.from_pretrained(gpt)
    follow(
        [
            Followed(
                lambda: effect(ActivationExtractor(gpt), max_length=9),
                "Set it on the extractor with set_params, and omit it here",
                lambda: effect(ActivationExtractor(gpt).set_params(max_length=9)),
            ),
            Followed(
                lambda: effect(ActivationExtractor(gpt, weights="random")),
                "Use weights='pretrained'",
                lambda: effect(ActivationExtractor(gpt, weights="pretrained")),
            ),
            Followed(
                lambda: effect(live.base_model, tokenizer=_tokenizer(gpt)),
                "Load it with transformers.AutoModelForCausalLM",
                lambda: effect(live, tokenizer=_tokenizer(gpt)),
            ),
            Followed(
                lambda: effect(positive="X"),
                r"The labels are \[.*'NOUN'",
                lambda: effect(positive="NOUN"),
            ),
            Followed(lambda: effect(steps=[9]), "lists only 4", lambda: effect(steps=[4])),
            Followed(
                lambda: effect(fill="mean"),
                "needs ",
                lambda: effect(fill="mean", values=np.zeros(4)),
            ),
            Followed(lambda: effect(values=np.zeros(4)), "Omit them", lambda: effect()),
            Followed(
                lambda: effect(rows=own[["text", "upos"]]),
                "with the columns 'text', 'start' and 'end'",
                lambda: effect(rows=own[["text", "start", "end", "upos"]]),
            ),
        ]
    )


def _tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
