# SPDX-License-Identifier: BSD-3-Clause
"""Writers that are killed, that race with a changing model or a removal, or run out of disk."""

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import threading
import time

import numpy as np
import pytest
import torch

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._cache import _shard
from tests.extraction._cache.test_cache_interruptions import (  # noqa: F401
    _fillers,
    _state,
    fillers,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.usefixtures("one_thread"),
]


def shards_of(folder):
    return sorted(folder.glob("v4-*/*.safetensors"))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


# Killed


@pytest.mark.slow
@pytest.mark.parametrize(("n_writers", "n_kills"), [(1, 25), (2, 25)])
def test_kills_at_random_moments(n_writers, n_kills, tiny, texts, tmp_path, fillers):  # noqa: F811
    """One or two writers of overlapping texts; each is killed, or with luck finishes before."""
    expected = ActivationExtractor(tiny("bert")).transform(texts).pool("mean")
    rng = np.random.default_rng(n_writers)
    paths = [tmp_path / f"{i}.txt" for i in range(n_writers)]
    for i, path in enumerate(paths):
        path.write_text("\n".join(texts[30 * i :]), encoding="utf-8")
    left = set()
    for kill in range(n_kills):
        folder = tmp_path / f"cache-{kill}"
        running = [fillers.start(tiny("bert"), folder, path, 0.003) for path in paths]
        n_shards = int(rng.integers(0, 16))
        while len(shards_of(folder)) < n_shards and _state(running[0]) not in "ZX":
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.02))
        for pid in rng.permutation(running):
            os.kill(int(pid), signal.SIGKILL)
            time.sleep(rng.uniform(0, 0.02))
        while not all(_state(pid) in "ZX" for pid in running):
            time.sleep(0.001)
        cache = ActivationCache(folder)
        assert cache.verify().empty  # whatever has the name of a shard is whole
        extractor = ActivationExtractor(tiny("bert"), cache=cache, max_batch_tokens=60)
        left.add(extractor.fill_cache(texts))
        close(extractor.transform(texts).pool("mean"), expected)
        for path in folder.rglob("*.tmp"):  # unfinished shards go, once their writers must be dead
            os.utime(path, (0, 0))
        cache.prune()
        assert not list(folder.glob("v4-*/.*")) and cache.verify().empty
        assert extractor.fill_cache(texts) == 0
        shutil.rmtree(folder)
    assert len(left) > 5  # the moments differed


# Races


@contextlib.contextmanager
def meanwhile(act, seed=0):
    """Call a function again and again in another thread, at random moments."""
    stop, rng, errors = threading.Event(), np.random.default_rng(seed), []

    def run():
        try:
            while not stop.wait(rng.uniform(0, 0.03)):
                act(rng)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not errors


def try_to_fill(extractor, texts, n_times):
    """Fill a cache again and again; only the errors that say what happens are expected."""
    for _ in range(n_times):
        try:
            extractor.fill_cache(texts)
        except (RuntimeError, ValueError, OSError) as error:
            assert "cache" in str(error), error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The model did not run:UserWarning")
def test_a_race_with_ablations(live, texts, tmp_path):
    model, tokenizer = live("bert")
    expected = ActivationExtractor(model, tokenizer=tokenizer).transform(texts).pool("mean")

    def ablate(rng):
        with ablate_model(model, ["hidden.1.3", "hidden.0.2"]):
            time.sleep(rng.uniform(0, 0.01))

    for round_ in range(10):
        extractor = ActivationExtractor(
            model, tokenizer=tokenizer, cache=tmp_path / str(round_), max_batch_tokens=60
        )
        with meanwhile(ablate, round_):
            try_to_fill(extractor, texts, 10)
        close(extractor.transform(texts).pool("mean"), expected)


@pytest.mark.slow
def test_a_race_with_training(live, texts, tmp_path):
    """The weights alternate between two states, each of which has a folder of its own."""
    model, tokenizer = live("bert")
    weight = model.encoder.layer[1].output.dense.weight
    states = [weight.detach().clone(), 2 * weight.detach()]

    def train(rng):
        with torch.no_grad():
            weight.copy_(states[rng.integers(2)])

    plain = ActivationExtractor(model, tokenizer=tokenizer)
    for round_ in range(10):
        extractor = ActivationExtractor(
            model, tokenizer=tokenizer, cache=tmp_path / str(round_), max_batch_tokens=60
        )
        with meanwhile(train, round_):
            try_to_fill(extractor, texts, 10)
        for state in states:
            with torch.no_grad():
                weight.copy_(state)
            expected = plain.transform(texts).pool("mean")
            close(extractor.transform(texts).pool("mean"), expected)
        assert len(ActivationCache(tmp_path / str(round_)).info()) == 2


@pytest.mark.slow
def test_a_race_with_removals(tiny, texts, tmp_path):
    expected = ActivationExtractor(tiny("bert")).transform(texts).pool("mean")
    folder = tmp_path / "cache"
    extractor = ActivationExtractor(tiny("bert"), cache=folder, max_batch_tokens=60)

    def remove(rng):
        kind = rng.integers(4)
        if kind == 0:
            shutil.rmtree(folder, ignore_errors=True)
        elif kind == 1:
            for path in list(folder.rglob("*.tmp")):
                path.unlink(missing_ok=True)
        elif kind == 2:
            with contextlib.suppress(FileNotFoundError, ValueError):
                cache = ActivationCache(folder)
                cache.prune(cache.info()["fingerprint"])
        else:
            with contextlib.suppress(FileNotFoundError, ValueError):
                ActivationCache(folder).compact()

    with meanwhile(remove):
        for _ in range(60):
            try:
                close(extractor.transform(texts).pool("mean"), expected)
            except (RuntimeError, OSError) as error:
                assert "cache" in str(error), error
    close(extractor.transform(texts).pool("mean"), expected)
    assert ActivationCache(folder).verify().empty


# A full disk


@contextlib.contextmanager
def small_disk(folder, monkeypatch, n_bytes):
    """Mount a small file system where that is allowed; else let every later write fail."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(folder)]
    is_mounted = False
    with contextlib.suppress(FileNotFoundError):
        is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("is_real", [True, False])
def test_a_full_disk(is_real, tiny, texts, tmp_path, monkeypatch):
    """What was written before stays right; the same call completes once there is room."""
    expected = ActivationExtractor(tiny("bert")).transform(texts).pool("mean")
    disk = tmp_path / "disk"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 0, 1 << 40))
    with contextlib.ExitStack() as stack:
        mounted = is_real and stack.enter_context(small_disk(disk, monkeypatch, 160 << 10))
        with monkeypatch.context() as patch:
            if not mounted:
                fsync, left = os.fsync, [3]

                def full(descriptor):
                    left[0] -= 1
                    if left[0] < 0:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    fsync(descriptor)

                patch.setattr(_shard.os, "fsync", full)
            extractor = ActivationExtractor(
                tiny("bert"), cache=disk / "cache", max_batch_tokens=100
            )
            for _ in range(2):
                with pytest.raises(OSError, match="Free some space and run this again") as caught:
                    extractor.transform(texts).pool("mean")
                assert caught.value.errno == errno.ENOSPC
        cache = ActivationCache(disk / "cache")
        assert cache.verify().empty and not list(disk.rglob("*.tmp"))
        n_stored = cache.info()["sentences"].sum()
        assert 0 < n_stored < len(texts)
        shutil.copytree(disk / "cache", tmp_path / "roomy")
    extractor.set_params(cache=tmp_path / "roomy")
    assert extractor.fill_cache(texts) == len(texts) - n_stored
    close(extractor.transform(texts).pool("mean"), expected)
