# SPDX-License-Identifier: BSD-3-Clause
"""A model folder whose files change behind their modification times is another model."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor, clear_loaded_models
from sklearn_neurox.extraction._model import _fingerprint, _stamps
from sklearn_neurox.extraction._model._files_elsewhere import files_elsewhere
from sklearn_neurox.extraction._model._stamps import stamp

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "A light rain"]


def in_place(path, data):
    with open(path, "r+b") as file:
        file.write(data)


def by_replacement(path, data):
    path.with_suffix(".new").write_bytes(data)
    os.replace(path.with_suffix(".new"), path)


def by_memory_map(path, data):
    values = np.memmap(path, dtype=np.uint8, mode="r+")
    values[:] = np.frombuffer(data, dtype=np.uint8)
    values.flush()


def negated_weights(folder):
    """Return the bytes of the weights with all signs changed, as long as the original."""
    from safetensors.numpy import load, save

    data = (folder / "model.safetensors").read_bytes()
    other = save({name: -value for name, value in load(data).items()}, {"format": "pt"})
    assert len(other) == len(data)
    return other


@pytest.mark.slow
@pytest.mark.parametrize("write", [in_place, by_replacement, by_memory_map])
def test_weights_changed_with_their_times_kept(write, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(_fingerprint, "_WORTH_KEEPING", 1)
    monkeypatch.setattr(_fingerprint, "_SETTLED_NS", 0)
    folder, cache = tmp_path / "model", tmp_path / "cache"
    shutil.copytree(tiny("bert"), folder)
    weights = folder / "model.safetensors"
    before = os.stat(weights)
    first = ActivationExtractor(folder, cache=cache).transform(TEXTS).pool("mean")
    assert list((cache / ".digests").iterdir())  # kept for other processes
    write(weights, negated_weights(folder))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(weights).st_mtime_ns == before.st_mtime_ns
    # Here, where the model is loaded, and as in a new process.
    found = [ActivationExtractor(folder, cache=cache).transform(TEXTS).pool("mean")]
    clear_loaded_models()
    _fingerprint._of_files.cache_clear()
    found.append(ActivationExtractor(folder, cache=cache).transform(TEXTS).pool("mean"))
    clear_loaded_models()
    expected = ActivationExtractor(folder).transform(TEXTS).pool("mean")
    for H in found:
        np.testing.assert_array_equal(H, expected)
    assert np.abs(expected - first).max() > 1e-2


@pytest.mark.slow
def test_a_model_that_is_loaded_already_is_loaded_again(tiny, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny("bert"), folder)
    first = ActivationExtractor(folder).transform(TEXTS).pool("mean")
    weights = folder / "model.safetensors"
    before = os.stat(weights)
    in_place(weights, negated_weights(folder))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert np.abs(ActivationExtractor(folder).transform(TEXTS).pool("mean") - first).max() > 1e-2


def test_a_sample_counts_where_a_drive_keeps_no_times(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    data = np.random.default_rng(0).bytes(1_000_000)
    path.write_bytes(data)
    real = os.stat(path)

    class Still:
        st_size, st_dev, st_ino = real.st_size, real.st_dev, real.st_ino
        st_mtime_ns = st_ctime_ns = real.st_mtime_ns

    monkeypatch.setattr(_stamps.os, "stat", lambda path: Still)
    first = stamp(path)
    for start, stop in ((0, 4), (999_996, 1_000_000), (200_000, 300_000), (0, 1_000_000)):
        other = bytearray(data)
        other[start:stop] = bytes(255 - byte for byte in other[start:stop])
        path.write_bytes(other)
        assert stamp(path) != first
        path.write_bytes(data)
        assert stamp(path) == first


def test_small_and_unreadable_files_have_stamps_too(tmp_path):
    for size in (0, 1, 4096, 4097):
        path = tmp_path / str(size)
        path.write_bytes(b"a" * size)
        first = stamp(path)
        assert first == stamp(path)
        path.write_bytes(b"b" * size)
        assert size == 0 or stamp(path) != first
    assert _stamps._sample(tmp_path, 0) is None


def in_a_folder_below(folder, named):
    """Move the weights of a model into a folder below, and name them as transformers allows."""
    (folder / "below").mkdir()
    weights = folder / "below" / "weights.safetensors"
    os.replace(folder / "model.safetensors", weights)
    if named == "config":
        config = json.loads((folder / "config.json").read_text())
        config["transformers_weights"] = "below/weights.safetensors"
        (folder / "config.json").write_text(json.dumps(config))
    else:
        names = dict.fromkeys(load_file(weights), "below/weights.safetensors")
        index = json.dumps({"metadata": {}, "weight_map": names})
        (folder / "model.safetensors.index.json").write_text(index)
    return weights


@pytest.mark.slow
@pytest.mark.parametrize("named", ["config", "index"])
def test_weights_in_a_folder_below_count(named, tiny, tmp_path):
    folder, cache = shutil.copytree(tiny("bert"), tmp_path / "model"), tmp_path / "cache"
    weights = in_a_folder_below(folder, named)
    for factor in (1.0, 1.5):
        stored = load_file(weights)
        save_file({n: factor * v for n, v in stored.items()}, weights, metadata={"format": "pt"})
        model = AutoModel.from_pretrained(folder).eval()
        inputs = AutoTokenizer.from_pretrained(folder)(TEXTS[0], return_tensors="pt")
        with torch.inference_mode():
            expected = model(**inputs).last_hidden_state[0, 1:-1].mean(0).numpy()
        for asked in (cache, cache, None):
            H = ActivationExtractor(folder, layers=-1, cache=asked).transform(TEXTS).pool("mean")
            np.testing.assert_allclose(H[0], expected, atol=1e-5)


def test_an_index_that_cannot_be_read_names_no_files(tmp_path):
    file = tmp_path / "model.safetensors.index.json"
    for text in (
        "",
        "[/",
        '{"weight_map": ["a/b"]}',
        '["a/b"]',
        '{"weight_map": {"x": 3}, "/": 1}',
    ):
        file.write_text(text)
        assert files_elsewhere(tmp_path) == []
    file.write_text("[/" * 100_000)
    assert files_elsewhere(tmp_path) == []
    file.unlink()
    os.mkfifo(file)
    assert files_elsewhere(tmp_path) == []
