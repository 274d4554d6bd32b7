# SPDX-License-Identifier: BSD-3-Clause
"""The order of neurons, from whatever attribute a fitted ranker or selector has."""

from argparse import Namespace

import numpy as np
import pytest

from sklearn_neurox.ranking._order import neuron_order


def test_the_best_neuron_comes_first():
    scores = np.array([0.5, -1.0, np.nan, 2.0, 0.5, np.inf])
    for ranker, expected in (
        (Namespace(order_=[2, 0, 1], scores_=[9.0, 1, 1]), [2, 0, 1]),
        (Namespace(scores_=scores), [5, 3, 0, 4, 1, 2]),
        (Namespace(scores_=[1, 3, 2]), [1, 2, 0]),
        (Namespace(ranking_=np.array([3, 1, 1, 2])), [1, 2, 3, 0]),
    ):
        assert list(neuron_order(ranker)) == expected
    with pytest.raises(ValueError, match="Namespace does not rank neurons"):
        neuron_order(Namespace(coef_=[1]))
