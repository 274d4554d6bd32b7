# SPDX-License-Identifier: BSD-3-Clause
"""A corpus larger than memory: neither its sentences nor their activations accumulate."""

import json
import sys

import pytest

from sklearn_neurox.datasets import make_tiny_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

_TEXTS = 61  # MiB

# Measure anonymous memory, which the kernel cannot drop: pages of a mapped file do not count.
_MEASURE = """
import json, sys, threading, time
from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, _extractor
from sklearn_neurox.words import words_frame

model, folder, keep = sys.argv[1:]
_extractor._PORTION = 100
N, kept = 200, []

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024

class Peak:
    def __enter__(self):
        self.before, self.peak, self.done = anonymous(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self
    def watch(self):
        while not self.done.is_set():
            self.peak = max(self.peak, anonymous())
            time.sleep(0.002)
    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
        self.grown = self.peak - self.before

groups = make_tagged_words(300, random_state=0).groupby("text")["word"]
sentences = [list(words) for _, words in groups]
if keep == "states":  # what a program that lets them pile up would do
    from sklearn_neurox.extraction._cache._filling import _ShardWriter
    visit = _ShardWriter.visit
    def visit_and_keep(self, block, states):
        kept.append(states.clone())
        visit(self, block, states)
    _ShardWriter.visit = visit_and_keep

def read(first, n):  # few tokens each, and 40 kB
    for i in range(first, first + n):
        text = " ".join([*sentences[i % len(sentences)], str(i), chr(0x1F600) * 10_000])
        if keep == "texts":
            kept.append(text)
        yield text

found, extractor = {}, ActivationExtractor(model, cache=folder)
extractor.fill_cache(read(0, N))  # what the libraries allocate once is no part of it
with Peak() as peak:
    assert extractor.fill_cache(read(N, 8 * N)) == 8 * N
found["fill"] = peak.grown
if keep != "nothing":
    print(json.dumps(found))
    sys.exit()

texts = [[*sentences[i % len(sentences)], str(i)] for i in range(8 * N)]
words = words_frame(texts)
for name, cache in (("cache", folder), ("model", None)):
    extractor = ActivationExtractor(model, cache=cache)
    extractor.set_params(verbose=0).transform(words[:500]).pool("last")
    if cache:
        extractor.fill_cache(words)
    for strategy, dtype in (("last", "float32"), ("max", "float16")):
        aggregator = SubwordAggregator(strategy, dtype=dtype, memmap=f"{folder}/H.npy")
        plan = extractor.transform(words)
        with Peak() as peak:
            H = aggregator.fit_transform(plan)
        found[f"{name} {strategy} {dtype}"] = peak.grown
        found["matrix " + dtype] = H.nbytes / 2**20
print(json.dumps(found))
"""


@pytest.fixture
def measure(tmp_path, run_fresh):
    model = make_tiny_model("bert", path=tmp_path / "model", hidden_size=256)
    folder = str(tmp_path / "cache")
    return lambda keep="nothing": json.loads(run_fresh(_MEASURE, model, folder, keep))


def test_neither_sentences_nor_activations_accumulate(measure):
    found = measure()
    # 1,600 texts of 40 kB, and their states of 100 MiB.
    assert found.pop("fill") < _TEXTS / 2
    matrices = {dtype: found.pop(f"matrix {dtype}") for dtype in ("float32", "float16")}
    assert matrices["float32"] > 50
    for name, grown in found.items():
        assert grown < 25 < matrices[name.rpartition(" ")[2]], name


@pytest.mark.parametrize("what", ["texts", "states"])
def test_the_measure_detects_accumulation(what, measure):
    assert measure(what)["fill"] > _TEXTS
