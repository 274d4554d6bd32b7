# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest

from sklearn_neurox.utils._blocks import neuron_blocks


def test_blocks_have_stack_component_and_layer():
    names = [
        "hidden.0.3",
        "attention.2.h1.7",
        "attention.2.h5.0",
        "decoder.mlp.4.1",
        "pca__hidden.10.0",
        "module:encoder.layer.2.output.17",
    ]
    blocks = neuron_blocks(names, 6, n_layers=None, caller="f")
    assert blocks["name"].tolist() == [
        "hidden.0",
        "attention.2",
        "attention.2",
        "decoder.mlp.4",
        "hidden.10",
        "module:encoder.layer.2.output",
    ]
    assert blocks["component"].tolist()[3] == "decoder.mlp"
    assert blocks["layer"].tolist() == [0, 2, 2, 4, 10, 3]


def test_equal_blocks_have_only_numbers():
    blocks = neuron_blocks(["a", "b", "c", "d"], 4, n_layers=2, caller="f")
    assert blocks["name"].tolist() == ["0", "0", "1", "1"] and blocks["component"].isna().all()
    np.testing.assert_array_equal(blocks["layer"], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="f needs to know the layer of every column"):
        neuron_blocks(["a", "b"], 2, n_layers=None, caller="f")
