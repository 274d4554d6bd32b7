# SPDX-License-Identifier: BSD-3-Clause
"""An int is a count and a float a fraction, in every parameter that takes both."""

from importlib import import_module
from numbers import Integral

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import Interval, make_constraint

from sklearn_neurox.ablation import ablation_curve, ablation_table
from sklearn_neurox.evaluation import online_codelength, ranking_agreement
from sklearn_neurox.inspection import NeuronDistributionDisplay, neuron_table
from sklearn_neurox.probes import GaussianProbeClassifier
from sklearn_neurox.ranking import GaussianRanker, ProbelessRanker
from sklearn_neurox.selection import MinimalNeuronSelector
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS

PACKAGES = ("ablation", "evaluation", "inspection", "probes", "ranking", "selection")
RULE = [str(one) for one in COUNT_CONSTRAINTS[:2]]
RNG = np.random.RandomState(0)
X, Y, GROUPS = RNG.randn(80, 20), np.tile([0, 1], 40), np.arange(80) // 2
PROBE, RANKER = LogisticRegression(), ProbelessRanker().fit(X, Y)
ORDERS = {"a": RANKER.order_, "b": RANKER.order_[::-1]}


def _in_curve(number):
    options = {"n_draws": 1, "groups": GROUPS, "cv": 2, "retrain": False, "random_state": 0}
    curve = ablation_curve(PROBE, X, Y, fractions=number, **options)
    table = ablation_table(
        X, Y, probes=[PROBE], rankings=[ProbelessRanker()], fractions=number, **options
    )
    kept = {int(n) for part in (curve, table) for n in part[part["which"] == "top"]["n_neurons"]}
    (one,) = kept
    number = np.ravel(number)[0] if np.ndim(number) else number
    share = one / 20 if isinstance(number, Integral) else number
    assert set(curve[curve["which"] == "top"]["fraction"]) == {share}
    return one


def _in_sizes(number):
    # A constant probe scores on any neurons as it does on all, so that the first size is kept.
    probe = DummyClassifier()
    selector = MinimalNeuronSelector(probe, ranker=ProbelessRanker(), sizes=number, cv=2)
    return selector.fit(X, Y, groups=GROUPS).n_neurons_


def _in_agreement(number):
    (column,) = [c for c in ranking_agreement(ORDERS, k=number) if c.startswith("jaccard")]
    return int(column.split("@")[1])


def _in_ranker(number):
    return int(ProbelessRanker(n_neurons=number).fit(X, Y).get_support().sum())


def _in_table(number):
    return int(neuron_table(RANKER, by="layer", n_layers=4, n_neurons=number)["n_selected"].sum())


def _in_candidates(number):
    probe = GaussianProbeClassifier(candidates=number).fit(X, Y)
    ranker = GaussianRanker(candidates=number, max_neurons=1).fit(X, Y, groups=GROUPS)
    assert len(probe.candidates_) == len(ranker.candidates_)
    return len(probe.candidates_)


def _in_steps(number):
    from sklearn_neurox.ablation._causal._choices import check_steps

    (count,) = check_steps([number], 20)
    return count


SINGLE = {"n_neurons": _in_ranker, "table": _in_table, "candidates": _in_candidates}
LISTS = {"fractions": _in_curve, "sizes": _in_sizes, "k": _in_agreement}
RIGHT = [
    (1, 1), (np.int64(1), 1), (np.uint8(3), 3), (20, 20),
    (1.0, 20), (np.float64(1.0), 20), (np.float32(0.25), 5), (0.1, 2), (0.001, 1),
]  # fmt: skip
WRONG = [True, False, np.True_, 0, -1, 0.0, 1.5, 2.0, np.nan, "1"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SINGLE, *LISTS, "steps"])
def test_ints_are_counts_and_floats_fractions(name):
    count = {**SINGLE, **LISTS, "steps": _in_steps}[name]
    for number, expected in RIGHT:
        assert count(number) == expected, number
        if name in LISTS:
            assert count([number]) == count(np.array([number])) == expected, number


@pytest.mark.parametrize("name", [*SINGLE, *LISTS, "steps"])
def test_bools_and_numbers_out_of_range_are_refused_by_name(name):
    count = {**SINGLE, **LISTS, "steps": _in_steps}[name]
    for number in WRONG:
        with pytest.raises(ValueError, match=f"'{'n_neurons' if name == 'table' else name}'"):
            count(number)
        if name in LISTS:
            with pytest.raises(ValueError, match=f"'{name}' parameter of"):
                count([number])
    with pytest.raises(ValueError, match="21"):
        count(21)


def test_a_list_of_ints_and_floats_keeps_their_types():
    # NumPy would turn 1 into 1.0.
    options = {"n_draws": 0, "groups": GROUPS, "cv": 2, "retrain": False}
    curve = ablation_curve(PROBE, X, Y, fractions=[0.5, 1, 1.0, 3], **options)
    top = curve[(curve["which"] == "top") & (curve["fold"] == 0)]
    assert top["n_neurons"].tolist() == [10, 1, 20, 3]
    assert top["fraction"].tolist() == [0.5, 0.05, 1.0, 0.15]
    for mixed in ([0.5, 1], (0.5, 1), pd.Series([0.5, 1], dtype=object)):
        assert _in_sizes(mixed) == 1
    agreement = ranking_agreement(ORDERS, k=[1, 1.0])
    assert {"jaccard@1", "jaccard@20"} <= set(agreement)


def test_rows_of_a_code_follow_the_same_rule():
    options = {"groups": np.arange(80), "random_state": 0}
    counts = online_codelength(PROBE, X, Y, fractions=[20, 40, 80], **options)
    shares = online_codelength(PROBE, X, Y, fractions=[0.25, 0.5, 1.0], **options)
    mixed = online_codelength(PROBE, X, Y, fractions=[0.25, np.int64(40), 1.0], **options)
    assert counts.codelength == shares.codelength == mixed.codelength
    for wrong in ([0.5, 1], [20, 1], [20, 40], [20, 81], [True, 1.0], [0.5, True]):
        with pytest.raises(ValueError, match="'fractions' parameter of online_codelength"):
            online_codelength(PROBE, X, Y, fractions=wrong, **options)


def test_a_display_counts_as_its_table_does():
    for number, expected in ((1, 1), (1.0, 20), (0.1, 2)):
        display = NeuronDistributionDisplay.from_estimator(
            RANKER, by="component", n_layers=4, n_neurons=number
        )
        assert display.frame.to_numpy().sum() == expected


def test_no_parameter_is_left_out():
    """Whatever takes both ints and fractions uses the constraints that refuse bools."""
    found = set()
    for package in PACKAGES:
        module = import_module(f"sklearn_neurox.{package}")
        for name in module.__all__:
            thing = getattr(module, name)
            both = {
                **getattr(thing, "_parameter_constraints", {}),
                **getattr(thing, "_skl_parameter_constraints", {}),
            }
            for parameter, allowed in both.items():
                intervals = [one for one in allowed if isinstance(one, Interval)]
                if len({one.type for one in intervals}) > 1:
                    assert not make_constraint(allowed[0]).is_satisfied_by(True), (name, parameter)
                    assert [str(one) for one in intervals] == RULE, (name, parameter)
                    found.add(parameter)
    assert found == {"n_neurons", "candidates", "fractions", "steps", "sizes", "k"}
