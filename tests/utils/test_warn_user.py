# SPDX-License-Identifier: BSD-3-Clause
"""Every warning points at the line of user code that caused it, whatever the call path."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

import sklearn_neurox
from sklearn_neurox import ablation_curve
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.evaluation import (
    baseline_table,
    layer_profile,
    leakage_report,
    online_codelength,
    pwcca,
    selectivity_score,
    svcca,
)
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.inspection import (
    AblationCurveDisplay,
    LayerProfileDisplay,
    NeuronReport,
    highlight,
    top_words,
)
from sklearn_neurox.inspection._report import _neuron_report
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import GaussianRanker, LCARanker, ProbelessRanker
from sklearn_neurox.selection import LayerSelector
from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.words import words_frame

rng = np.random.default_rng(0)
y = np.tile([0, 1], 30)
X = rng.normal(size=(60, 6)) + y[:, np.newaxis]
WITH_CONSTANT = np.column_stack([X, np.ones(60)])
GROUPS = np.repeat(np.arange(12), 5)
WORDS = words_frame([[f"w{i}" for i in range(5)] for _ in range(12)])
DISTINCT = words_frame([["one"], ["two"]])
OTHER_WAY = [(np.arange(1, 60), np.arange(0, 60))]
PROBE = LogisticRegression()
TOO_STRONG = ElasticNetProbeClassifier(alpha=100.0, standardize=True)
SPARSE = ElasticNetProbeClassifier(alpha=0.2, l1_ratio=0.9, standardize=True)


@pytest.fixture(scope="module")
def reader():
    tiny = make_tiny_model("bert", n_layers=1, hidden_size=8)
    return make_pipeline(ActivationExtractor(tiny, missing="zero"), SubwordAggregator())


CALLS = {
    "selectivity_score": lambda: selectivity_score(PROBE, X, y, y, cv=3),
    "leakage_report, no groups": lambda: leakage_report(DISTINCT, cv=2),
    "leakage_report, leaks": lambda: leakage_report(WORDS, KFold(3)),
    "online_codelength": lambda: online_codelength(PROBE, X, y, fractions=[0.5, 1.0]),
    "baseline_table, no groups": lambda: baseline_table(WORDS, y, cv=3),
    "baseline_table, groups": lambda: baseline_table(WORDS, y, groups=GROUPS, cv=OTHER_WAY),
    "layer_profile": lambda: layer_profile(PROBE, X, y, n_layers=2, groups=GROUPS, cv=OTHER_WAY),
    "layer_profile, in its fits": lambda: layer_profile(
        TOO_STRONG, X, y, n_layers=1, groups=GROUPS, cv=2
    ),
    "svcca": lambda: svcca(X[:8], X[:8]),
    "pwcca": lambda: pwcca(X[:8], X[:8]),
    "top_words": lambda: top_words(WITH_CONSTANT, WORDS, min_count=1),
    "LayerProfileDisplay": lambda: LayerProfileDisplay.from_estimator(
        PROBE, X, y, n_layers=2, groups=GROUPS, cv=OTHER_WAY
    ),
    "ablation_curve": lambda: ablation_curve(PROBE, X, y, fractions=[0.5], n_draws=1, cv=2),
    "AblationCurveDisplay": lambda: AblationCurveDisplay.from_estimator(
        PROBE, X, y, fractions=[0.5], n_draws=1, cv=2
    ),
    "a probe": lambda: TOO_STRONG.fit(X, y),
    "a probe in a pipeline": lambda: make_pipeline(ProbelessRanker(), TOO_STRONG).fit(X, y),
    "a probe in folds": lambda: cross_val_score(TOO_STRONG, X, y, cv=2),
    "a ranker": lambda: LCARanker(SPARSE, which="bottom", n_neurons=1).fit(WITH_CONSTANT, y),
    "a ranker that holds out": lambda: GaussianRanker().fit(X, y),
    "a selector": lambda: LayerSelector("auto", estimator=PROBE, n_layers=2).fit(X, y),
}


@pytest.mark.parametrize("name", CALLS)
def test_warnings_point_at_the_call(name):
    call = CALLS[name]
    if "Display" in name:
        pytest.importorskip("matplotlib").use("Agg")
    with pytest.warns(UserWarning) as caught:
        call()
    first = call.__code__.co_firstlineno
    lines = {(warning.filename, warning.lineno - first in (0, 1)) for warning in caught}
    assert lines == {(__file__, True)}


def test_warnings_of_the_report_and_of_the_model_point_at_the_call(reader, monkeypatch):
    monkeypatch.setattr(_neuron_report, "_LARGE_BYTES", 10)
    ranker = ProbelessRanker().fit(X, y)
    with pytest.warns(UserWarning, match="The report takes") as caught:
        NeuronReport(ranker, X, y, WORDS)
    assert caught[0].filename == __file__
    unseen = words_frame([["a", "\u200b", "b"]])
    with pytest.warns(UserWarning, match="drops all characters") as caught:
        reader.fit_transform(unseen)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="drops all characters") as caught:
        highlight(unseen, reader, ["hidden.1.0"])
    assert caught[0].filename == __file__


def test_no_other_warning_is_raised():
    package = Path(sklearn_neurox.__file__).parent
    raised = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "warnings.warn(" in path.read_text(encoding="utf-8")
    ]
    assert raised == ["utils/_warn_user.py"]


def test_without_a_line_of_the_user_the_outermost_one_is_used(monkeypatch):
    monkeypatch.setattr("sklearn_neurox.utils._warn_user._is_between", lambda frame: True)
    with pytest.warns(UserWarning, match="here"):
        warn_user("here")
