# SPDX-License-Identifier: BSD-3-Clause
"""The options and steps shared by the commands that fit probes."""

import time
from contextlib import contextmanager
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import baseline_table, layer_profile
from sklearn_neurox.extraction import SubwordAggregator
from sklearn_neurox.inspection import neuron_summary
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.probes._default_probe import RANKING_TOL
from sklearn_neurox.ranking import LCARanker
from sklearn_neurox.words import read_conllu
from sklearn_neurox.words._readers._read_conllu import COLUMNS

_BASELINES = {
    "majority": "always the most frequent label",
    "word type": "the most frequent label of each word",
    "characters": "logistic regression on the characters of each word",
}
_READING = """\
The order is that of the weights in the probe, which combine neurons. The AUC says how well a
neuron alone tells its label from the others: 1 if it is always higher on the label, 0 if it is
always lower, 0.5 if it tells nothing."""
_SHOWN = ["rank", "neuron", "direction", "label", "auc", "words"]
_MIN_COUNT = 10


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


class Scored(NamedTuple):
    """Labeled words, their activations, the split, and the scores on the held-out words."""

    words: pd.DataFrame
    H: pd.DataFrame
    train: np.ndarray
    test: np.ndarray
    profile: pd.DataFrame
    baselines: pd.DataFrame


def extract_and_score(arguments, extractor, aggregation, probe):
    """Run the steps up to a probe on each layer, and return a `Scored`."""
    with step("Words"):
        words = read_labeled_words(arguments.data, arguments.label)
        train, test = split_sentences(words, arguments.label)
    with step("Activations"):
        features = make_pipeline(extractor, SubwordAggregator(aggregation))
        H = features.set_output(transform="pandas").fit_transform(words)
        print(f"{H.shape[1]:,} neurons")
    y, split = words["label"].to_numpy(), [(train, test)]
    with step("A probe on each layer, with 95% intervals over the held-out sentences"):
        profile = layer_profile(probe, H, y, groups=words["text"], cv=split)
        table = profile[["name", "score", "low", "high"]].round(3)
        print(table.set_axis(["layer", "accuracy", "low", "high"], axis=1).to_string(index=False))
    with step("Baselines, which do not see the model"):
        baselines = baseline_table(words, y, baselines=list(_BASELINES), cv=split)
        for name, score in zip(baselines["name"], baselines["score"], strict=True):
            print(f"{name:<10}  {score:.3f}  {_BASELINES[name]}")
    return Scored(words, H, train, test, profile, baselines)


def fit_and_rank(scored, probe):
    """Fit a probe on all layers, and print its score and its best neurons.

    Return the ranker, the table of the best neurons, and the baselines with the probe.
    """
    words, H, train, test = scored.words, scored.H, scored.train, scored.test
    y = words["label"].to_numpy()
    with step("A probe on all layers, and its best neurons"):
        probe.fit(H.iloc[train], y[train])
        # For a label with few words, the largest weights say more about these words than about it.
        min_count = min(_MIN_COUNT, int(pd.Series(y[train]).value_counts().iloc[0]))
        ranker = LCARanker(FrozenEstimator(probe), min_count=min_count)
        ranker.fit(H.iloc[train], y[train])
        score = probe.score(H.iloc[test], y[test])
        most = int(words["word"].value_counts().iloc[0])
        best = neuron_summary(ranker, H, y, words=words, n_words=3, min_count=min(5, most))
        print(f"accuracy {score:.3f}; the best neurons, on all words:")
        print(best[_SHOWN].round(2).to_string(index=False))
        print(_READING)
        if len(rare := ranker.rare_classes_):
            print(
                f"Labels with fewer than {min_count} training words are left out of the ranking: "
                f"{', '.join(rare)}."
            )
    probed = pd.DataFrame({"name": ["probe"], "score": [score], "fold_0": [score]})
    return ranker, best, pd.concat([scored.baselines, probed], ignore_index=True)


def read_labeled_words(data, label):
    """Read the words of a treebank that have a label, or generate some if ``data`` is None."""
    words = _generate(label) if data is None else _read(data, label)
    words["label"] = words["label"].astype(words["word"].dtype)  # heads are numbers
    labeled = words.dropna(subset=["label"]).reset_index(drop=True)
    print(f"{len(words):,} words of {words['sentence_id'].nunique():,} sentences, ", end="")
    print(f"{len(labeled):,} of them with a label")
    n_labels, n_texts = labeled["label"].nunique(), labeled["text"].nunique()
    if n_labels < 2:
        found = f"no word of {data} has one"
        if n_labels:
            found = (
                f"all {len(labeled):,} labeled words have the label {labeled['label'].iloc[0]!r}"
            )
        raise ValueError(f"--label {label}: at least two different labels are needed, but {found}.")
    if n_texts < 10:
        raise ValueError(
            f"--label {label}: labeled words in at least ten different sentences are needed, but "
            f"{data} has them in {n_texts}."
        )
    return labeled


def _generate(label):
    words = make_tagged_words(1000, random_state=0)
    if label.lower() not in ("upos", "number", "tense"):
        raise ValueError(f"--label {label}: generated sentences have only upos, number and tense.")
    return words.rename(columns={label.lower(): "label"})


def _read(data, label):
    if label in COLUMNS:
        return read_conllu(data, columns=[label]).rename(columns={label: "label"})
    words = read_conllu(data, columns=(), feats="all")
    own = ["text", "start", "end", "word", "position", "sentence_id"]
    features = [column for column in words if column not in own]
    if label not in features:
        known = {name.lower(): name for name in (*COLUMNS, *features)}
        close = get_close_matches(label.lower().strip(), known, n=1)
        guess = f" Did you mean {known[close[0]]}?" if close else ""
        raise ValueError(
            f"--label {label}: {data} has no such column or feature.{guess} The columns are "
            f"{', '.join(COLUMNS)}; the features are {', '.join(features) or 'none'}."
        )
    return words[[*own, label]].rename(columns={label: "label"})


def split_sentences(words, label):
    """Hold out every fifth distinct sentence, and print the sizes of the two sets."""
    held_out = pd.factorize(words["text"])[0] % 5 == 0
    train, test = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    trained = words["label"].iloc[train].unique()
    if len(trained) < 2:
        raise ValueError(
            f"--label {label}: the sentences to train on have only the label {trained[0]!r}. Every "
            "fifth distinct sentence is held out; add sentences with other labels."
        )
    print(f"{words['label'].nunique()} values of {label!r}")
    print("every fifth distinct sentence is held out: ", end="")
    print(f"{len(train):,} words to train on, {len(test):,} to test")
    return train, test
