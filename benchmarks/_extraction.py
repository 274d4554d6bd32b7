# SPDX-License-Identifier: BSD-3-Clause
"""Extraction against the bare model's forward, NeuroX, transformers' pipeline and a warm cache."""

import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers

from benchmarks._peers import neurox_extract
from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path, make_tiny_model
from sklearn_neurox.extraction._batching import plan_batches
from sklearn_neurox.extraction._loading import load_model

_TASKS = [  # layers, strategy
    (None, "last"),
    (None, "mean"),
    (None, "max"),
    ([-1], "last"),
    ([1], "last"),
]
_PIPELINE_BATCHES = (1, 8, 32, 128)
# Peers that take many times as long run less often.
_SLOW_RUNS = 3


def run(*, quick: bool = False) -> pd.DataFrame:
    """Time this package and its peers, alternating, on a small encoder and a small decoder.

    Parameters
    ----------
    quick : bool, default=False
        Two hundred sentences and two runs.

    Returns
    -------
    table : DataFrame
        A row a contender: best seconds, words a second, and how often ours fits into its time.
        The bare forward reads the very batches of ours; the pipeline returns the last layer of
        every token, on no word; NeuroX reads a sentence at a time.
    """
    words = benchmark_words(quick=quick)
    rows = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*for the third time in this process")
        for name, model in {"demo": demo_model_path(), "decoder": _decoder(words)}.items():
            for layers, strategy in _TASKS:
                rows += _compare(name, model, words, layers, strategy, quick)
    return pd.DataFrame(rows).round(3)


def _decoder(words):
    """As large as the demo model, of random weights: how fast it is does not depend on them."""
    corpus = words["text"].unique()
    sizes = {"n_layers": 6, "hidden_size": 384, "n_heads": 6, "vocab_size": 8000}
    return make_tiny_model("gpt2", max_length=1024, corpus=corpus, **sizes)


def _compare(name, model, words, layers, strategy, quick):
    task = f"{'all layers' if layers is None else f'layer {layers[0]}'}, {strategy}"
    with tempfile.TemporaryDirectory() as folder:
        contenders = _contenders(model, words, layers, strategy, Path(folder))
        best = dict.fromkeys(contenders, np.inf)
        for turn in range(2 if quick else 7):
            for who, contender in contenders.items():
                if turn < _SLOW_RUNS or not who.startswith(("NeuroX", "pipeline")):
                    best[who] = min(best[who], contender())
    return [
        {
            "model": name,
            "task": task,
            "who": who,
            "s": seconds,
            "words/s": round(len(words) / seconds),
            "times ours": seconds / best["ours"],
        }
        for who, seconds in best.items()
    ]


def _contenders(model, words, layers, strategy, cache):
    """Give a function that tells its own seconds for each of those who do the task."""
    activations = ActivationExtractor(model, layers=layers).transform(words)
    aggregator = SubwordAggregator(strategy).fit(activations)
    shape = (len(words), aggregator.n_features_out_)
    network, inputs = _bare_inputs(activations)
    contenders = {
        "ours": lambda: _time(lambda: aggregator.transform(activations)),
        "bare forward": lambda: _time(lambda: _bare(network, inputs, shape, layers is None)),
    }
    texts = words["text"].unique().tolist()
    if layers is None and strategy == "last":
        contenders["NeuroX"] = lambda: neurox_extract(str(model), texts)["seconds"]
        warm = ActivationExtractor(model, cache=cache).transform(words)
        aggregator.transform(warm)
        contenders["warm cache"] = lambda: _time(lambda: aggregator.transform(warm))
        contenders["bytes of the cache"] = lambda: _time(lambda: _read_bytes(cache))
    if layers == [-1]:
        pipe = _pipeline(model)
        for size in _PIPELINE_BATCHES:
            contenders[f"pipeline, batch {size}"] = lambda size=size: _time(
                lambda: _drain(pipe(texts, batch_size=size))
            )
    return contenders


def _bare_inputs(activations):
    source = activations._source
    model = load_model(source.spec)
    batches = plan_batches(source.sequences.lengths, source.batch_tokens)
    return model, [source._inputs(batch, 1, model.device)[0] for batch in batches]


def _bare(model, inputs, shape, all_layers):
    """Run the whole model on every batch, and fill a matrix of the result's size."""
    with torch.inference_mode():
        for batch in inputs:
            model(**batch, output_hidden_states=all_layers)
    np.full(shape, 1.0, dtype=np.float32)


def _pipeline(model):
    logging.getLogger("transformers").setLevel(logging.ERROR)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    options = {"truncation": True, "return_tensors": True, "device": "cpu"}
    return transformers.pipeline(
        "feature-extraction", model=str(model), tokenizer=tokenizer, **options
    )


def _drain(outputs):
    for _ in outputs:
        pass


def _read_bytes(folder):
    for path in folder.rglob("*.safetensors"):
        path.read_bytes()


def _time(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
