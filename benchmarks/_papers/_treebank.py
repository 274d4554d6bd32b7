# SPDX-License-Identifier: BSD-3-Clause
"""The words, activations and split that the tables share, and their intervals."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from benchmarks._words import benchmark_words
from sklearn_neurox import ActivationExtractor, ElasticNetProbeClassifier, SubwordAggregator
from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.evaluation import interval_table

_BOUNDS = ["score", "low", "high"]


@dataclass
class Treebank:
    """Words, with every fifth distinct sentence held out."""

    words: pd.DataFrame

    @classmethod
    def read(cls, *, quick, label="upos", every=1):
        """Read the words that have a label, of every sentence or only of each few."""
        words = benchmark_words(quick=quick)
        words = words[pd.factorize(words["text"])[0] % every == 0]
        return cls(words[words[label].notna()].reset_index(drop=True))

    def with_common_labels(self, label, least=10):
        """Leave out labels with few words, of which a split may have none on one side."""
        counts = self.words[label].map(self.words[label].value_counts())
        return Treebank(self.words[counts >= least].reset_index(drop=True))

    @property
    def groups(self):
        """The sentences."""
        return self.words["text"].astype(str).to_numpy()

    @cached_property
    def split(self):
        """The rows to train on, and those held out."""
        held_out = pd.factorize(self.words["text"])[0] % 5 == 0
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def labels(self, label="upos"):
        """Return the labels as strings."""
        return self.words[label].to_numpy(dtype=str)

    def activations(self, layers=None):
        """Return the neurons of the demo model."""
        extractor = ActivationExtractor(demo_model_path(), layers=layers)
        aggregator = SubwordAggregator("last").set_output(transform="pandas")
        return aggregator.fit_transform(extractor.fit_transform(self.words))

    @property
    def sizes(self):
        """The sizes, for titles."""
        train, test = self.split
        return f"{len(train):,} words to train, {len(test):,} held out"


def linear_probe(**changes):
    """Return the linear probe of all tables."""
    options = {"alpha": 2.3e-3, "l1_ratio": 0.13, "standardize": True, "random_state": 0}
    return ElasticNetProbeClassifier(**options | changes)


def with_interval(row, digits=3):
    """Format a row with a score and its bounds."""
    # Adding 0 turns a negative zero into a positive one.
    score, low, high = (f"{round(row[name], digits) + 0:.{digits}f}" for name in _BOUNDS)
    return f"{score} ({low} to {high})"


def share(outcomes, groups, digits=3):
    """Format a mean with its interval by groups."""
    frame = pd.DataFrame({"outcome": np.asarray(outcomes, dtype=float), "group": groups})
    return with_interval(interval_table(frame).iloc[0], digits)
