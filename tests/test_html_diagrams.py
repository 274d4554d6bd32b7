# SPDX-License-Identifier: BSD-3-Clause
"""The HTML display of estimators in notebooks shows every step, fitted or not."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_neurox import ActivationExtractor, LCARanker, SubwordAggregator
from sklearn_neurox.probes import ElasticNetProbeClassifier
from tests.instances import numeric_estimators

pytestmark = pytest.mark.slow


def test_every_step_is_in_the_diagram(monkeypatch):
    monkeypatch.delenv("SKLEARN_NEUROX_DOCS", raising=False)
    for estimator in numeric_estimators():
        steps = [ActivationExtractor("model", layers=[0, 3]), SubwordAggregator("mean")]
        names = {type(step).__name__ for step in [*steps, estimator]}
        html = make_pipeline(*steps, clone(estimator))._repr_html_()
        text = re.sub("<[^>]*>", " ", html)
        assert names <= set(text.split())
        # The documentation of scikit-learn does not describe these steps.
        assert not re.search(r'href="https?://[^"]*sklearn_neurox', html)


def test_a_fitted_estimator_says_so():
    X, y = np.eye(6), np.array(["a", "b"] * 3)
    ranker = LCARanker(ElasticNetProbeClassifier())
    assert "Not fitted" in ranker._repr_html_()
    fitted = ranker.fit(X, y)._repr_html_()
    assert "Not fitted" not in fitted and "ElasticNetProbeClassifier" in fitted
