# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.utils._names import (
    block_neuron_names,
    neuron_indices,
    neuron_layers,
    neuron_names,
    parse_neuron_names,
)


def test_names_are_layer_major_and_read_back():
    names = neuron_names([0, 3], 2, stack="encoder")
    assert names.tolist() == [
        "encoder.hidden.0.0",
        "encoder.hidden.0.1",
        "encoder.hidden.3.0",
        "encoder.hidden.3.1",
    ]
    parts = parse_neuron_names(names)
    assert parts["layer"].tolist() == [0, 0, 3, 3]
    assert parts["unit"].tolist() == [0, 1, 0, 1]
    assert parts["stack"].eq("encoder").all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hidden.3.127", (None, "hidden", 3, None, 127)),
        ("attention.3.h5.17", (None, "attention", 3, 5, 17)),
        ("decoder.mlp.0.9", ("decoder", "mlp", 0, None, 9)),
        ("pipeline-1__hidden.3.127", (None, "hidden", 3, None, 127)),
        ("a__b__encoder.hidden.1.2", ("encoder", "hidden", 1, None, 2)),
        ("embedding.0.7", (None, "embedding", 0, None, 7)),
        (
            "module:encoder.layer.2.output.dense.17",
            (None, "module:encoder.layer.2.output.dense", 3, None, 17),
        ),
        ("module:h.0.5", (None, "module:h.0", 1, None, 5)),
        ("a__module:block.1.layer.0.x__y.5", (None, "module:block.1.layer.0.x__y", 2, None, 5)),
        ("module:decoder.norm1.5", (None, "module:decoder.norm1", None, None, 5)),
        ("x0", (None, None, None, None, None)),
        ("hidden.3", (None, None, None, None, None)),
        ("hidden.3.x", (None, None, None, None, None)),
    ],
)
def test_parts_of_a_name(name, expected):
    row = parse_neuron_names([name]).iloc[0]
    assert row["neuron"] == name
    found = row[["stack", "component", "layer", "head", "unit"]]
    assert [None if pd.isna(value) else value for value in found] == list(expected)


def test_names_of_heads():
    names = block_neuron_names("encoder.attention.3", 6, n_heads=2)
    assert names.tolist() == [f"encoder.attention.3.h{h}.{u}" for h in (0, 1) for u in range(3)]
    parts = parse_neuron_names(names)
    assert parts["head"].tolist() == [0, 0, 0, 1, 1, 1]
    assert parts["unit"].tolist() == [0, 1, 2, 0, 1, 2]


def test_layers_from_names_or_from_equal_blocks():
    names = neuron_names([2, 5], 2)
    assert neuron_layers(names, 4, n_layers=None, caller="It").tolist() == [2, 2, 5, 5]
    assert neuron_layers(None, 4, n_layers=2, caller="It").tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("names", [None, ["hidden.0.0", "x1", "x2", "x3"]])
def test_the_error_for_unknown_layers_offers_both_remedies(names):
    with pytest.raises(ValueError, match=r"set_output.*n_layers="):
        neuron_layers(names, 4, n_layers=None, caller="It")
    with pytest.raises(ValueError, match="'n_layers' parameter of It is 3, which does not divide"):
        neuron_layers(names, 4, n_layers=3, caller="It")


@pytest.mark.parametrize(
    ("neurons", "expected"),
    [
        (None, []),
        ([], []),
        ([2, 0], [2, 0]),
        ([-1], [3]),
        (["c", "a"], [2, 0]),
        (np.array([True, False, False, True]), [0, 3]),
    ],
)
def test_neurons_by_index_name_and_mask(neurons, expected):
    found = neuron_indices(neurons, names=list("abcd"), n_features=4, caller="It")
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("neurons", "names", "message"),
    [
        ([4], None, "neuron 4, but the 4 columns"),
        ([-5], None, "neuron -5"),
        (["a"], None, "X has no feature names"),
        (["e"], list("abcd"), "'e', which is not a column"),
        ([True], None, "mask of neurons given to It has 1 entries"),
        ([[1]], None, "flat list"),
        ([1.5], None, "indices, names or a mask"),
        ([3, 0, -1], None, "neuron twice: -1, which is column 3"),
        (["b", "a", "b"], list("abcd"), "neuron twice: b, which is column 1"),
        (["b"], list("abca"), "the name 'a' occurs more than once in X"),
    ],
)
def test_wrong_neurons_are_named(neurons, names, message):
    with pytest.raises(ValueError, match=message):
        neuron_indices(neurons, names=names, n_features=4, caller="It")
