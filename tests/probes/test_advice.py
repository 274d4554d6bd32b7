# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about probes gets the right result."""

import re

import numpy as np
import pytest

from sklearn_neurox import probes
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_elastic_nets(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    net = probes.ElasticNetProbeClassifier
    two = y.where(y == "NOUN", "other")
    separable = np.where(two == "NOUN", 1.0, -1.0)[:, np.newaxis]
    huge = net(alpha=1e9).set_params(max_iter=50)
    gaussian = probes.GaussianProbeClassifier
    follow(
        [
            Followed(
                lambda: net(alpha=0, max_iter=2000).fit(separable, two),
                "Set alpha above zero",
                lambda: net(alpha=1e-3).fit(separable, two),
            ),
            Followed(
                lambda: huge.fit(values, y),
                "All coefficients are zero",
                lambda: net(alpha=1e-3).fit(values, y),
            ),
            Followed(
                lambda: net(alpha=1e-6, max_iter=1).fit(values, y),
                "Increase max_iter, .*or increase alpha",
                lambda: net(alpha=1e-2, max_iter=2000).fit(values, y),
            ),
            Followed(
                lambda: net(class_weight="balanced").partial_fit(values, y, classes=np.unique(y)),
                "Pass the weights as a dict, or use sample_weight",
                lambda: net(class_weight=dict.fromkeys(np.unique(y), 1.0)).partial_fit(
                    values, y, classes=np.unique(y)
                ),
            ),
            Followed(
                lambda: net().partial_fit(values, y, classes=["DET", "NOUN"]),
                "set classes to all labels that can occur",
                lambda: net().partial_fit(values, y, classes=np.unique(y)),
            ),
            Followed(
                lambda: net(solver="newton").fit(values, y),
                "Use solver='auto'",
                lambda: net(solver="auto", alpha=1e-2).fit(values, y),
            ),
            Followed(
                lambda: probes.ElasticNetProbeRegressor().fit(values, y),
                "For labels, use ElasticNetProbeClassifier",
                lambda: net(alpha=1e-2).fit(values, y),
            ),
            Followed(
                lambda: probes.ElasticNetProbeClassifierCV(alphas=3, cv=3).fit(values, y),
                r'Pass groups=words\["text"\]',
                lambda: probes.ElasticNetProbeClassifierCV(alphas=2, cv=3).fit(
                    values, y, groups=words["text"]
                ),
            ),
            Followed(
                lambda: gaussian(max_memory=1e-9, candidates=None).fit(values, y),
                "increase max_memory",
                lambda: gaussian(max_memory=1.0).fit(values, y),
            ),
        ]
    )


@pytest.mark.slow
def test_gaussian_probes(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    gaussian = probes.GaussianProbeClassifier
    fitted = gaussian(candidates=[0, 1]).fit(values, y)
    n = len(y)
    too_large = []

    def limited(**options):
        return gaussian(max_memory=1e-6, **options).fit(values, y)

    def at_the_limit():
        with pytest.raises(ValueError, match="Set candidates=") as caught:
            limited()
        most = int(re.search(r"Set candidates=(\d+)", str(caught.value))[1])
        too_large.append(most)
        return len(limited(candidates=most).candidates_)

    half = np.arange(n) < n // 2
    unseen = y.where(half, "OTHER")
    follow(
        [
            Followed(limited, r"Set candidates=\d+ or less", at_the_limit),
            Followed(
                lambda: fitted.subset([5]),
                "Add it to candidates and fit again",
                lambda: gaussian(candidates=[0, 1, 5]).fit(values, y).subset([5]),
            ),
            Followed(
                lambda: fitted.mutual_information(values, unseen),
                "Drop these rows",
                lambda: fitted.mutual_information(values[half], unseen[half]),
            ),
            Followed(
                lambda: gaussian(priors=[0.5, 0.5]).fit(values, y),
                "Give one probability per class",
                lambda: gaussian(priors=[0.5, 0.25, 0.25]).fit(values, y),
            ),
        ]
    )
