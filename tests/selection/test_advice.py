# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning about selection gets the right result."""

import pytest
from sklearn.naive_bayes import GaussianNB

from sklearn_neurox import selection
from tests.followed_advice import Followed, follow


@pytest.mark.slow
def test_selectors(example):
    words, H = example.words, example.H
    y, values = words["upos"], H.to_numpy()
    follow(
        [
            Followed(
                lambda: selection.NeuronSelector(["hidden.1.3"]).fit(values),
                "Give indices, or make X a DataFrame",
                lambda: selection.NeuronSelector(["hidden.1.3"]).fit(H).get_support(indices=True),
                [11],
            ),
            Followed(
                lambda: selection.NeuronSelector([]).fit(H),
                "keep all with neurons=None",
                lambda: selection.NeuronSelector(None).fit(H).get_support().all(),
                True,
            ),
            Followed(
                lambda: selection.LayerSelector([7]).fit(H, y),
                r"The layers present are \[0, 1, 2\]",
                lambda: selection.LayerSelector([2]).fit(H, y).get_support().sum(),
                8,
            ),
            Followed(
                lambda: selection.CorrelationClusterSelector(0.99, max_memory=1e-9).fit(H),
                "or a larger max_memory",
                lambda: selection.CorrelationClusterSelector(0.99, max_memory=1.0).fit(H),
            ),
        ]
    )


@pytest.mark.slow
def test_layers(example):
    words, H = example.words, example.H
    y, values, groups = words["upos"], H.to_numpy(), words["text"]
    follow(
        [
            Followed(
                lambda: selection.LayerSelector([1]).fit(H, y).to_frame(),
                "Fit it with layers='auto'",
                lambda: (
                    selection.LayerSelector("auto", estimator=GaussianNB())
                    .fit(H, y, groups=groups)
                    .to_frame()
                ),
            ),
            Followed(
                lambda: selection.LayerSelector("auto", estimator=GaussianNB()).fit(H, y),
                r'Pass groups=words\["text"\]',
                lambda: selection.LayerSelector("auto", estimator=GaussianNB()).fit(
                    H, y, groups=groups
                ),
            ),
            Followed(
                lambda: selection.LayerSelector([1]).fit(values, y),
                "pass the number of equal layers as n_layers=",
                lambda: selection.LayerSelector([1], n_layers=3).fit(values, y).get_support().sum(),
                8,
            ),
        ]
    )
