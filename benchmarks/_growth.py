# SPDX-License-Identifier: BSD-3-Clause
"""Cache and read generated tokens by the million: memory, seconds, bytes and files.

A small random decoder fills a cache, of tokens or of one pooled row per text. The process is killed
halfway, and another one resumes; a third one merges the shards; a fourth one reads everything. If
memory is bounded, a corpus four times as large does not make a process grow four times as much.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from benchmarks._memory import peak_growth
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, SubwordAggregator

_N_TOKENS = 1_000_000
# The number of words in a text, and of texts that are read at a time.
_LENGTH, _PORTION = 30, 4096
_KINDS = {"tokens": None, "pooled rows": "mean"}


def run(*, quick: bool = False) -> pd.DataFrame:
    """Fill, kill, resume, merge and read, for a quarter of the tokens and for all of them.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use a twentieth of the tokens.

    Returns
    -------
    table : DataFrame
        For each step: the texts that the model read (for a read: the texts), the growth of the
        memory of the process, its highest resident memory, its seconds, and the bytes and files of
        the cache after it.
    """
    n_tokens = _N_TOKENS // (20 if quick else 1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = make_tiny_model(
            "llama",
            path=Path(folder) / "model",
            n_layers=2,
            hidden_size=64,
            corpus=list(_texts(500)),
        )
        for size in (n_tokens // 4, n_tokens):
            for kind in _KINDS:
                cache = Path(folder) / f"{kind} {size}"
                steps = _steps(kind, model, cache, size // _LENGTH)
                rows += [{"kept": kind, "tokens": size, **step} for step in steps]
    table = pd.DataFrame(rows)
    millions = table["tokens"] / 1e6
    table.insert(5, "s per million", (table["seconds"] / millions).round(1))
    table["MB per million"] = (table["MB on disk"] / millions).round()
    return table


def _steps(kind, model, cache, n_texts):
    killed = _start("fill", kind, model, cache, n_texts)
    # A shard is a batch of tokens, or a portion of rows.
    while killed.poll() is None and _stored(cache) < n_texts / 2:
        time.sleep(0.2)
    killed.kill()
    killed.communicate()
    stored = _stored(cache)
    yield {"step": "killed halfway", "texts": stored, **_size_of(cache)}
    for step in ("resume", "merge", "read"):
        done = _start(step, kind, model, cache, n_texts)
        output, errors = done.communicate()
        if done.returncode:
            raise RuntimeError(f"{step!r} failed:\n{errors}")
        figures = json.loads(output.splitlines()[-1])
        if step == "resume" and figures["texts"] != n_texts - stored:
            raise RuntimeError(f"{figures['texts']} texts were read, not {n_texts - stored}")
        yield {"step": step, **figures, **_size_of(cache)}


def _start(step, kind, model, cache, n_texts):
    command = [sys.executable, "-m", "benchmarks._growth", step, kind, str(model), str(cache)]
    return subprocess.Popen(
        [*command, str(n_texts)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _stored(cache):
    return int(ActivationCache(cache).info()["sentences"].sum())


def _size_of(cache):
    files = list(cache.glob("*/*.safetensors"))
    size = sum(path.stat().st_size for path in files)
    return {"MB on disk": round(size / 1e6, 1), "files": len(files)}


def _texts(n_texts):
    """Generate distinct texts, one at a time, with one token per word and some for its pieces."""
    rng = np.random.default_rng(0)
    types = [f"{a}{b}" for a, b in itertools.product("bdfgklmnprst", "aeiou")]
    types += [a + b for a, b in itertools.product(types, types)]
    for _ in range(n_texts):
        drawn = np.minimum(rng.zipf(1.3, size=_LENGTH), len(types)) - 1
        yield " ".join([types[i] for i in drawn.tolist()])


def _measure(step, kind, model, cache, n_texts):
    """Take one step in this process, and print its figures as JSON."""
    store = ActivationCache(cache, pooled=_KINDS[kind], dtype="float16")
    extractor = ActivationExtractor(model, cache=store)
    pipe = make_pipeline(extractor, SubwordAggregator("mean"))

    def fill():
        return extractor.fill_cache(_texts(n_texts))

    def read():
        texts, n_read = _texts(n_texts), 0
        while portion := list(itertools.islice(texts, _PORTION)):
            n_read += len(pipe.fit_transform(portion))
        return n_read

    # The one-time allocations of the libraries.
    ActivationExtractor(model).transform(["ba be"]).pool("mean")
    calls = {"fill": fill, "resume": fill, "merge": store.compact, "read": read}
    found = []
    growth, took = peak_growth(lambda: found.append(calls[step]()))
    figures = {
        "texts": found[0] if step != "merge" else 0,
        "seconds": round(took, 1),
        "growth, MB": round(growth / 1e6),
        "peak, MB": round(_highest() / 1e6),
    }
    print(json.dumps(figures))


def _highest():
    """Return the highest resident memory of this process in bytes (Linux)."""
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _measure(*sys.argv[1:5], int(sys.argv[5]))
