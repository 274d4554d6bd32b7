# SPDX-License-Identifier: BSD-3-Clause
"""Which layer a file holds: what the user says, what the file states, what its name says."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.extraction import SubwordAggregator
from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.words import words_frame

WORDS = words_frame([["a", "b"], ["c"]])


def value(layer, word, unit):
    """The number that a neuron has in every file of this module."""
    return 100 * layer + 10 * word + unit


def neurox_file(path, layers, *, indices=None):
    """Write a file as NeuroX 1.0.9 does: JSON counts the layers from 0, whatever they are."""
    sentences, word = [["a", "b"], ["c"]], 0
    indices = indices or list(range(len(layers)))
    lines, stored = [], []
    for number, sentence in enumerate(sentences):
        rows = [
            [[float(value(k, word + j, u)) for u in range(2)] for k in layers]
            for j in range(len(sentence))
        ]
        word += len(sentence)
        stored.append(np.array(rows, np.float32).swapaxes(0, 1))
        features = [
            {
                "token": token,
                "layers": [
                    {"index": index, "values": values}
                    for index, values in zip(indices, row, strict=True)
                ],
            }
            for token, row in zip(sentence, rows, strict=True)
        ]
        lines.append(json.dumps({"linex_index": number, "features": features}))
    if path.suffix == ".json":
        path.write_text("\n".join(lines))
    elif path.suffix == ".pt":
        torch.save([[list(torch.from_numpy(w)) for w in s.swapaxes(0, 1)] for s in stored], path)
    else:
        with h5py.File(path, "w") as file:
            for number, values in enumerate(stored):
                file[str(number)] = values
            index = {" ".join(s): str(i) for i, s in enumerate(sentences)}
            file["sentence_to_index"] = [json.dumps(index)]
    return path


def table(path, **options):
    """Read a file as a frame, and check every value against its column's name."""
    activations, _ = read_neurox(path, WORDS, **options)
    frame = SubwordAggregator().set_output(transform="pandas").fit_transform(activations)
    for name in frame:
        _, layer, unit = name.split(".")
        expected = [value(int(layer), word, int(unit)) for word in range(3)]
        assert frame[name].tolist() == expected, name
    return list(dict.fromkeys(int(name.split(".")[1]) for name in frame))


SUFFIXES = [".json", ".hdf5", ".pt"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_one_layer_has_the_layer_of_its_name(suffix, tmp_path):
    for name, layer in (("acts-layer3", 3), ("my.acts-layer12", 12), ("a-layer1-layer07", 7)):
        path = neurox_file(tmp_path / f"{name}{suffix}", [layer])
        assert table(path) == [layer]
        assert table(path, layers=[layer]) == [layer]
        with pytest.raises(ValueError, match=rf"no layer 0; it holds \[{layer}\]"):
            read_neurox(path, WORDS, layers=[0])
    assert table(neurox_file(tmp_path / f"layer3{suffix}", [0])) == [0]
    # What the user says counts.
    path = neurox_file(tmp_path / f"one-layer1{suffix}", [0])
    assert table(path, stored_layers=[0]) == [0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_files_of_all_layers_are_found_by_their_common_name(suffix, tmp_path):
    for layer in (0, 11, 3):
        neurox_file(tmp_path / f"acts-layer{layer}{suffix}", [layer])
    assert table(tmp_path / f"acts{suffix}") == [0, 3, 11]
    assert table(tmp_path / f"acts{suffix}", layers=[11, 0]) == [11, 0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_that_cannot_be_right_is_an_error(suffix, tmp_path):
    path = neurox_file(tmp_path / f"bert-layer12{suffix}", [0, 1, 2])
    message = r"holds 3 layers, but its name says that it holds layer 12 alone.*stored_layers="
    with pytest.raises(ValueError, match=message):
        read_neurox(path, WORDS)
    assert table(path, stored_layers=[0, 1, 2]) == [0, 1, 2]
    path.rename(tmp_path / f"bert{suffix}")
    assert table(tmp_path / f"bert{suffix}") == [0, 1, 2]


def test_the_numbers_in_a_json_file_count(tmp_path):
    path = tmp_path / "acts.json"
    assert table(neurox_file(path, [6, 12], indices=[6, 12])) == [6, 12]
    assert table(neurox_file(path, [1, 0], indices=[1, 0])) == [0, 1]
    assert table(path, layers=[1, 0]) == [1, 0]
    assert table(path, layers=[1]) == [1]
    # The layers of the user are in file order.
    assert table(neurox_file(path, [7, 5], indices=[1, 0]), stored_layers=[7, 5]) == [7, 5]
    assert table(neurox_file(tmp_path / "acts-layer4.json", [4], indices=[4])) == [4]
    neurox_file(tmp_path / "other-layer4.json", [5], indices=[5])
    with pytest.raises(ValueError, match=r"holds the layers \[5\], but its name says .* layer 4"):
        read_neurox(tmp_path / "other-layer4.json")
    with pytest.raises(ValueError, match=r"holds the layers \[5\].*Extract it again"):
        read_neurox(tmp_path / "other.json")


def test_words_may_list_their_layers_in_any_order(tmp_path):
    path = neurox_file(tmp_path / "acts.json", [6, 12, 2], indices=[6, 12, 2])
    rng = np.random.default_rng(0)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for word in line["features"]:
            rng.shuffle(word["layers"])
    path.write_text("\n".join(map(json.dumps, lines)))
    assert table(path) == [2, 6, 12]


@pytest.mark.parametrize("suffix", [".json", ".hdf5"])
@pytest.mark.parametrize("decompose_layers", [False, True])
def test_written_layers_keep_their_numbers(suffix, decompose_layers, tmp_path):
    for layers in ([6], [0, 6, 12], [12, 0]):
        columns = [(k, u) for k in layers for u in range(2)]
        H = pd.DataFrame(
            [[float(value(k, word, u)) for k, u in columns] for word in range(3)],
            columns=[f"hidden.{k}.{u}" for k, u in columns],
        )
        folder = tmp_path / f"of{layers[0]}{len(layers)}"
        folder.mkdir()
        write_neurox(folder / f"acts{suffix}", H, WORDS, decompose_layers=decompose_layers)
        assert table(folder / f"acts{suffix}") == sorted(layers)
        for file in folder.iterdir():
            found = table(file)
            assert file.stem == (f"acts-layer{found[0]}" if decompose_layers else "acts")


@pytest.mark.parametrize("suffix", [".hdf5", ".json", ".pt"])
@pytest.mark.parametrize("layers", [[1, 2], [2, 3], [3, 1]])
def test_some_layers_of_a_file_of_all(suffix, layers, tmp_path):
    path = tmp_path / f"acts{suffix}"
    neurox_file(path, [0, 1, 2, 3])
    assert table(path, layers=layers) == layers
