# SPDX-License-Identifier: BSD-3-Clause
"""Measure the peak memory of fits and readers beside the size of what they are given.

Each case runs in a process of its own. What grows is the anonymous memory of the process between
the moment before the call, with the input in memory, and its highest point during the call, so a
growth of one matrix means one copy.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

_MB = 1e6


def run(*, quick: bool = False) -> pd.DataFrame:
    """Measure every case.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use inputs a tenth of the size.

    Returns
    -------
    table : DataFrame
        The size of each input, the growth during the call, their ratio, and the seconds it took.
    """
    scale = 10 if quick else 1
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    rows = []
    for name in _CASES:
        command = [sys.executable, "-m", "benchmarks._memory", name, str(scale)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise RuntimeError(f"The case {name!r} failed:\n{done.stderr}")
        rows.append({"what": name, **json.loads(done.stdout.splitlines()[-1])})
    table = pd.DataFrame(rows)
    table.insert(3, "growth / input", (table["growth, MB"] / table["input, MB"]).round(2))
    return table


def _probe(dtype):
    def prepare(scale):
        from sklearn_neurox import ElasticNetProbeClassifier

        X, y = _matrix(2_000, 50_000 // scale, dtype), _labels(2_000, 5)
        probe = ElasticNetProbeClassifier(alpha=0.1, max_iter=20, random_state=0)
        return X.nbytes, lambda: probe.fit(X, y)

    return prepare


def _many_classes(scale):
    from sklearn_neurox import ElasticNetProbeClassifier

    n_rows, n_classes = 16_000 // scale, 1_000 // scale
    X, y = _matrix(n_rows, 128, np.float32), _labels(n_rows, n_classes)
    probe = ElasticNetProbeClassifier(alpha=1e-3, max_iter=5, random_state=0)
    return X.nbytes, lambda: probe.fit(X, y)


def _ranker(scale):
    from sklearn_neurox import LCARanker

    X, y = _matrix(1_000, 100_000 // scale, np.float32), _labels(1_000, 5)
    return X.nbytes, lambda: LCARanker().fit(X, y)


def _treebank(scale):
    import tempfile

    from sklearn_neurox.words import read_conllu

    rng = np.random.default_rng(0)
    n_words = 1_000_000 // scale
    types = [f"word{i}" for i in range(20_000)]
    drawn = (rng.zipf(1.3, size=n_words) % len(types)).tolist()
    file = Path(tempfile.mkdtemp(prefix="memory-")) / "generated.conllu"
    with open(file, "w", encoding="utf-8") as stream:
        for place, word in enumerate(drawn):
            position = place % 20 + 1
            if position == 1:
                stream.write(f"\n# sent_id = s{place}\n")
            tag = ("NOUN", "VERB", "DET")[word % 3]
            stream.write(f"{position}\t{types[word]}\t_\t{tag}\t{tag}\t_\t0\troot\t_\t_\n")
    size = file.stat().st_size
    del drawn, types

    def read():
        read_conllu(file)
        file.unlink()
        file.parent.rmdir()

    return size, read


_CASES = {
    "probe, 2,000 x 50,000 float64": _probe("float64"),
    "probe, 2,000 x 50,000 float32": _probe("float32"),
    "probe, 2,000 x 50,000 float16": _probe("float16"),
    "probe, 16,000 x 128 float32, 1,000 classes": _many_classes,
    "LCARanker, 1,000 x 100,000 float32": _ranker,
    "read_conllu, 1,000,000 words": _treebank,
}


def _matrix(n_rows, n_columns, dtype):
    """Draw noise in place, so that preparing takes no more than the matrix."""
    rng = np.random.default_rng(0)
    X = np.empty((n_rows, n_columns), dtype=dtype)
    for row in X:
        row[:] = rng.standard_normal(n_columns, dtype=np.float32)
    X[:, 0] += np.arange(n_rows) % 5
    return X


def _labels(n_rows, n_classes):
    return np.arange(n_rows) % n_classes


def _anonymous():
    """Return the anonymous memory of this process in bytes (Linux), without mapped files."""
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def peak_growth(call):
    """Call a function; return how many bytes this process grew meanwhile, and the seconds."""
    before, peak, done = _anonymous(), [0], threading.Event()

    def watch():
        while not done.is_set():
            peak[0] = max(peak[0], _anonymous())
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    started = time.perf_counter()
    try:
        call()
    finally:
        took = time.perf_counter() - started
        done.set()
        thread.join()
    return peak[0] - before, took


def _measure(name, scale):
    """Run one case in this process and print its figures as JSON."""
    import warnings

    from sklearn_neurox import ElasticNetProbeClassifier

    warnings.simplefilter("ignore")
    # A first fit makes the one-time allocations of the libraries.
    ElasticNetProbeClassifier().fit(_matrix(300, 20, np.float32), _labels(300, 3))
    size, call = _CASES[name](scale)
    growth, took = peak_growth(call)
    figures = {
        "input, MB": round(size / _MB, 1),
        "growth, MB": round(growth / _MB, 1),
        "seconds": round(took, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    _measure(sys.argv[1], int(sys.argv[2]))
