# SPDX-License-Identifier: BSD-3-Clause
"""Parallel files with one label per line, as for NeuroX's `load_sentence_data`."""

import io

import numpy as np
import pytest

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.words import read_parallel


def _read(text, labels, **options):
    labels = (
        {name: io.StringIO(part) for name, part in labels.items()}
        if isinstance(labels, dict)
        else io.StringIO(labels)
    )
    return read_parallel(io.StringIO(text), labels, **options)


@pytest.mark.parametrize(
    ("text", "labels", "texts", "values"),
    [
        ("Dogs bark\nHello\n", "sad\nglad\n", ["Dogs bark", "Hello"], ["sad", "glad"]),
        ("a  b\tc\n", " very sad \n", ["a  b\tc"], ["very sad"]),
        ("a b\r\nc\r\n", "1\r\n0\r\n", ["a b", "c"], ["1", "0"]),
        ("a\u00a0b", "0.5", ["a\u00a0b"], ["0.5"]),
    ],
)
def test_lines_are_texts(text, labels, texts, values):
    frame = _read(text, labels, rows="texts", name="mood")
    assert frame["text"].tolist() == texts
    assert frame["mood"].tolist() == values
    assert frame["sentence_id"].tolist() == list(range(len(texts)))


def test_the_rows_are_whole_texts_of_a_model():
    frame = _read("the big dog\na cat\n", {"a": "1\n2\n", "b": "x y\nz\n"}, rows="texts")
    assert frame[["a", "b"]].to_numpy().tolist() == [["1", "x y"], ["2", "z"]]
    extractor = ActivationExtractor(make_tiny_model("bert"))
    pool = SubwordAggregator("mean")
    np.testing.assert_array_equal(
        pool.fit_transform(extractor.transform(frame)),
        pool.fit_transform(extractor.transform(["the big dog", "a cat"])),
    )


@pytest.mark.parametrize(
    ("text", "labels", "options", "message"),
    [
        ("Dogs bark\nHi\n", "sad\nglad\n", {}, '2 words, but .* 1 labels. .*rows="texts"'),
        ("Dogs bark\nHi\n", "N V\nI I\n", {}, "1 words, but .* 2 labels. Only spaces"),
        ("a\nb\n", "x\n", {"rows": "texts"}, "2 lines, but .* has 1"),
        ("a\nb\n", "x\n \n", {"rows": "texts"}, ":2: an empty line"),
        ("a\n\n", "x\ny\n", {"rows": "texts"}, ":2: an empty line"),
        ("", "", {"rows": "texts"}, "empty"),
        ("a\n", "x\n", {"rows": "lines"}, "'rows' parameter of read_parallel"),
    ],
)
def test_what_does_not_fit_is_named(text, labels, options, message):
    with pytest.raises(ValueError, match=message):
        _read(text, labels, **options)


@pytest.mark.parametrize("name", ["text", "sentence_id", "start"])
def test_labels_do_not_take_the_place_of_the_text(name):
    with pytest.raises(ValueError, match=f"called '{name}', which is one of the columns"):
        _read("a b\nc\n", {name: "1\n2\n"}, rows="texts")
    with pytest.raises(ValueError, match=f"called '{name}', which is one of the columns"):
        _read("a b\nc\n", "1\n2\n", rows="texts", name=name)
