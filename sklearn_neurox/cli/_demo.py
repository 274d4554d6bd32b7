# SPDX-License-Identifier: BSD-3-Clause
"""``sklearn-neurox demo``: the main job, step by step."""

import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sklearn_neurox.ablation import ablation_curve
from sklearn_neurox.datasets import demo_model_path, make_tagged_words
from sklearn_neurox.evaluation import baseline_table
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.ranking import LCARanker
from sklearn_neurox.words import read_conllu

_NEXT_STEPS = """\
Where to go next
  your own treebank   sklearn-neurox demo --data FILE.conllu --label upos
  your own model      sklearn-neurox demo --model NAME_OR_FOLDER
  in Python           from sklearn_neurox import ActivationExtractor, SubwordAggregator, LCARanker
                      help(ActivationExtractor) has an example; so has every class
"""


def add_demo(commands):
    """Add the command ``demo``.

    Parameters
    ----------
    commands : argparse subparsers
    """
    demo = commands.add_parser(
        "demo", help="the main job from text to ablated neurons, with the time of each step"
    )
    demo.add_argument("--data", metavar="FILE.conllu", help="a treebank (default: made sentences)")
    demo.add_argument("--label", default="upos", help="upos, xpos or a feature such as Number")
    demo.add_argument("--model", help="a model's name or folder (default: the demo model)")
    demo.add_argument(
        "--alpha", type=float, default=2.3e-3, help="strength of the penalty (default: %(default)s)"
    )
    demo.add_argument(
        "--l1-ratio", type=float, default=0.13, help="share of its L1 part (default: %(default)s)"
    )
    demo.set_defaults(run=_demo)


def _demo(arguments):
    started = time.perf_counter()
    probe = ElasticNetProbeClassifier(
        alpha=arguments.alpha, l1_ratio=arguments.l1_ratio, standardize=True, random_state=0
    )
    probe._validate_params()
    with _step("Words"):
        words = _read_words(arguments)
        train, test = _split(words)
        print(f"{words['label'].nunique()} values of {arguments.label!r}; every fifth sentence is")
        print(f"held out, the same sentence never on both sides: {len(train):,} words to train on,")
        print(f"{len(test):,} to test")
    with _step("Activations"):
        features = make_pipeline(
            ActivationExtractor(arguments.model or demo_model_path(), verbose=1),
            SubwordAggregator("last"),
        ).set_output(transform="pandas")
        H = features.fit_transform(words)
        print(f"{H.shape[1]:,} neurons")
    y = words["label"].to_numpy()
    with _step("A probe on each layer"):
        print(_layer_table(probe, H, words, y, train, test).to_string(index=False))
    with _step("A probe on all layers, and its best neurons"):
        probe.fit(H.iloc[train], y[train])
        ranker = LCARanker(FrozenEstimator(probe)).fit(H.iloc[train], y[train])
        best = ranker.to_frame()
        print(f"accuracy {probe.score(H.iloc[test], y[test]):.3f}; the ten best neurons:")
        print(_best_table(best, ranker.classes_).to_string(index=False))
    with _step("Ablation: keep some neurons, fill the others with their mean, or retrain"):
        curve = ablation_curve(
            probe, H.to_numpy(), y, cv=[(train, test)], n_draws=5, random_state=0
        )
        print(_ablation_table(curve).to_string())
    print(f"Done in {time.perf_counter() - started:.0f} s.\n\n{_NEXT_STEPS}", end="")


@contextmanager
def _step(title):
    print(f"== {title}", flush=True)
    started = time.perf_counter()
    yield
    print(f"   ({time.perf_counter() - started:.1f} s)\n", flush=True)


def _read_words(arguments):
    label = arguments.label
    if arguments.data is None:
        words = make_tagged_words(1000, random_state=0)
        label = label.lower()
    elif label in ("upos", "xpos"):
        words = read_conllu(arguments.data, columns=[label])
    else:
        words = read_conllu(arguments.data, columns=(), feats=[label])
    if label not in words:
        raise ValueError(
            f"--label {arguments.label}: the made sentences carry upos, number and tense."
        )
    words = words.rename(columns={label: "label"})
    labelled = words.dropna(subset=["label"]).reset_index(drop=True)
    print(f"{len(words):,} words of {words['sentence_id'].nunique():,} sentences, ", end="")
    print(f"{len(labelled):,} of them with a label")
    if labelled["label"].nunique() < 2 or labelled["text"].nunique() < 10:
        raise ValueError(
            f"--label {arguments.label}: the demo needs two different labels and ten sentences. "
            "Features are written as in the file, upper and lower case included."
        )
    return labelled


def _split(words):
    held_out = pd.factorize(words["text"])[0] % 5 == 0
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _layer_table(probe, H, words, y, train, test):
    rows = []
    layers = H.columns.str.rsplit(".", n=1).str[0]
    for layer in layers.unique():
        Z = H.loc[:, layers == layer].to_numpy()
        fitted = probe.fit(Z[train], y[train])
        used = int(np.any(fitted.coef_ != 0, axis=0).sum())
        rows.append((layer, fitted.score(Z[test], y[test]), f"{used} of {Z.shape[1]}"))
    rows.append(("most frequent label of the word", _baseline(words, y, train, test), ""))
    return pd.DataFrame(rows, columns=["layer", "accuracy", "neurons used"]).round(3)


def _baseline(words, y, train, test):
    table = baseline_table(words, y, baselines=["word type"], cv=[(train, test)])
    return table["score"].item()


def _best_table(ranking, classes):
    best = ranking.head(10)
    if len(classes) == 2:
        # Both classes share one row of weights.
        return best[["rank", "neuron", "score"]]
    by_class = best[[f"score_{label}" for label in classes]].to_numpy()
    return best[["rank", "neuron", "score"]].assign(
        matters_most_for=classes[by_class.argmax(axis=1)]
    )


def _ablation_table(curve):
    curve = curve.assign(
        kept=(100 * curve["fraction"]).round().astype(int).astype(str) + " %",
        mode=np.where(curve["retrained"], "retrained", "filled"),
    )
    scores = curve.groupby(["mode", "which", "kept"])["score"]
    table = scores.agg(_with_spread).unstack("mode", fill_value="")
    return table.reindex(["all", "top", "random", "bottom"], level=0)


def _with_spread(scores):
    spread = f" ± {scores.std():.3f}" if len(scores) > 1 else ""
    return f"{scores.mean():.3f}{spread}"
