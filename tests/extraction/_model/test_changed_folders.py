# SPDX-License-Identifier: BSD-3-Clause
"""A model folder whose files change behind their modification times is another model."""

import os
import shutil

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationExtractor, clear_loaded_models
from sklearn_neurox.extraction._model import _fingerprint, _stamps
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
