# SPDX-License-Identifier: BSD-3-Clause
"""A hostile file is one line: the file, the problem, the remedy. Nothing else is read or run."""

import json
import os
import pickle
import re
import shutil
import socket

import h5py
import numpy as np
import pytest
import torch

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    Activations,
    SubwordAggregator,
)
from sklearn_neurox.inspection import NeuronReport, highlight
from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.words import words_frame
from tests.robustness import hostile_files as hostile

resource = pytest.importorskip("resource")

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc and pipes"
)

WORDS = words_frame([["a", "b"]], {"upos": [["N", "V"]]})
H = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.fixture(autouse=True)
def _bounded_memory():
    """Whoever believes a declared size fails here instead of taking the machine's memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def complaint(call, path, message):
    """Return why an error is not as it should be, or None."""
    try:
        call()
    except (ValueError, OSError) as error:
        text = str(error)
    except BaseException as error:  # SystemExit too: a pickle was run
        return f"{type(error).__name__}: {error}"
    else:
        return "no error"
    if "\n" in text or str(path) not in text or not re.search(message, text):
        return text
    # The last sentence is the remedy, unless it quotes transformers after it.
    return None if re.search(r"[.)] [A-Z][^.]*( .*)?\.$|said: ", text) else text


def read(path):
    activations, _ = read_neurox(path, WORDS if path.suffix == ".pt" else None)
    return activations.pool("last")


@pytest.mark.parametrize("kind", ["json", "hdf5", "pt"])
def test_hostile_activation_files(kind, tmp_path):
    files = getattr(hostile, f"{kind.upper()}_FILES")
    write = getattr(hostile, f"write_{kind}")
    wrong = {}
    for number, (name, (content, message)) in enumerate(files.items()):
        path = tmp_path / f"{number}.{kind}"
        write(path, content)
        wrong[name] = complaint(lambda path=path: read(path), path, message)
    assert {name: text for name, text in wrong.items() if text} == {}


@pytest.mark.parametrize("suffix", [".json", ".hdf5", ".pt"])
def test_what_is_no_regular_file_is_not_opened(suffix, tmp_path):
    places = {name: tmp_path / f"{name}{suffix}" for name in ("pipe", "folder", "gone", "loop")}
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    places["loop"].symlink_to(places["loop"])
    with socket.socket(socket.AF_UNIX) as listener:
        places["socket"] = tmp_path / f"socket{suffix}"
        listener.bind(str(places["socket"]))
        messages = {"pipe": "is a pipe", "folder": "is a folder", "socket": "a socket"}
        messages |= {"gone": "exists", "loop": "exists|cannot be opened"}
        wrong = {
            name: complaint(lambda path=path: read(path), path, messages[name])
            for name, path in places.items()
            if name != "gone"
        }
    assert {name: text for name, text in wrong.items() if text} == {}
    with pytest.raises(FileNotFoundError, match="gone"):
        read(places["gone"])


def test_a_file_replaced_after_it_was_looked_at_is_looked_at_again(tmp_path):
    path = tmp_path / "acts.hdf5"
    write_neurox(path, H, WORDS, n_layers=1)
    activations, _ = read_neurox(path)
    elsewhere = pickle.loads(pickle.dumps(activations))  # which takes the file as it finds it
    hostile.write_hdf5(path, hostile.HDF5_FILES["external link"][0])
    with pytest.raises(ValueError, match=r"acts\.hdf5 has changed since .* Call read_neurox again"):
        activations.pool("last")
    with pytest.raises(ValueError, match=r"acts\.hdf5: '0' is a link to another file"):
        elsewhere.pool("last")
    path.unlink()
    write_neurox(path, np.ones((2, 6)), WORDS, n_layers=1)
    with pytest.raises(ValueError, match="had another .* Call read_neurox again"):
        elsewhere.pool("last")


def test_packed_files_are_read(tmp_path):
    path = tmp_path / "acts.hdf5"
    values = np.zeros((2, 2, 50_000), np.float32)
    with h5py.File(path, "w") as file:
        file.create_dataset("0", data=values, chunks=(1, 2, 5000), compression=9, shuffle=True)
        text = file.create_dataset("sentence_to_index", (1,), dtype=h5py.string_dtype())
        text[0] = '{"a b": "0"}'
    assert path.stat().st_size < values.nbytes / 50
    np.testing.assert_array_equal(read(path), np.zeros((2, 100_000)))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_every_kind_of_tensor_is_read(dtype, old, tmp_path):
    values = torch.arange(12, dtype=torch.float32).reshape(2, 2, 3).to(dtype)
    path = tmp_path / "acts.pt"
    torch.save(
        [[list(word) for word in values]], path, _use_new_zipfile_serialization=not old
    )  # views of one storage
    expected = np.arange(12).reshape(2, 6)
    np.testing.assert_array_equal(read(path), expected)


@pytest.mark.parametrize("suffix", [".json", ".hdf5", ".pt"])
def test_values_that_are_not_finite_are_said(suffix, tmp_path):
    path = tmp_path / f"acts{suffix}"
    values = np.array([[1, np.nan], [np.inf, 4]], np.float32)
    if suffix == ".json":
        features = [
            {"token": word, "layers": [{"index": 0, "values": row}]}
            for word, row in zip("ab", values.tolist(), strict=True)
        ]
        path.write_text(json.dumps({"linex_index": 0, "features": features}))
    elif suffix == ".hdf5":
        with h5py.File(path, "w") as file:
            file["0"] = values[None]
            file["sentence_to_index"] = ['{"a b": "0"}']
    else:
        torch.save([[[torch.from_numpy(row)] for row in values]], path)
    message = r"sentence 0 is the first with .*NaN or infinite: 2 of 4 values.*extract them again"
    with pytest.warns(UserWarning, match=message):
        np.testing.assert_array_equal(read(path), values)


@pytest.mark.slow
def test_damaged_model_folders(tmp_path):
    healthy = make_tiny_model("bert", path=tmp_path / "healthy", n_layers=1, hidden_size=16)
    wrong = {}
    for number, (name, (change, message)) in enumerate(hostile.MODEL_FOLDERS.items()):
        folder = tmp_path / str(number)
        shutil.copytree(healthy, folder)
        change(folder)
        wrong[name] = complaint(
            lambda folder=folder: (
                ActivationExtractor(folder).fit(WORDS).transform(WORDS).pool("last")
            ),
            folder,
            message,
        )
    assert {name: text for name, text in wrong.items() if text} == {}


def test_a_random_model_larger_than_memory_is_refused(tmp_path):
    folder = make_tiny_model("bert", path=tmp_path / "model", n_layers=1, hidden_size=16)
    hostile.setting(hidden_size=10**7)(tmp_path / "model")
    with pytest.raises(ValueError, match=r"config\.json states hidden_size = 10000000; one matrix"):
        ActivationExtractor(folder, weights="random").fit(WORDS)


def _enter(context):
    with context:
        pass


def _calls(folder):
    """Return what takes a path, by name."""
    model = make_tiny_model("bert", path=folder / "model", n_layers=1, hidden_size=16)
    stored = Activations.from_arrays([np.ones((1, 2))] * 2)
    report = NeuronReport(ProbelessRanker().fit(H, WORDS["upos"]), H, WORDS["upos"], WORDS)
    shown = highlight(WORDS, H, [0])

    def write(path, **options):
        write_neurox(path, H, WORDS, n_layers=1, **options)

    return {
        "read_neurox": lambda p: read_neurox(p + ".json"),
        "write_neurox": lambda p: write(p + ".json"),
        "parallel": lambda p: write(folder / "x.json", parallel={"word": p}),
        "model": lambda p: ActivationExtractor(p).transform(WORDS),
        "tokenizer": lambda p: ActivationExtractor(model, tokenizer=p).transform(WORDS),
        "cache": lambda p: ActivationExtractor(model, cache=p).fit_transform(WORDS).pool("last"),
        "ActivationCache": ActivationCache,
        "pool": lambda p: stored.pool("last", memmap=p),
        "memmap": lambda p: SubwordAggregator(memmap=p).fit_transform(stored),
        "report": report.write_html,
        "html": shown.write_html,
        "svg": shown.write_svg,
        "highlight": lambda p: highlight(WORDS, p, "hidden.1.0"),
        "make_tiny_model": lambda p: make_tiny_model("bert", path=p),
        "ablate_model": lambda p: _enter(ablate_model(p, ["hidden.1.0"])),
    }


def test_no_path_holds_what_no_file_name_can(tmp_path):
    wrong = {}
    for name, call in _calls(tmp_path).items():
        for bad, what in (("\0", "NUL"), ("\ud800", "ud800")):
            path = f"{tmp_path}/a{bad}b"
            try:
                call(path)
            except ValueError as error:
                text = str(error)
                right = type(error) is ValueError and what in text and "Correct the path" in text
                wrong[name, what] = None if right else repr(error)
            else:
                wrong[name, what] = "no error"
    assert {name: text for name, text in wrong.items() if text} == {}


def test_a_title_that_cannot_be_written_is_refused():
    ranker = ProbelessRanker().fit(H, WORDS["upos"])
    with pytest.raises(ValueError, match="'title' parameter of NeuronReport.*character 1 is half"):
        NeuronReport(ranker, H, WORDS["upos"], WORDS, title="a\udc80b")
