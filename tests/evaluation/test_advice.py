# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about evaluation gets the right result."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklearn_neurox import evaluation, probes, ranking
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_evaluation(example):
    words, H = example.words, example.H
    y, groups = words["upos"], words["text"]
    values, probe = H.to_numpy(), GaussianNB()
    layer_profile, options = evaluation.layer_profile, {"cv": 3}
    control = evaluation.control_labels(words, y)
    task = evaluation.ControlTaskClassifier(probe)
    folds = GroupKFold(3)
    twice = pd.concat([words, words], ignore_index=True)
    half = np.arange(len(twice)) % 2 == 0
    code = {"fractions": [0.3, 1.0], "random_state": 0}

    def routed(call):
        with sklearn.config_context(enable_metadata_routing=True):
            return call()

    def requested():
        return evaluation.ControlTaskClassifier(probe).set_fit_request(control_y=True)

    def scored():
        return cross_validate(
            requested(),
            values,
            y,
            cv=3,
            scoring=evaluation.SelectivityScorer().set_score_request(control_y=True),
            params={"control_y": control},
            error_score="raise",
        )["test_score"].shape

    follow(
        [
            Followed(
                lambda: layer_profile(probe, values, y, groups=groups, **options),
                "pass the number of equal layers as n_layers=",
                lambda: layer_profile(probe, values, y, groups=groups, n_layers=3, **options)[
                    "score"
                ],
                layer_profile(probe, H, y, groups=groups, **options)["score"],
            ),
            Followed(
                lambda: layer_profile(
                    probe,
                    H,
                    y,
                    groups=np.arange(len(H)) < 60,
                    cv=[(np.arange(60), np.arange(60, len(H)))],
                ),
                r'groups=words\["text"\]',
                lambda: layer_profile(probe, H, y, groups=groups, **options),
            ),
            Followed(
                lambda: evaluation.online_codelength(probe, values, y, **code),
                r'Pass groups=words\["text"\]',
                lambda: evaluation.online_codelength(probe, values, y, groups=groups, **code),
            ),
            Followed(
                lambda: evaluation.online_codelength(LinearSVC(), values, y, groups=groups, **code),
                "wrap this one in CalibratedClassifierCV",
                lambda: evaluation.online_codelength(
                    CalibratedClassifierCV(LinearSVC(), cv=2), values, y, groups=groups, **code
                ),
            ),
            Followed(
                lambda: evaluation.leakage_report(
                    twice, cv=[(np.flatnonzero(half), np.flatnonzero(~half))]
                ),
                r'groups=words\["text"\] and GroupKFold',
                lambda: evaluation.leakage_report(twice, cv=folds, groups=twice["text"])[
                    "n_shared_texts"
                ],
                [0, 0, 0],
            ),
            Followed(
                lambda: task.fit(values, y),
                r"fit\(X, y, control_y=control_labels\(words, y\)\)",
                lambda: task.fit(values, y, control_y=evaluation.control_labels(words, y)),
            ),
            Followed(
                lambda: cross_validate(task, values, y, cv=3, error_score="raise"),
                r"call set_fit_request\(control_y=True\) on it",
                lambda: (
                    routed(
                        lambda: cross_validate(
                            requested(),
                            values,
                            y,
                            cv=3,
                            params={"control_y": control},
                            error_score="raise",
                        )
                    )["test_score"].shape
                ),
                (3,),
            ),
            Followed(
                lambda: evaluation.SelectivityScorer()(
                    task.fit(values, y, control_y=control), values, y
                ),
                r"params=\{'control_y': ...\} of cross_validate",
                lambda: routed(scored),
                (3,),
            ),
            Followed(
                lambda: evaluation.SelectivityScorer()(probe.fit(values, y), values, y),
                r"ControlTaskClassifier\(make_pipeline\(...\)\)",
                lambda: evaluation.SelectivityScorer()(
                    evaluation.ControlTaskClassifier(make_pipeline(StandardScaler(), probe)).fit(
                        values, y, control_y=control
                    ),
                    values,
                    y,
                    control_y=control,
                ),
            ),
            Followed(
                lambda: evaluation.control_labels(words[["upos"]], y),
                "Pass the column to use instead of the frame",
                lambda: evaluation.control_labels(words["upos"], y).shape,
                (len(words),),
            ),
            Followed(
                lambda: evaluation.cka(values, values[:-1]),
                "Pass the same words to both",
                lambda: evaluation.cka(values, values) > 0.99,
                True,
            ),
            Followed(
                lambda: evaluation.baseline_table(
                    words, y, groups=groups, cv=3, baselines=["probe"]
                ),
                "It needs an estimator",
                lambda: evaluation.baseline_table(
                    words, y, estimator=probe, X=H, groups=groups, cv=3, baselines=["probe"]
                )["name"],
                ["probe"],
            ),
        ]
    )


@pytest.mark.slow
def test_comparisons_of_models_and_rankings(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    rng = np.random.default_rng(0)
    lca = ranking.LCARanker(probes.ElasticNetProbeClassifier(alpha=1e-2))
    follow(
        [
            Followed(
                lambda: evaluation.svcca(rng.normal(size=(12, 9)), rng.normal(size=(12, 9))),
                "Use more rows, or a smaller 'variance'",
                lambda: evaluation.svcca(rng.normal(size=(90, 9)), rng.normal(size=(90, 9))),
            ),
            Followed(
                lambda: evaluation.ranking_agreement({"a": lca.fit(values, y), "b": [0, 1]}),
                "contains each neuron index from 0 exactly once|the same neurons",
                lambda: evaluation.ranking_agreement({"a": lca.fit(values, y), "b": range(24)}),
            ),
        ]
    )
