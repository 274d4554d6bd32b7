# SPDX-License-Identifier: BSD-3-Clause
"""What every function that writes to a path of the user does to what is there already.

A file that the user names is replaced, as by `DataFrame.to_csv`: it keeps its permissions, and a
write-protected one stays. Whatever the user did not name stays.
"""

import stat
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sklearn_neurox.cli._main import main
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import Activations, SubwordAggregator
from sklearn_neurox.inspection import NeuronReport, highlight
from sklearn_neurox.io import write_neurox
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.words import words_frame
from tests.robustness.test_cache_permissions import ordinary_user

WORDS, H = words_frame([["a", "b"], ["c"]]), np.arange(6.0).reshape(3, 2)


def _writers():
    """Return every function that writes a file of the user's choice, by the ending of its name."""
    activations, shown = Activations.from_arrays(list(H[:, np.newaxis])), highlight(WORDS, H, [0])
    y = ["x", "y", "x"]
    report = NeuronReport(ProbelessRanker().fit(H, y), H, y, WORDS)

    def parallel(path):
        with tempfile.TemporaryDirectory() as folder:
            write_neurox(f"{folder}/x.json", H, WORDS, n_layers=1, parallel={"word": path})

    return {
        "a.json": lambda path: write_neurox(path, H, WORDS, n_layers=1),
        "a.hdf5": lambda path: write_neurox(path, H, WORDS, n_layers=1),
        "a.word": parallel,
        "a.npy": lambda path: activations.pool("last", memmap=path),
        "b.npy": lambda path: SubwordAggregator(memmap=path).fit_transform(activations),
        "a.html": shown.write_html,
        "a.svg": shown.write_svg,
        "report.html": report.write_html,
    }


def _content(folder):
    return {p.name: p.read_bytes() for p in Path(folder).iterdir()}


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path):
    for name, write in _writers().items():
        file = tmp_path / name
        file.write_bytes(b"old")
        file.chmod(0o600)
        write(file)
        assert file.read_bytes() != b"old", name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, name


def test_a_write_protected_file_stays():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        for name, write in _writers().items():
            file = Path(folder, name)
            file.write_bytes(b"old")
            file.chmod(0o444)
            with ordinary_user(), pytest.raises(PermissionError, match=r"write-protected"):
                write(file)
        assert set(_content(folder).values()) == {b"old"}


def test_a_tiny_model_replaces_nothing(tmp_path):
    made = make_tiny_model("bert", hidden_size=8, n_heads=1)
    weights = {"model.safetensors": b"weights of another model"}
    folders = {
        "another model": (weights | {"config.json": b"{}"}, "config.json"),
        "a file that the tokenizer would read, too": ({"added_tokens.json": b"{}"}, "added_tokens"),
        "something else": ({"thesis.tex": b"text"}, "thesis.tex"),
        "the model of another seed": (_content(made) | weights, "model.safetensors"),
    }
    for case, (content, named) in folders.items():
        folder = tmp_path / case
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
        with pytest.raises(FileExistsError, match=rf"{case}.*{named}.*Name a new folder"):
            make_tiny_model("bert", path=folder, hidden_size=8, n_heads=1)
        assert _content(folder) == content, case


def test_a_tiny_model_may_be_made_again_or_completed(tmp_path):
    params = {"path": tmp_path, "hidden_size": 8, "n_heads": 1}
    (tmp_path / ".gitignore").write_text("*")
    make_tiny_model("bert", **params)
    complete = _content(tmp_path)
    assert make_tiny_model("bert", **params) == str(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / ".away")
    make_tiny_model("bert", **params)
    assert _content(tmp_path) == complete | {".away": complete["model.safetensors"]}


def test_the_command_extract_does_not_replace_its_input(tmp_path, capsys):
    for ending in (".neurons.txt", ".words.csv"):
        text = tmp_path / f"a{ending}"
        text.write_text("One sentence\n")
        assert main(["extract", "a model", str(text), str(tmp_path / "a.npy")])
        assert f"would replace the input {text}" in capsys.readouterr().err
        assert text.read_text() == "One sentence\n"
