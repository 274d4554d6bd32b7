# SPDX-License-Identifier: BSD-3-Clause
"""Activations are often an array without an index; labels, groups, weights and words have one."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ablation import ablation_curve, ablation_table, erasure_table
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    attention_head_table,
    baseline_table,
    distance_spearman_score,
    layer_profile,
    leakage_report,
    online_codelength,
    pareto_curve,
    selectivity_score,
    sparse_probing_curve,
    uuas_score,
    v_information,
)
from sklearn_neurox.inspection import NeuronReport, neuron_summary, predictions_frame
from sklearn_neurox.ranking import CrossModelRanker, ProbelessRanker
from sklearn_neurox.words import pair_frame, words_frame
from tests.instances import numeric_estimators

RNG = np.random.default_rng(0)
N = 48
ORDER = RNG.permutation(N)
X = RNG.normal(size=(N, 4))
Y = pd.Series(np.where(X[:, 0] > 0, "a", "b"))
TEXTS = pd.Series(np.repeat(range(12), 4))
WEIGHT = pd.Series(RNG.uniform(0.5, 2, N))
WORDS = words_frame([[f"w{4 * i + j}" for j in range(4)] for i in range(12)])
PROBE, RANKER = LogisticRegression(), ProbelessRanker().fit(X, Y)
ONCE = {"cv": 2, "groups": TEXTS}
SLOW = {
    "ablation_curve": lambda y, **rows: ablation_curve(
        PROBE, X, y, ranker=ProbelessRanker(), fractions=[1], n_draws=0, **ONCE | rows
    ),
    "ablation_table": lambda y, **rows: ablation_table(
        X,
        y,
        rankings={"p": ProbelessRanker()},
        probes={"p": PROBE},
        fractions=[1],
        n_draws=0,
        **ONCE | rows,
    ),
    "pareto_curve": lambda y, **rows: pareto_curve(X, y, alphas=0.1, **ONCE | rows),
    "sparse_probing_curve": lambda y, **rows: sparse_probing_curve(
        X, y, n_neurons=1, estimator=PROBE, rankers=ProbelessRanker(), **ONCE | rows
    ),
}
FUNCTIONS = {
    "baseline_table": lambda y, **rows: baseline_table(
        WORDS["word"].tolist(), y, baselines=["majority"], **ONCE | rows
    ),
    "erasure_table": lambda y, others=None, **rows: erasure_table(
        X, y, others, probe=PROBE, n_draws=0, **ONCE | rows
    ),
    "layer_profile": lambda y, **rows: layer_profile(PROBE, X, y, n_layers=1, **ONCE | rows),
    "leakage_report": lambda y, **rows: leakage_report(
        WORDS.set_axis([f"row {i}" for i in range(N)]), y=y, **ONCE | rows
    ),
    "neuron_summary": lambda y, words=WORDS: neuron_summary(RANKER, X, y, words=words, min_count=1),
    "NeuronReport": lambda y, words=WORDS: NeuronReport(RANKER, X, y, words),
    "online_codelength": lambda y, **rows: online_codelength(
        PROBE, X, y, fractions=[0.5, 1.0], **{"groups": TEXTS} | rows
    ),
    "predictions_frame": lambda y, words=WORDS: predictions_frame(PROBE.fit(X, Y), X, words, y),
    "selectivity_score": lambda y, **rows: selectivity_score(
        PROBE, X, y, n_draws=1, **ONCE | {"types": WORDS["word"]} | rows
    ),
    "v_information": lambda y, **rows: v_information(PROBE, X, y, **ONCE | rows),
    **SLOW,
}
BESIDE = {
    "groups": TEXTS,
    "types": WORDS["word"],
    "words": WORDS,
    "baseline": pd.DataFrame(X[:, :1], columns=["known"]),
    "others": Y.map({"a": "c", "b": "d"}),
    "sample_weight": WEIGHT,
}
TAKES = {
    "ablation_curve": ["sample_weight"],
    "ablation_table": ["sample_weight"],
    "erasure_table": ["others"],
    "neuron_summary": ["words"],
    "NeuronReport": ["words"],
    "predictions_frame": ["words"],
    "selectivity_score": ["types"],
    "v_information": ["baseline"],
}


def _said(function, *arguments, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments, **parameters)
    return sum("paired by position" in str(warning.message) for warning in caught)


def _function_calls():
    """Yield calls with one parameter in another order than all others, and calls in order."""
    for name, function in FUNCTIONS.items():
        given = TAKES.get(name, [])
        given = given if "words" in given else ["groups", *given]
        rows = {"y": Y} | {one: BESIDE[one] for one in given}
        yield f"{name}, in order", 0, function, rows
        for one in rows:
            yield f"{name}, {one}", 1, function, rows | {one: rows[one].iloc[ORDER]}


@pytest.mark.slow
def test_functions_compare_all_rows_with_each_other():
    calls = {
        name: (_said(function, **rows), said) for name, said, function, rows in _function_calls()
    }
    assert not {name: said for name, said in calls.items() if said[0] != said[1]}


def test_pairs_and_their_distances_are_compared_with_all():
    words = words_frame([["a", "b", "c", "d", "e"]] * 3, {"head": [[2, 3, 0, 3, 4]] * 3})
    both = pair_frame(words, heads="head", negatives="all")
    pairs = both[both["distance"] > 0].reset_index(drop=True)
    rows = {"y_true": pairs["tree_distance"] * 1.0, "y_pred": pairs["distance"] * 1.0}
    rows["ignore"] = pairs["word"] == "nothing"
    order = np.arange(len(pairs))[::-1]
    for score, names in ((uuas_score, 3), (distance_spearman_score, 2)):
        options = {} if names == 3 else {"lengths": (3, 9)}
        given = dict(list(rows.items())[:names])
        assert _said(score, **given, pairs=pairs, **options) == 0
        for one in given:
            moved = given | {one: given[one].iloc[order]}
            assert _said(score, **moved, pairs=pairs, **options) == 1
            assert _said(score, **moved, pairs=pairs.set_axis(pairs.index + 100), **options) == 1
    weights = RNG.uniform(size=(len(both), 2))
    groups, options = both["sentence_id"], {"cv": 2, "min_count": 1}
    assert _said(attention_head_table, weights, both, groups=groups, **options) == 0
    order = np.lexsort([both["start"], both["other_start"], groups])  # in the same sentences
    assert _said(attention_head_table, weights, both.iloc[order], groups=groups, **options) == 1


def _estimators():
    """Yield the estimators that take several rows, and these."""
    for estimator in numeric_estimators():
        if type(estimator).__name__.startswith("_"):
            estimator = OF_CHECKS[type(estimator).__base__]
        name = type(estimator).__name__
        takes = set(inspect.signature(type(estimator).fit).parameters) - IGNORED.get(name, set())
        of_numbers = name.endswith(("Regressor", "RegressorCV", "StructuralProbe"))
        possible = {
            "y": pd.Series(X[:, 0] ** 2) if of_numbers else Y,
            "concept": Y,
            "groups": TEXTS,
            "sample_weight": WEIGHT,
            "control_y": BESIDE["others"],
            "reference": pd.DataFrame(X[:, 1:]).add_prefix("r"),
        }
        rows = {one: values for one, values in possible.items() if one in takes}
        if len(rows) > 1:
            yield estimator, rows


OF_CHECKS = {
    CrossModelRanker: CrossModelRanker(),
    ControlTaskClassifier: ControlTaskClassifier(LogisticRegression()),
}
IGNORED = {
    name: {"y"}
    for name in ("ConceptEraser", "CorrelationClusterSelector", "CrossModelRanker", "NeuronAblator")
}


@pytest.mark.slow
def test_estimators_compare_all_rows_with_each_other():
    said = {}
    for estimator, rows in _estimators():
        name = type(estimator).__name__
        if name == "LayerSelector" and estimator.layers != "auto":
            continue  # does not use y and groups
        for moved in (None, *rows):
            if (name, moved) not in said:
                parts = {one: rows[one].iloc[ORDER] if one == moved else rows[one] for one in rows}
                said[name, moved] = _said(clone(estimator).fit, X, **parts)
    assert not {key for key, count in said.items() if bool(count) != (key[1] is not None)}
    assert len(said) > 50
