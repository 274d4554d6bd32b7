# SPDX-License-Identifier: BSD-3-Clause
"""Files whose words or neurons are not those that the user passes, and how that is said."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.words import words_frame

SENTENCES = [["the", "dog", "sleeps"], ["cats", "purr"], ["two", "birds"]]


def stored_file(path, spelled):
    """Write a JSON file with one neuron, which counts the words, in NeuroX's format."""
    number, lines = 0, []
    for i, sentence in enumerate(spelled):
        features = []
        for token in sentence:
            layers = [{"index": 0, "values": [float(number)]}]
            features.append({"token": token, "layers": layers})
            number += 1
        lines.append(json.dumps({"linex_index": i, "features": features}))
    path.write_text("\n".join(lines))
    return path


DISORDERED = {
    "words of a sentence": [1, 0, 2, 3, 4, 5, 6],
    "sentences of equal length": [0, 1, 2, 5, 6, 3, 4],
    "a repeated row": [0, 1, 1, 3, 4, 5, 6],
}


def test_words_in_another_order_than_stored_are_reported(tmp_path):
    path = stored_file(tmp_path / "acts.json", SENTENCES)
    words = words_frame(SENTENCES)
    for what, rows in DISORDERED.items():
        with pytest.warns(UserWarning, match="spelled differently") as caught:
            read_neurox(path, words.iloc[rows])
        wrong = sum(a != b for a, b in zip(rows, range(7), strict=True))
        message = str(caught[0].message)
        assert f"{wrong} of 7 words" in message, what
        row = next(i for i, place in enumerate(rows) if place != i)
        assert f"{words['word'][row]!r}" in message and f"{words['word'][rows[row]]!r}" in message


# How tokenizers of NeuroX spell the words of SENTENCES.
SPELLINGS = [
    [["the", "do##g", "sleep##s"], ["cat##s", "[UNK]"], ["two", "bird##s"]],
    [["The", "Ġdog", "Ġsle##eps"], ["cats", "Ġpurr"], ["two", "Ġbirds"]],
    [["▁the", "▁do##g", "▁s<unk>s"], ["▁", "▁purr"], ["@@two", "birds</w>"]],
]


def test_spellings_of_tokenizers_are_not_reported(tmp_path):
    for spelled in SPELLINGS:
        path = stored_file(tmp_path / "acts.json", spelled)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_neurox(path, words_frame(SENTENCES))


def test_words_of_dropped_sentences_are_not_compared(tmp_path):
    path = stored_file(tmp_path / "acts.json", [["the", "dog"], *SENTENCES[1:]])
    with pytest.warns(UserWarning) as caught:
        activations, words = read_neurox(path, words_frame(SENTENCES), mismatched="drop")
    assert len(caught) == 1 and "dropped" in str(caught[0].message)
    assert words["word"].tolist() == ["cats", "purr", "two", "birds"]
    assert activations.pool("last").ravel().tolist() == [2, 3, 4, 5]


def test_files_without_words_need_rows_in_the_order_of_their_positions(tmp_path):
    values = iter(range(7))
    stored = [[[torch.tensor([float(next(values))])] for _ in s] for s in SENTENCES]
    torch.save(stored, tmp_path / "acts.pt")
    words = words_frame(SENTENCES)
    activations, _ = read_neurox(tmp_path / "acts.pt", words)
    assert activations.pool("last").ravel().tolist() == list(range(7))
    for rows in (DISORDERED["words of a sentence"], DISORDERED["a repeated row"]):
        with pytest.raises(ValueError, match="sentence 0 .*not in the order of their positions"):
            read_neurox(tmp_path / "acts.pt", words.iloc[rows])
    read_neurox(tmp_path / "acts.pt", words.iloc[[1, 0, 2, 3, 4, 5, 6]].drop(columns="position"))


WORDS = words_frame([["a", "b"], ["c"]])
# Columns that a file, which only counts neurons, would rename.
RENAMED = [
    ["hidden.5.1", "hidden.5.0", "hidden.2.0", "hidden.2.1"],  # ranked
    ["hidden.5.1", "hidden.5.3", "hidden.2.0", "hidden.2.1"],  # selected
    ["hidden.1.0", "hidden.1.1", "mlp.2.0", "mlp.2.1"],
    ["encoder.hidden.1.0", "encoder.hidden.1.1", "decoder.hidden.2.0", "decoder.hidden.2.1"],
    ["attention.1.h0.0", "attention.1.h0.1", "attention.1.h2.0", "attention.1.h2.1"],
    ["attention.1.h1.0", "attention.1.h1.1", "attention.1.h0.0", "attention.1.h0.1"],
    ["module:layer.0.a.0", "module:layer.0.a.1", "module:layer.0.b.0", "module:layer.0.b.1"],
    ["a__hidden.1.0", "a__hidden.1.1", "b__hidden.1.0", "b__hidden.1.1"],
]
KEPT = [
    ["hidden.5.0", "hidden.5.1", "hidden.2.0", "hidden.2.1"],
    ["mlp.1.0", "mlp.1.1", "mlp.3.0", "mlp.3.1"],
    ["decoder.hidden.1.0", "decoder.hidden.1.1", "decoder.hidden.2.0", "decoder.hidden.2.1"],
    ["attention.1.h0.0", "attention.1.h0.1", "attention.1.h1.0", "attention.1.h1.1"],
    ["module:layer.0.a.0", "module:layer.0.a.1", "module:layer.1.a.0", "module:layer.1.a.1"],
]


@pytest.mark.slow
def test_columns_that_a_file_would_rename_are_refused(tmp_path):
    H = np.arange(12.0).reshape(3, 4)
    for names in RENAMED:
        with pytest.raises(ValueError, match="one component"):
            write_neurox(tmp_path / "acts.json", pd.DataFrame(H, columns=names), WORDS)
    assert not list(tmp_path.iterdir())
    for names in KEPT:
        write_neurox(tmp_path / "acts.json", pd.DataFrame(H, columns=names), WORDS)
    # Names are not looked at if the user gives the layers.
    write_neurox(tmp_path / "acts.json", pd.DataFrame(H, columns=RENAMED[0]), WORDS, n_layers=2)


def test_rows_with_the_labels_of_the_words_in_another_order_are_reported(tmp_path):
    H = pd.DataFrame(np.arange(12.0).reshape(3, 4), index=[2, 1, 0])
    with pytest.warns(UserWarning, match="indexes of words and H"):
        write_neurox(tmp_path / "acts.json", H, WORDS, n_layers=2)
