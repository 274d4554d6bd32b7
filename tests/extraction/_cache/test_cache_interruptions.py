# SPDX-License-Identifier: BSD-3-Clause
"""Processes that fill a cache at once or are killed: nothing wrong, nothing lost."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationCache
from sklearn_neurox.extraction._cache._shard import Shard
from sklearn_neurox.extraction._run._repeated_reads import forget_passes
from tests.extraction._cache.test_cache_filling import pool, shards_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.slow,  # processes that import torch, some of them killed
]


_FILL = """
import os, sys, time
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.extraction._model import _forward
from sklearn_neurox.extraction._model._loading import load_model, load_tokenizer

def load(model):
    spec = ActivationExtractor(model)._spec()
    load_model(spec), load_tokenizer(spec)

run_hidden = _forward.run_hidden

def fill(model, folder, path, delay):
    def slowly(*args):
        time.sleep(float(delay))
        return run_hidden(*args)

    _forward.run_hidden = slowly
    texts = open(path, encoding="utf-8").read().splitlines()
    ActivationExtractor(model, cache=folder, max_batch_tokens=60).fill_cache(texts)

for line in sys.stdin:  # one process each, so that the imports are paid once
    if line == "wait\\n":
        while True:
            try:
                print(*os.wait(), flush=True)
            except ChildProcessError:
                break
        print("none", flush=True)
        continue
    load(line.split(chr(9))[0])
    pid = os.fork()
    if not pid:
        code = 1
        try:
            fill(*line.rstrip().split(chr(9)))
            code = 0
        finally:
            os._exit(code)
    print(pid, flush=True)
"""


class Fillers:
    """Starts processes that fill caches."""

    def __init__(self):
        self.parent = subprocess.Popen(
            [sys.executable, "-c", _FILL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, *arguments):
        self._say("\t".join(map(str, arguments)))
        return int(self.parent.stdout.readline())

    def wait(self):
        """Wait for all processes; return the exit status of each."""
        self._say("wait")
        lines = iter(self.parent.stdout.readline, "none\n")
        return dict(tuple(map(int, line.split())) for line in lines)

    def _say(self, line):
        self.parent.stdin.write(line + "\n")
        self.parent.stdin.flush()


@pytest.fixture(scope="module")
def _fillers():
    found = Fillers()
    yield found
    found.parent.communicate(timeout=60)


@pytest.fixture
def fillers(_fillers):
    yield _fillers
    _fillers.wait()


@pytest.mark.parametrize("n_processes", [2, 4])
def test_processes_fill_one_cache_at_once(n_processes, tiny, texts, tmp_path, fillers):
    """The requests overlap: texts may be computed twice, but never wrongly."""
    folder = tmp_path / "cache"
    for i in range(n_processes):
        path = tmp_path / f"{i}.txt"
        path.write_text("\n".join(texts[15 * i :]), encoding="utf-8")
        fillers.start(tiny("bert"), folder, path, 0)
    assert list(fillers.wait().values()) == [0] * n_processes
    cache = ActivationCache(folder)
    assert cache.verify().empty and not list(folder.rglob("*.tmp"))
    assert cache.info()["sentences"].tolist() == [len(texts)]
    np.testing.assert_allclose(
        pool(tiny("bert"), texts, cache), pool(tiny("bert"), texts), rtol=0, atol=2e-5
    )


# Killed


@pytest.fixture
def killed_at(tiny, texts, tmp_path, fillers):
    """Fill a cache in a process killed a moment after `n_shards` shards; return the folder."""
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts), encoding="utf-8")

    def run(name, n_shards, moment):
        folder = tmp_path / name
        pid = fillers.start(tiny("bert"), folder, path, 0.005)
        deadline = time.monotonic() + 120
        while len(shards_of(folder)) < n_shards:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
        while (state := _state(pid)) not in "ZX":
            assert time.monotonic() < deadline, state
            time.sleep(0.001)
        return folder

    return run


def _state(pid):
    """Return the state of a process: a zombie once it has ended, as nobody has waited for it."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def complete(model, texts, folder, expected, count_forwards):
    """Resume, and count the texts that the model read again."""
    cache = ActivationCache(folder)
    assert cache.verify().empty  # no partial file is visible
    visible = sum(len(Shard(path)) for path in shards_of(folder))
    count_forwards.clear()
    np.testing.assert_array_equal(pool(model, texts, folder), expected)
    assert sum(count_forwards) == len(texts) - visible
    forget_passes()
    return visible


@pytest.fixture
def undisturbed(tiny, texts, tmp_path):
    folder = tmp_path / "undisturbed"
    return pool(tiny("bert"), texts, folder), [path.name for path in shards_of(folder)]


def test_kill_9_loses_only_what_was_not_visible(
    killed_at, undisturbed, tiny, texts, count_forwards
):
    expected, names = undisturbed
    assert len(names) > 8
    rng = np.random.default_rng(0)
    for i, n_shards in enumerate([0, 1, 3, len(names) // 2, len(names) - 1]):
        folder = killed_at(f"killed-{i}", n_shards, rng.uniform(0, 0.02))
        visible = complete(tiny("bert"), texts, folder, expected, count_forwards)
        assert visible > 0 or n_shards == 0
        assert [path.name for path in shards_of(folder)] == names


def test_kill_9_at_fifty_moments(killed_at, undisturbed, tiny, texts, count_forwards):
    expected, names = undisturbed
    rng = np.random.default_rng(1)
    seen = set()
    for i in range(50):
        n_shards = int(rng.integers(0, len(names)))
        folder = killed_at(f"killed-{i}", n_shards, rng.uniform(0, 0.03))
        seen.add(complete(tiny("bert"), texts, folder, expected, count_forwards))
        assert [path.name for path in shards_of(folder)] == names
    assert len(seen) > 5  # the moments differed


def test_an_extended_request_that_is_interrupted_computes_only_what_is_missing(
    tiny, texts, tmp_path, count_forwards
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        pool(tiny("bert"), texts[:40], folder)
        pool(tiny("bert"), texts, folder)
    expected = pool(tiny("bert"), texts, whole)
    removed = shards_of(cut)[::3]
    n_removed = sum(len(Shard(path)) for path in removed)
    for path in removed:
        path.unlink()
    count_forwards.clear()
    H = pool(tiny("bert"), texts, cut)
    # Losing shards of two requests leaves no single plan to repeat, but no extra text is read.
    assert sum(count_forwards) == n_removed
    np.testing.assert_allclose(H, expected, rtol=0, atol=2e-5)
