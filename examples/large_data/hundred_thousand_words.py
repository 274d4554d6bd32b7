# SPDX-License-Identifier: BSD-3-Clause
"""
A hundred thousand words
========================

Fill a cache once, then keep the matrix on disk in half precision while a probe and rankers read it.
You learn how long each step takes and how to work with a matrix that may not fit into memory.
"""

import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_neurox import (
    ActivationCache,
    ActivationExtractor,
    ElasticNetProbeClassifier,
    ProbelessRanker,
    SubwordAggregator,
)
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.ranking import AveragePrecisionRanker

times = {}


@contextmanager
def timed(what):
    started = time.perf_counter()
    yield
    times[what] = time.perf_counter() - started


# %%
# Generated sentences and a tiny model with random weights keep this example fast; replace them with
# your own.
words = make_tagged_words(9_700, random_state=0)
model = make_tiny_model("bert", n_layers=4, hidden_size=64)
print(f"{len(words):,} words, {words['text'].nunique():,} distinct sentences")

# %%
# Store the activations of all layers on disk. The second call finds that nothing is left to do.
folder = TemporaryDirectory()  # use a folder that stays, so that later runs find the activations
cache = Path(folder.name, "activations")
extractor = ActivationExtractor(model, cache=cache)
with timed("fill the cache"):
    extractor.fill_cache(words)
with timed("fill it again"):
    extractor.fill_cache(words)
print(ActivationCache(cache).info()[["sentences", "layers"]].to_string(index=False))

# %%
# Write the matrix to disk in half precision. The result is memory-mapped, not loaded.
path = Path(folder.name, "H.npy")
features = make_pipeline(extractor, SubwordAggregator("last", dtype="float16", memmap=path))
with timed("read the cache, write the matrix"):
    H = features.fit_transform(words)
megabytes = path.stat().st_size / 1e6
print(f"{H.shape[0]:,} x {H.shape[1]:,} {H.dtype}, {megabytes:.0f} MB")

# %%
# Hold out whole sentences. The probe and the rankers read the matrix batch by batch.
sentence = pd.factorize(words["text"])[0]
test = np.flatnonzero(sentence % 10 == 0)
y = words["upos"].to_numpy()
weight = (sentence % 10 != 0).astype(float)  # a zero weight excludes a row without copying H
probe = ElasticNetProbeClassifier(alpha=3e-3, standardize=True, random_state=0)
with timed("fit the probe"):
    probe.fit(H, y, sample_weight=weight)
with timed("ProbelessRanker"):
    ProbelessRanker(scale=True).fit(H, y, sample_weight=weight)
with timed("AveragePrecisionRanker"):
    AveragePrecisionRanker().fit(H, y, sample_weight=weight)

# %%
print(f"accuracy on {len(test):,} held-out words: {probe.score(H[test], y[test]):.3f}\n")
print(pd.Series(times).map("{:.1f} s".format).to_string())
del H  # an open file cannot be deleted on Windows
folder.cleanup()

# %%

# Figure: Bars of the seconds that each step takes: filling the cache, fitting the probe and
# ranking by average precision take the most.
ax = pd.Series(times)[::-1].plot.barh(figsize=(7, 3), xlabel="seconds")
ax.figure.tight_layout()

plt.show()
