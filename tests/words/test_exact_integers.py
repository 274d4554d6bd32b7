# SPDX-License-Identifier: BSD-3-Clause
"""Integers that float64 cannot hold stay exact beside missing values, in every kind of table."""

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.words import annotate, pair_frame, words_frame

NUMBERS = [2**53 + 1, 2**60 + 1, -(2**62) - 3, 2**63 - 1, 2**63 + 1, 2**64 - 1]
WORDS = ["a", "b", "c"]


def exact(column):
    """Return the values as Python integers, with None for what is missing."""
    return [None if pd.isna(value) else value for value in column.tolist()]


def tables(number):
    """Yield each kind of table by name, with the number beside missing values."""
    values, ids = [number, None, 3], [0, 0, 1]
    rows = [
        {"word": word, "sentence_id": i, "n": n}
        for word, i, n in zip(WORDS, ids, values, strict=True)
    ]
    nested = [{"word": ["a", "b"], "n": [number, None]}, {"word": ["c"], "n": [3]}]
    yield "list of dicts", rows
    yield "dicts without the key", [rows[0], {"word": "b", "sentence_id": 0}, rows[2]]
    yield "dicts of lists", nested
    try:
        import pyarrow as pa
    except ImportError:
        return
    dtype = pa.int64() if number < 2**63 and number > -(2**63) else pa.uint64()
    column = pa.array(values, dtype)
    yield "Arrow table", pa.table({"word": WORDS, "sentence_id": ids, "n": column})
    yield "Arrow batch", pa.record_batch({"word": WORDS, "sentence_id": ids, "n": column})
    lists = pa.array([values[:2], values[2:]], pa.list_(dtype))
    yield "Arrow lists", pa.table({"word": [["a", "b"], ["c"]], "n": lists})
    try:
        import polars as pl
    except ImportError:
        return
    kind = pl.Int64 if dtype == pa.int64() else pl.UInt64
    of_polars = pl.Series(values, dtype=kind)
    yield "polars", pl.DataFrame({"word": WORDS, "sentence_id": ids, "n": of_polars})
    lists = pl.Series([values[:2], values[2:]], dtype=pl.List(kind))
    yield "polars lists", pl.DataFrame({"word": [["a", "b"], ["c"]], "n": lists})


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1])
def test_annotations_of_tables(number):
    for kind, table in tables(number):
        frame = words_frame(table)
        assert exact(frame["n"]) == [number, None, 3], kind
        relabeled = words_frame(table, label="n")
        assert exact(relabeled["label"]) == [number, None, 3], kind
        marked = annotate(frame.assign(start=0), {"a"}, name="is_a")
        assert exact(marked["n"]) == [number, None, 3], kind


@pytest.mark.parametrize("number", NUMBERS)
def test_labels_in_lists(number):
    frame = words_frame([["a", "b"], ["c"]], [[number, None], [np.nan]])
    assert exact(frame["label"]) == [number, None, None]
    frame = words_frame([["a", "b"], ["c"]], [[number, -1], [pd.NA]])
    assert exact(frame["label"]) == [number, -1, None]


@pytest.mark.parametrize("number", NUMBERS)
def test_labels_of_annotate(number):
    words = words_frame([["a", "b", "c"]], {"tag": [["x", None, "y"]]})
    marked = annotate(words, {"x"}, on="tag", positive=number, negative=7)
    assert exact(marked["label"]) == [number, None, 7]
    marked = annotate(words, {"x"}, on="tag", positive=7, negative=number)
    assert exact(marked["label"]) == [7, None, number]


@pytest.mark.parametrize("number", NUMBERS)
def test_relations_and_annotations_of_pairs(number):
    words = words_frame([["a", "b", "c"]], {"head": [[2, 0, 2]], "n": [[number, None, 3]]})
    pairs = pair_frame(words, rows=([0, 1, 2], [1, 2, 0]), relation=[number, None, 5])
    assert exact(pairs["relation"]) == [number, None, 5]
    assert exact(pairs["n"]) == [number, None, 3]
    assert exact(pairs["other_n"]) == [None, 3, number]
    arcs = pair_frame(words, heads="head", relation="n", negatives="all")
    assert exact(arcs["relation"]) == [number, "none", "none", "none", "none", 3]


def test_other_columns_have_the_dtype_that_pandas_infers():
    """Only columns with integers that would change get another dtype."""
    rows = [
        {"small": 1, "fraction": 2.5, "huge": 1e300, "mixed": 2**60 + 1, "flag": True},
        {"small": None, "fraction": None, "huge": None, "mixed": 0.5, "flag": None},
    ]
    pd.testing.assert_frame_equal(to_pandas(rows), pd.DataFrame(rows))
    words = words_frame([["a", "b"]], {name: [[row[name] for row in rows]] for name in rows[0]})
    for name in ("small", "fraction", "huge", "mixed"):
        assert words[name].dtype == np.float64, name
    frame = annotate(words.assign(tag=["x", None], word=["a", "b"]), {"a"}, positive=1, negative=0)
    assert frame["label"].tolist() == [1, 0]


def test_the_table_itself_does_not_change():
    class Owner:
        def __init__(self, frame, values):
            self.frame, self.values = frame, values

        def to_pandas(self):
            return self.frame

        def __getitem__(self, name):
            return self.values[name]

    frame = pd.DataFrame({"n": [2.0**60, np.nan]})
    owner = Owner(frame, {"n": [2**60 + 1, None]})
    assert exact(to_pandas(owner)["n"]) == [2**60 + 1, None]
    assert frame["n"].dtype == np.float64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((1, 1), "are both 1"),
        ((None, 0), "'positive' parameter of annotate is None, which marks rows without a label"),
        ((1, np.nan), "'negative' parameter of annotate is nan, which marks rows"),
        ((pd.NaT, 0), "'positive' parameter of annotate is NaT, which marks rows"),
        (("yes", 0), "'yes' and 0, but labels that mix strings and other types"),
    ],
)
def test_labels_that_are_no_two_classes(labels, message):
    words = words_frame([["a", "b"]])
    with pytest.raises(ValueError, match=message):
        annotate(words, {"a"}, positive=labels[0], negative=labels[1])


def test_a_relation_of_negatives_that_pairs_have_is_an_error():
    words = words_frame([["a", "b", "c"]], {"head": [[2, 0, 2]], "deprel": [["none", "r", "x"]]})
    assert pair_frame(words, heads="head")["relation"].tolist() == ["none", "x"]
    with pytest.raises(ValueError, match=r"pair 0 is 'none', which pair_frame gives to negatives"):
        pair_frame(words, heads="head", negatives="all")
    pairs = pair_frame(words, heads="head", negatives="all", no_relation="no arc")
    assert pairs.loc[~pairs["is_arc"], "relation"].unique().tolist() == ["no arc"]
