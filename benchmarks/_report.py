# SPDX-License-Identifier: BSD-3-Clause
"""Time how long reports on 10,000 and 50,000 neurons take to build and to open in Chromium."""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks._words import benchmark_words
from sklearn_neurox.inspection import NeuronReport
from sklearn_neurox.probes import MeanDifferenceProbeClassifier
from sklearn_neurox.ranking import ProbelessRanker

_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_READY = "return performance.getEntriesByName('ready')[0]?.startTime"


def run(*, quick: bool) -> pd.DataFrame:
    """Measure reports with scores and weights for every label; each is opened five times."""
    words = benchmark_words(quick=quick).iloc[:25_000]
    sizes = (500, 1000) if quick else (10_000, 50_000)
    return pd.concat([_measure(words, n_neurons) for n_neurons in sizes], ignore_index=True)


def _measure(words, n_neurons):
    with tempfile.TemporaryDirectory() as folder:
        X = _activations(words, n_neurons, Path(folder) / "X.npy")
        y = words["upos"]
        ranker, probe = ProbelessRanker().fit(X, y), MeanDifferenceProbeClassifier().fit(X, y)
        started = time.process_time()
        report = NeuronReport(ranker, X, y, words, probe=probe)
        took = time.process_time() - started
        page = Path(folder) / "report.html"
        report.write_html(page)
        return pd.DataFrame(
            {
                "neurons": [n_neurons],
                "words": [len(words)],
                "built in, CPU s": [round(took, 1)],
                "size, MB": [round(page.stat().st_size / 1e6, 1)],
                "opened in, s": [round(_opening_seconds(page), 2)],
            }
        )


def _activations(words, n_neurons, path):
    """Write noise plus class means to a file, so that only the report is in memory."""
    rng = np.random.default_rng(0)
    classes = pd.factorize(words["upos"])[0]
    means = rng.standard_normal((classes.max() + 1, n_neurons), dtype=np.float32)
    X = np.lib.format.open_memmap(path, "w+", dtype=np.float16, shape=(len(words), n_neurons))
    for start in range(0, len(words), 1000):
        rows = slice(start, start + 1000)
        X[rows] = rng.standard_normal(X[rows].shape, dtype=np.float32) + means[classes[rows]] / 2
    return X


def _opening_seconds(page):
    """Return the best of five times until the page has unpacked every array."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    for flag in _FLAGS:
        options.add_argument(flag)
    times = []
    # An explicit path keeps selenium from looking for a driver online.
    service = Service(shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as driver:
        for _ in range(5):
            driver.get("about:blank")
            driver.get(page.as_uri())
            while (ready := driver.execute_script(_READY)) is None:
                time.sleep(0.01)
            times.append(ready / 1000)
    return min(times)
