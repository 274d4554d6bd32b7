# SPDX-License-Identifier: BSD-3-Clause
"""What the commands that fit probes share: their options, their words, their steps."""

import time
from contextlib import contextmanager

import numpy as np
import pandas as pd

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import baseline_table, layer_profile
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.words import read_conllu


def add_probing_options(add):
    """Add the options that say what is probed, and how.

    Parameters
    ----------
    add : callable
        The ``add_argument`` of a parser.
    """
    add("--label", default="upos", help="upos, xpos or a feature such as Number")
    add("--model", help="a model's name or folder (default: the demo model)")
    add(
        "--alpha", type=float, default=2.3e-3, help="strength of the penalty (default: %(default)s)"
    )
    add("--l1-ratio", type=float, default=0.13, help="share of its L1 part (default: %(default)s)")


def make_probe(arguments):
    """Make the probe that the options describe, or say which of them is wrong."""
    probe = ElasticNetProbeClassifier(
        alpha=arguments.alpha, l1_ratio=arguments.l1_ratio, standardize=True, random_state=0
    )
    probe._validate_params()
    return probe


@contextmanager
def step(title):
    """Announce a step, and say how long it took."""
    print(f"== {title}", flush=True)
    started = time.perf_counter()
    yield
    print(f"   ({time.perf_counter() - started:.1f} s)\n", flush=True)


def read_labelled_words(data, label):
    """Read the words of a treebank that have a label, or make some.

    Parameters
    ----------
    data : str or None
        The file; None makes sentences.

    label : str
        Which annotation becomes the column ``label``.

    Returns
    -------
    words : DataFrame
    """
    column = label
    if data is None:
        words = make_tagged_words(1000, random_state=0)
        column = label.lower()
    elif label in ("upos", "xpos"):
        words = read_conllu(data, columns=[label])
    else:
        words = read_conllu(data, columns=(), feats=[label])
    if column not in words:
        raise ValueError(f"--label {label}: the made sentences carry upos, number and tense.")
    words = words.rename(columns={column: "label"})
    labelled = words.dropna(subset=["label"]).reset_index(drop=True)
    print(f"{len(words):,} words of {words['sentence_id'].nunique():,} sentences, ", end="")
    print(f"{len(labelled):,} of them with a label")
    if labelled["label"].nunique() < 2 or labelled["text"].nunique() < 10:
        raise ValueError(
            f"--label {label}: this needs two different labels and ten sentences. "
            "Features are written as in the file, upper and lower case included."
        )
    return labelled


def split_sentences(words, label):
    """Hold out every fifth distinct sentence, and say so.

    Parameters
    ----------
    words : DataFrame
        As `read_labelled_words` gives it.

    label : str

    Returns
    -------
    train, test : ndarray of int
    """
    held_out = pd.factorize(words["text"])[0] % 5 == 0
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    print(f"{words['label'].nunique()} values of {label!r}; every fifth sentence is")
    print(f"held out, the same sentence never on both sides: {len(train):,} words to train on,")
    print(f"{len(test):,} to test")
    return train, test


def layer_table(probe, H, words, train, test):
    """Score a probe on each layer alone, and the most frequent label of each word.

    Parameters
    ----------
    probe : estimator

    H : DataFrame of shape (n_words, n_neurons)
        Named by neuron.

    words : DataFrame of n_words rows

    train, test : ndarray of int

    Returns
    -------
    table : DataFrame
        With the 95 % intervals over test sentences of the layers.
    """
    y, split = words["label"].to_numpy(), [(train, test)]
    profile = layer_profile(probe, H, y, groups=words["text"], cv=split, random_state=0)
    table = profile[["name", "score", "low", "high"]].round(3)
    table.columns = ["layer", "accuracy", "low", "high"]
    baseline = baseline_table(words, y, baselines=["word type"], cv=split)["score"].item()
    table.loc[len(table)] = ["most frequent label of the word", round(baseline, 3), np.nan, np.nan]
    return table
