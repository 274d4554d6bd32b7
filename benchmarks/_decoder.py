# SPDX-License-Identifier: BSD-3-Clause
"""Read a decoder of ordinary size: against its bare forward pass, from a cache, layer by layer.

The decoder is the one in the folder SKLEARN_NEUROX_DECODER (see tests/decoder.txt), or else a
random one of the same width with four layers, which is as fast per layer.
"""

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
import torch
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from transformers import AutoConfig, AutoModel, AutoTokenizer

from benchmarks._extraction import _bare, _bare_inputs, _sample, _time
from benchmarks._memory import peak_growth
from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, SubwordAggregator, layer_profile
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction._model._fetching import quiet_transformers

_RUNS, _N_SENTENCES = 5, 50
_IN_TURN, _AT_ONCE = "one layer at a time", "the matrix of all layers"
_PROFILES = (_IN_TURN, _AT_ONCE)


def run(*, quick: bool = False) -> dict:
    """Time and measure the reading of a decoder.

    Parameters
    ----------
    quick : bool, default=False
        Whether to use ten sentences and two runs.

    Returns
    -------
    tables : dict of str to DataFrame
        Reading against the bare forward pass over the same batches, which fills a matrix of the
        result's size (``of the bare speed``: its median seconds divided by ours); reading from a
        warm cache, by name and with a loaded model; and `layer_profile` from a warm cache, one
        layer at a time and on the matrix of all layers.
    """
    n_sentences, n_runs = (10, 2) if quick else (_N_SENTENCES, _RUNS)
    words = _sample(benchmark_words(quick=False), n_sentences)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as cache:
        for message in (".*for the third time in this process", ".*an attention sink"):
            warnings.filterwarnings("ignore", message)
        folder = os.environ.get("SKLEARN_NEUROX_DECODER") or _stand_in(words)
        what = f"{len(words)} words, {torch.get_num_threads()} threads"
        what += f", load {os.getloadavg()[0]:.1f}"
        return {
            f"{Path(folder).name}: {what}": _read(folder, words, n_runs),
            "from a cache": _read_warm(folder, words, cache, n_runs),
            "layer_profile, from that cache": _profile(folder, n_sentences, cache),
        }


def _stand_in(words):
    sizes = {"n_layers": 4, "hidden_size": 576, "n_heads": 9, "vocab_size": 8000}
    return make_tiny_model("llama", max_length=2048, corpus=words["text"].unique(), **sizes)


def _read(folder, words, n_runs):
    middle = AutoConfig.from_pretrained(folder).num_hidden_layers // 2
    rows = []
    for task, params in {
        "the last layer": {"layers": [-1]},
        "the layer in the middle": {"layers": [middle]},
        "all layers": {},
        "mlp, last layer": {"component": "mlp", "layers": [-1]},
        "mlp, all layers": {"component": "mlp"},
        "attention, last layer": {"component": "attention", "layers": [-1]},
        "attention, all layers": {"component": "attention"},
    }.items():
        activations = ActivationExtractor(folder, **params).transform(words)
        aggregator = SubwordAggregator("last").fit(activations)
        shape = (len(words), aggregator.n_features_out_)
        model, batches, _ = _bare_inputs(activations)
        # As we do: a cache of keys and values serves only generation.
        batches = [{**batch, "use_cache": False} for batch in batches]
        every = task == "all layers"
        seconds = _alternate(
            {
                "ours": lambda a=activations, p=aggregator: p.transform(a),
                "bare": lambda m=model, b=batches, s=shape, e=every: _bare(m, b, s, e),
            },
            n_runs,
        )
        n_tokens = int(activations._source.sequences.lengths.sum())
        (ours, our_cpu), (bare, bare_cpu) = (
            np.median(seconds[who], axis=0) for who in ("ours", "bare")
        )
        rows.append(
            {
                "read": task,
                "neurons": shape[1],
                "ours, s": ours,
                "bare forward, s": bare,
                "of the bare speed": bare / ours,
                "by CPU time": bare_cpu / our_cpu,
                "tokens/s": round(n_tokens / ours),
            }
        )
    return pd.DataFrame(rows).round(3)


