# SPDX-License-Identifier: BSD-3-Clause
"""Extraction against the bare model's own forward on the same batches."""

import time

import numpy as np
import pandas as pd
import torch

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.extraction._batching import plan_batches
from sklearn_neurox.extraction._loading import load_model

_LAYERS = {"last layer": [-1], "all layers": None, "layer 1 alone": [1]}


def run(*, quick: bool = False) -> pd.DataFrame:
    """Time the pooled extraction and the bare forward, alternating."""
    words = benchmark_words(quick=quick)
    rows = []
    for layers_name, layers in _LAYERS.items():
        for strategy in ("last", "mean", "max") if layers is None else ("last",):
            rows.append((layers_name, strategy, *_compare(words, layers, strategy, quick)))
    columns = ["layers", "strategy", "ours s", "bare forward s", "bare / ours"]
    return pd.DataFrame(rows, columns=columns).round(3)


def _compare(words, layers, strategy, quick):
    activations = ActivationExtractor(demo_model_path(), layers=layers).transform(words)
    aggregator = SubwordAggregator(strategy).fit(activations)
    source = activations._source
    model = load_model(source.spec)
    batches = plan_batches(source.sequences.lengths, source.batch_tokens)
    inputs = [source._inputs(batch, 1, model.device)[0] for batch in batches]
    shape = aggregator.transform(activations[:10]).shape
    shape = (len(words), shape[1])
    ours, bare = [], []
    for _ in range(2 if quick else 7):
        ours.append(_time(lambda: aggregator.transform(activations)))
        bare.append(_time(lambda: _bare(model, inputs, shape, layers is None)))
    return min(ours), min(bare), min(bare) / min(ours)


def _bare(model, inputs, shape, all_layers):
    """Run the whole model on every batch, and fill a matrix of the result's size."""
    with torch.inference_mode():
        for batch in inputs:
            model(**batch, output_hidden_states=all_layers)
    np.full(shape, 1.0, dtype=np.float32)


def _time(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
