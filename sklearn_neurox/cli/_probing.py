# SPDX-License-Identifier: BSD-3-Clause
"""The options and steps shared by the commands that fit probes."""

import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import baseline_table, layer_profile
from sklearn_neurox.extraction import SubwordAggregator
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.probes._default_probe import RANKING_TOL
from sklearn_neurox.words import read_conllu
from sklearn_neurox.words._readers._read_conllu import COLUMNS


def add_probing_options(add):
    """Add the options of the probe to the ``add_argument`` of a parser."""
    add(
        "--label",
        default="upos",
        help="the annotation to predict: a column such as upos or deprel, or a feature such as "
        "Number (default: %(default)s)",
    )
    add("--model", help="the name or folder of a model (default: the demo model)")
    add(
        "--alpha", type=float, default=2.3e-3, help="strength of the penalty (default: %(default)s)"
    )
    add(
        "--l1-ratio",
        type=float,
        default=0.13,
        help="L1 share of the penalty (default: %(default)s)",
    )


def make_probe(arguments):
    """Return the probe that the options describe; raise an error if one is invalid."""
    probe = ElasticNetProbeClassifier(
        alpha=arguments.alpha,
        l1_ratio=arguments.l1_ratio,
        standardize=True,
        tol=RANKING_TOL,
        random_state=0,
    )
    probe._validate_params()
    return probe


@contextmanager
def step(title):
    """Print the title of a step, and afterwards how long it took."""
    print(f"== {title}", flush=True)
    started = time.perf_counter()
    yield
    print(f"   ({time.perf_counter() - started:.1f} s)\n", flush=True)


def extract_and_score(arguments, extractor, aggregation, probe):
    """Run the steps up to a probe on each layer; return words, activations, split and scores."""
    with step("Words"):
        words = read_labeled_words(arguments.data, arguments.label)
        train, test = split_sentences(words, arguments.label)
    with step("Activations"):
        features = make_pipeline(extractor, SubwordAggregator(aggregation))
        H = features.set_output(transform="pandas").fit_transform(words)
        print(f"{H.shape[1]:,} neurons")
    with step("A probe on each layer"):
        layers = layer_table(probe, H, words, train, test)
        print(layers.to_string(index=False, na_rep=""))
    return words, H, train, test, layers


def read_labeled_words(data, label):
    """Read the words of a treebank that have a label, or generate some if ``data`` is None."""
    column = label
    if data is None:
        words = make_tagged_words(1000, random_state=0)
        column = label.lower()
    elif label in COLUMNS:
        words = read_conllu(data, columns=[label])
    else:
        words = read_conllu(data, columns=(), feats=[label])
    if column not in words:
        raise ValueError(f"--label {label}: generated sentences have only upos, number and tense.")
    words = words.rename(columns={column: "label"})
    words["label"] = words["label"].astype(words["word"].dtype)  # heads are numbers
    labeled = words.dropna(subset=["label"]).reset_index(drop=True)
    print(f"{len(words):,} words of {words['sentence_id'].nunique():,} sentences, ", end="")
    print(f"{len(labeled):,} of them with a label")
    if labeled["label"].nunique() < 2 or labeled["text"].nunique() < 10:
        raise ValueError(
            f"--label {label}: at least two different labels and ten sentences are needed. "
            "Spell features as in the file; case matters."
        )
    return labeled


def split_sentences(words, label):
    """Hold out every fifth distinct sentence, and print the sizes of the two sets."""
    held_out = pd.factorize(words["text"])[0] % 5 == 0
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    print(f"{words['label'].nunique()} values of {label!r}; every fifth distinct sentence is")
    print(f"held out: {len(train):,} words to train on, {len(test):,} to test")
    return train, test


def layer_table(probe, H, words, train, test):
    """Score a probe on each layer alone, and a baseline: the most frequent label of each word.

    The scores of the layers have 95% intervals over the test sentences.
    """
    y, split = words["label"].to_numpy(), [(train, test)]
    profile = layer_profile(probe, H, y, groups=words["text"], cv=split, random_state=0)
    table = profile[["name", "score", "low", "high"]].round(3)
    table.columns = ["layer", "accuracy", "low", "high"]
    baseline = baseline_table(words, y, baselines=["word type"], cv=split)["score"].item()
    table.loc[len(table)] = ["most frequent label of the word", round(baseline, 3), np.nan, np.nan]
    return table
