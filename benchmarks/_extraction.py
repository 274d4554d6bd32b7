# SPDX-License-Identifier: BSD-3-Clause
"""Compare extraction with the bare forward pass, NeuroX, transformers' pipeline and a warm cache.

The speedup over NeuroX is bounded by the model, not by the code around it. Setting: 239 treebank
sentences through the demo model (3,864 tokens, 82 GFLOP in linear layers), on one thread of a
processor that multiplies matrices at 106 GFLOP/s, which needs at least 0.77 s for them. CPU
seconds, best of several runs: the linear layers alone take 0.93 on our batches and 1.60 on one
sentence at a time; the bare forward pass takes 1.08 and 2.32; this package takes 1.07, NeuroX 2.36.
So NeuroX adds next to nothing to a forward pass over single sentences, which takes about twice as
long as one over batches. On that machine, no extraction could be more than 3.1 times as fast as
NeuroX; this package is 2.2 times as fast. The ratio grows with more threads or on a GPU, which the
few tokens of one sentence cannot keep busy. The rows for the linear layers give the bound for the
current machine: NeuroX's seconds divided by theirs.
"""

import logging
import os
import tempfile
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers

from benchmarks._neurox_session import NeuroxSession
from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path, make_tiny_model
from sklearn_neurox.extraction._cache._shard_index import forget_indices
from sklearn_neurox.extraction._model._loading import load_model
from sklearn_neurox.extraction._run._batching import plan_batches

_TASKS = [  # layers, strategy
    (None, "last"),
    ([-1], "last"),
    ([1], "last"),
]
_PIPELINE_BATCHES = (1, 8, 32, 128)
_RUNS = 7
# All contenders together read each sentence about a hundred times per model.
_N_SENTENCES = 120


def run(*, quick: bool = False) -> dict:
    """Time this package and its peers, in shuffled order, on a small encoder and a small decoder.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use only 60 sentences and two runs.

    Returns
    -------
    tables : dict of str to DataFrame
        One per model, with one row per contender: best and median seconds, words per second, and
        its best time divided by ours. The bare forward pass reads the same batches as this package
        and fills a matrix of the same size; the linear layers alone are its matrix products without
        attention, norms and activation functions; the pipeline returns the last layer of every
        token, without pooling tokens into words; NeuroX reads one sentence at a time.
    """
    words = _sample(benchmark_words(quick=False), 60 if quick else _N_SENTENCES)
    tables = {}
    with warnings.catch_warnings(), NeuroxSession() as neurox:
        warnings.filterwarnings("ignore", ".*for the third time in this process")
        for name, model in {"demo": demo_model_path(), "decoder": _decoder(words)}.items():
            rows = []
            for layers, strategy in _TASKS:
                rows += _compare(model, words, layers, strategy, neurox, 2 if quick else _RUNS)
            title = f"{name} model: {len(words)} words in {words['text'].nunique()} texts, "
            title += f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
            tables[title] = pd.DataFrame(rows).round(3)
    return tables


def _sample(words, n_sentences):
    """Take evenly spaced sentences."""
    ids = words["sentence_id"].unique()
    chosen = ids[np.linspace(0, len(ids) - 1, min(n_sentences, len(ids))).astype(int)]
    return words[words["sentence_id"].isin(chosen)].reset_index(drop=True)


def _decoder(words):
    """Make a decoder of the size of the demo model; random weights do not change its speed."""
    corpus = words["text"].unique()
    sizes = {"n_layers": 6, "hidden_size": 384, "n_heads": 6, "vocab_size": 8000}
    return make_tiny_model("gpt2", max_length=1024, corpus=corpus, **sizes)


def _compare(model, words, layers, strategy, neurox, n_runs):
    task = f"{'all layers' if layers is None else f'layer {layers[0]}'}, {strategy}"
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        contenders = _contenders(model, words, layers, strategy, neurox, Path(folder))
        seconds = {who: [] for who in contenders}
        order = np.random.default_rng(0)
        for _ in range(n_runs):
            # Shuffled, as each run depends on how the previous one left the allocator.
            for who in order.permutation(list(contenders)):
                seconds[who].append(contenders[who]())
    ours = min(seconds["ours"])
    return [
        {
            "task": task,
            "contender": who,
            "best s": min(found),
            "median s": np.median(found),
            "words/s": round(len(words) / min(found)),
            "time / ours": min(found) / ours,
        }
        for who, found in seconds.items()
    ]


def _contenders(model, words, layers, strategy, neurox, cache):
    """Return, for each contender, a function that runs the task and returns its seconds."""
    activations = ActivationExtractor(model, layers=layers).transform(words)
    aggregator = SubwordAggregator(strategy).fit(activations)
    shape = (len(words), aggregator.n_features_out_)
    network, batches, sentences = _bare_inputs(activations)
    contenders = {
        "ours": lambda: _time(lambda: aggregator.transform(activations)),
        "bare forward": lambda: _time(lambda: _bare(network, batches, shape, layers is None)),
    }
    texts = words["text"].unique().tolist()
    if layers is None and strategy == "last":
        warm = ActivationExtractor(model, cache=cache).transform(words)
        aggregator.transform(warm)
        contenders |= {
            "ours, with tokenization": lambda: _time(
                lambda: aggregator.transform(ActivationExtractor(model).transform(words))
            ),
            "NeuroX": lambda: neurox.extract(str(model), texts)["seconds"],
            "bare forward, one sentence at a time": lambda: _time(
                lambda: _bare(network, sentences, shape)
            ),
            "linear layers alone": lambda: _time(lambda: _multiply(network, batches)),
            "linear layers, one sentence at a time": lambda: _time(
                lambda: _multiply(network, sentences)
            ),
            "warm cache": lambda: _time(lambda: aggregator.transform(warm)),
            "warm cache, from disk": lambda: _time_off_disk(
                cache, lambda: aggregator.transform(warm)
            ),
            "its bytes, from disk": lambda: _time_off_disk(cache, lambda: _read_bytes(cache)),
        }
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
    lengths = source.sequences.lengths
    plans = plan_batches(lengths, source.max_batch_tokens), np.arange(len(lengths))[:, None]
    batches, sentences = (
        [source.make_inputs(batch, 1, model.device, False)[0] for batch in plan] for plan in plans
    )
    return model, batches, sentences


def _bare(model, inputs, shape, all_layers=True):
    """Run the whole model on every batch, and fill a matrix of the result's size."""
    with torch.inference_mode():
        for batch in inputs:
            model(**batch, output_hidden_states=all_layers)
    np.full(shape, 1.0, dtype=np.float32)


def _multiply(model, inputs):
    """Compute only the matrix products of the blocks' linear layers."""
    weights = [
        module.weight if isinstance(module, transformers.pytorch_utils.Conv1D) else module.weight.T
        for path, module in model.named_modules()
        if ".h." in f".{path}" or ".layer." in path
        if isinstance(module, (torch.nn.Linear, transformers.pytorch_utils.Conv1D))
    ]
    n_most = max(batch["input_ids"].numel() for batch in inputs)
    tokens = {size: torch.ones(n_most, size) for size in {len(weight) for weight in weights}}
    with torch.inference_mode():
        for batch in inputs:
            for weight in weights:
                tokens[len(weight)][: batch["input_ids"].numel()] @ weight


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


def _time_off_disk(folder, function):
    """Time reading files that neither this process nor the operating system has in memory."""
    forget_indices()
    os.sync()
    for path in folder.rglob("*.safetensors"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return _time(function)
