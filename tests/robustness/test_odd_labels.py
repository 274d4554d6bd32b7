# SPDX-License-Identifier: BSD-3-Clause
"""Cells that are no labels, groups or ids are named with their row, and the remedy works."""

import warnings
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ablation import ConceptEraser, ablation_curve
from sklearn_neurox.evaluation import (
    ControlTaskClassifier,
    control_labels,
    layer_profile,
    leakage_report,
    online_codelength,
    v_information,
)
from sklearn_neurox.inspection import top_words
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import IoURanker, ProbelessRanker
from sklearn_neurox.selection import LayerSelector
from sklearn_neurox.words import annotate, words_frame

pytestmark = pytest.mark.filterwarnings("ignore")

X = np.random.RandomState(0).randn(60, 4)
WORDS = words_frame([list("abcdef")] * 10, [list("xyxyxy")] * 10)
GROUPS = np.repeat(range(10), 6)
ODD = [
    ["q"], ("q", "r"), {"q": 1}, {"q"}, frozenset("q"), np.array([1, 2]), pd.Series([1]), slice(1),
    object(), b"q", Decimal("1"), date(2020, 1, 1), 1j,
]  # fmt: skip
UNSORTED = [*ODD[:9], 1j]


def cells(*pair):
    values = np.empty(60, dtype=object)
    for row in range(60):
        values[row] = pair[row % len(pair)]
    return values


def tables():
    """Yield columns that hold an odd value: at row 7 only, or in every row."""
    for value in ODD:
        column = cells("x", "y")
        column[7] = value
        yield value, 7, column
        yield value, 0, cells(value)


LABELS = {
    "probe": lambda y: ElasticNetProbeClassifier().fit(X, y),
    "ranker": lambda y: ProbelessRanker().fit(X, y),
    "detector": lambda y: IoURanker().fit(X, y),
    "eraser": lambda y: ConceptEraser().fit(X, y),
    "selector": lambda y: LayerSelector("auto", n_layers=2).fit(X, y),
    "control": lambda y: ControlTaskClassifier(LogisticRegression()).fit(X, GROUPS % 2, y),
    "control_labels": lambda y: control_labels(WORDS["word"], y),
    "layer_profile": lambda y: layer_profile(LogisticRegression(), X, y, groups=GROUPS, n_layers=2),
    "codelength": lambda y: online_codelength(LogisticRegression(), X, y, groups=GROUPS),
    "v_information": lambda y: v_information(LogisticRegression(), X, y, groups=GROUPS),
    "ablation_curve": lambda y: ablation_curve(LogisticRegression(), X, y, groups=GROUPS),
}


def test_labels_that_are_none_are_named():
    for name, call in LABELS.items():
        for value, row, column in tables():
            for y in (column, pd.Series(column)):
                try:
                    call(y)
                except TypeError as error:
                    message = f"of type {type(value).__name__} at row {row}, but a label is a str"
                    assert message in str(error), (name, value, error)
                else:
                    raise AssertionError((name, value))
    with pytest.raises(TypeError, match="at row 0, but a label is a string"):
        ProbelessRanker().fit(X, pd.Series(pd.IntervalIndex.from_breaks(range(61))))


def test_the_remedy_for_labels_works():
    y = cells(["x", "u"], ["y"])
    with pytest.raises(TypeError, match=r"for example the first: y = \[label\[0\] for label in y"):
        ProbelessRanker().fit(X, y)
    assert ProbelessRanker().fit(X, [label[0] for label in y]).classes_.tolist() == ["x", "y"]
    y = cells(b"x", b"y")
    with pytest.raises(TypeError, match=r"y = \[label.decode\(\) for label in y\]"):
        ProbelessRanker().fit(X, y)
    y = cells(Decimal(1), Decimal(2))
    with pytest.raises(TypeError, match=r"y = \[str\(label\) for label in y\]"):
        ProbelessRanker().fit(X, y)
    for missing in (pd.NA, pd.NaT, None, np.nan):
        y = cells("x", "y")
        y[7] = missing
        with pytest.raises(ValueError, match="y contains NaN: 1 of 60 .* at row 7"):
            ProbelessRanker().fit(X, y)
    days = pd.Series(pd.to_datetime(["2020-01-01", "2021-01-01"] * 30))
    assert len(ProbelessRanker().fit(X, days).classes_) == 2


