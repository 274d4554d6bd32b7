# SPDX-License-Identifier: BSD-3-Clause
"""Probes that are fitted to rank their weights are solved more closely than others."""

from argparse import Namespace

import numpy as np
import pytest

from sklearn_neurox.cli._probing import make_probe
from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import LCARanker, ProbelessRanker
from sklearn_neurox.selection import LayerSelector, MinimalNeuronSelector


def planted():
    return make_planted_neurons(300, 12, n_layers=2, effect=1.0, random_state=0)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_a_ranker_fits_its_own_probe_closely(kind):
    data = planted()
    y = data.y if kind == "classes" else data.X[:, 0] + 0.5 * data.X[:, 1]
    assert LCARanker().fit(data.X, y).estimator_.tol == 1e-5


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_units_of_neurons_do_not_matter_to_the_default_probe(kind):
    data = planted()
    y = data.y if kind == "classes" else data.X[:, 0] + 0.5 * data.X[:, 1]
    units = np.exp2(np.random.RandomState(0).randint(-9, 9, size=data.X.shape[1]))
    expected = LCARanker().fit(data.X, y)
    scaled = LCARanker().fit(data.X * units, y)
    np.testing.assert_array_equal(scaled.order_, expected.order_)
    coef = scaled.estimator_.coef_ * units
    np.testing.assert_allclose(coef, expected.estimator_.coef_, rtol=0, atol=0.01)


def test_a_given_probe_keeps_its_tolerance():
    data = planted()
    probe = ElasticNetProbeClassifier(tol=1e-2, random_state=0)
    assert LCARanker(probe).fit(data.X, data.y).estimator_.tol == 1e-2


def test_the_probe_of_the_commands_is_ranked_too():
    assert make_probe(Namespace(alpha=0.01, l1_ratio=0.5)).tol == 1e-5


@pytest.mark.slow
def test_selectors_do_so_only_if_they_rank_by_its_weights():
    data = planted()
    options = {"cv": [(np.arange(200), np.arange(200, 300))]}
    ranked = MinimalNeuronSelector(sizes=[4], **options).fit(data.X, data.y)
    assert ranked.ranker_.estimator_.tol == 1e-5
    fitted = []
    fit = ElasticNetProbeClassifier.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ElasticNetProbeClassifier,
            "fit",
            lambda self, *args, **kwargs: fitted.append(self.tol) or fit(self, *args, **kwargs),
        )
        MinimalNeuronSelector(ranker=ProbelessRanker(), sizes=[4], **options).fit(data.X, data.y)
        LayerSelector("auto", n_layers=2, **options).fit(data.X, data.y)
    assert set(fitted) == {1e-3}