def _read_warm(folder, words, cache, n_runs):
    """Time whole calls, with the search of the cache and the identification of the model."""
    with quiet_transformers():
        live = AutoModel.from_pretrained(folder)
    own = {"tokenizer": AutoTokenizer.from_pretrained(folder), "cache": cache}
    named = ActivationExtractor(folder, cache=cache)
    rows = [{"read": "cold, all layers", "seconds": _time(lambda: named.fill_cache(words))}]
    loaded = ActivationExtractor(live, **own)
    rows.append({"read": "cold, loaded model", "seconds": _time(lambda: loaded.fill_cache(words))})
    contenders = {
        "warm, all layers": named,
        "warm, the last layer": ActivationExtractor(folder, cache=cache, layers=[-1]),
        "warm, the last layer, loaded model": ActivationExtractor(live, layers=[-1], **own),
        "the same with fingerprint=": ActivationExtractor(
            live, layers=[-1], fingerprint="as it is", **own
        ),
    }
    contenders["the same with fingerprint="].fill_cache(words)
    pipes = {who: make_pipeline(own, SubwordAggregator()) for who, own in contenders.items()}
    seconds = _alternate(
        {who: lambda pipe=pipe: pipe.fit_transform(words) for who, pipe in pipes.items()}, n_runs
    )
    rows += [
        {"read": who, "seconds": np.median(found, axis=0)[0]} for who, found in seconds.items()
    ]
    return pd.DataFrame(rows).round(3)


def _alternate(contenders, n_runs):
    """Return the seconds and the CPU seconds of each run of each contender, in shuffled order.

    On a machine that does other work, too, the CPU seconds tell more.
    """
    seconds, order = {who: [] for who in contenders}, np.random.default_rng(0)
    for _ in range(n_runs):
        for who in order.permutation(list(contenders)):
            before = time.process_time()
            took = _time(contenders[who])
            seconds[who].append((took, time.process_time() - before))
    return seconds


def _profile(folder, n_sentences, cache):
    rows = []
    for how in _PROFILES:
        command = [sys.executable, "-m", "benchmarks._decoder", how, folder, cache]
        done = subprocess.run(
            [*command, str(n_sentences)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"layer_profile with {how} failed:\n{done.stderr}")
        rows.append({"how": how, **json.loads(done.stdout.splitlines()[-1])})
    return pd.DataFrame(rows)


def _measure(how, folder, cache, n_sentences):
    """Profile the layers in this process, and print the figures as JSON."""
    words = _sample(benchmark_words(quick=False), int(n_sentences))
    features = make_pipeline(ActivationExtractor(folder, cache=cache), SubwordAggregator("last"))
    given = {"groups": words["text"], "cv": GroupKFold(5)}
    probe, y = NearestCentroid(), words["upos"]

    def at_once():
        H = features.fit_transform(words)
        names = features.get_feature_names_out()
        return layer_profile(probe, H, y, input_features=names, **given)

    def in_turn():
        return layer_profile(make_pipeline(*features, probe), words, y, **given)

    features.fit_transform(words.iloc[:20])  # the one-time allocations of the libraries
    found = []
    growth, took = peak_growth(lambda: found.append(in_turn() if how == _IN_TURN else at_once()))
    profile = found[0]
    figures = {
        "layers": len(profile),
        "one layer, MB": round(len(words) * int(profile["n_neurons"].max()) * 4 / 1e6, 1),
        "growth, MB": round(growth / 1e6, 1),
        "seconds": round(took, 2),
        "best layer": profile.loc[profile["score"].idxmax(), "name"],
        "its accuracy": round(float(profile["score"].max()), 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _measure(*sys.argv[1:])