def test_groups_that_cannot_be_sorted_are_named():
    calls = {
        "layer_profile": lambda g: layer_profile(
            LogisticRegression(), X, WORDS["label"], groups=g, n_layers=2
        ),
        "online_codelength": lambda g: online_codelength(
            LogisticRegression(), X, WORDS["label"], groups=g
        ),
        "v_information": lambda g: v_information(LogisticRegression(), X, WORDS["label"], groups=g),
        "ablation_curve": lambda g: ablation_curve(
            LogisticRegression(), X, WORDS["label"], groups=g
        ),
        "leakage_report": lambda g: leakage_report(WORDS, groups=g, cv=2),
    }
    for name, call in calls.items():
        for value in UNSORTED:
            groups = cells(*"abcdefghij")
            groups[7] = value
            with pytest.raises(TypeError) as raised:
                call(groups)
            message = f"'groups' parameter of {name} has "
            assert message in str(raised.value) and "at row 7, which" in str(raised.value)
        if name != "online_codelength":
            groups[7] = pd.NA
            with pytest.raises(ValueError, match=f"{name} contains NaN: .* the first is row 7"):
                call(groups)

    assert len(calls["leakage_report"](cells(*map(Decimal, range(10)))))


def test_annotate_names_the_column_and_row_or_tests_the_value():
    for value in ODD:
        if isinstance(value, (pd.Series, slice)):
            continue
        words = WORDS.assign(tags=cells(value, "x"))
        where = rf"row 0 of the column 'tags', which holds .* of type {type(value).__name__}: "
        with pytest.raises(TypeError, match=where + ".*Pass a function"):
            annotate(words, "x", on="tags", name="new")
        if isinstance(value, (list, dict, set, np.ndarray)):
            with pytest.raises(TypeError, match=where + ".*Pass a function"):
                annotate(words, {"x"}, on="tags", name="new")
        else:
            new = annotate(words, {"x"}, on="tags", name="new")["new"]
            assert new.tolist() == ["negative", "positive"] * 30
        by_type = annotate(words, lambda one: isinstance(one, str), on="tags", name="new")
        assert by_type["new"].tolist() == ["negative", "positive"] * 30
    words = WORDS.assign(tags=cells(["NOUN", "PROPN"], ["VERB"], None, []))
    nouns = annotate(words, lambda tags: "NOUN" in tags, on="tags", name="noun")["noun"]
    assert nouns.iloc[[0, 1, 3]].tolist() == ["positive", "negative", "negative"]
    assert pd.isna(nouns.iloc[2])


def test_ids_and_words_must_be_values():
    for value in ODD[:4]:
        if isinstance(value, tuple):
            continue
        table = pd.DataFrame({"word": list("ab"), "sentence_id": [0, 1]}).astype(object)
        table.at[1, "sentence_id"] = value
        with pytest.raises(TypeError, match="sentence_id of row 1 is .*cannot name a sentence"):
            words_frame(table)
        with pytest.raises(TypeError, match="id of sentence 1 is .*cannot name a sentence"):
            words_frame([["a"], ["b"]], sentence_ids=["u", value])
        words = cells("a", "b")
        words[7] = value
        with pytest.raises(TypeError, match="row 7"):
            top_words(X, words)


def test_plain_labels_among_objects():
    """A column that had missing labels keeps the dtype object; the error names what helps."""
    for pair, kinds, remedy in (
        ((True, False), "bool", bool),
        ((1, 0), "int", int),
        ((np.int64(2), np.int32(1)), "int32 and int64", int),
        ((1.0, 0.0), "float", float),
        ((True, 2), "bool and int", str),
        ((np.bool_(True), False), "bool", bool),
        ((pd.Timestamp(2020, 1, 1), pd.Timestamp(2021, 1, 1)), "Timestamp", str),
        ((np.datetime64("2020"), np.datetime64("2021")), "datetime64", str),
    ):
        y = cells(*pair)
        match = rf"of type {kinds}. Convert them with y = y.astype\({remedy.__name__}\)"
        for fit in (LABELS["ranker"], LABELS["detector"]):
            with pytest.raises(ValueError, match=match):
                fit(y)
        LABELS["ranker"](y.astype(remedy))


@pytest.mark.filterwarnings("default")
def test_labels_that_differ_in_white_space_only():
    padded = np.tile(["yes", "no", " yes"], 20)
    with pytest.warns(UserWarning, match=r"labels ' yes' and 'yes'.*y\.str\.strip"):
        ElasticNetProbeClassifier().fit(X, padded)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ElasticNetProbeClassifier().fit(X, pd.Series(padded).str.strip())
        ElasticNetProbeClassifier().fit(X, np.tile(["yes", "no", "Yes", " "], 15))
