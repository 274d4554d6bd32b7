# SPDX-License-Identifier: BSD-3-Clause
"""The words that all benchmarks use."""

import os

import pandas as pd

from sklearn_neurox import read_conllu
from sklearn_neurox.datasets import make_tagged_words


def benchmark_words(*, quick: bool) -> pd.DataFrame:
    """Read the treebank that SKLEARN_NEUROX_CONLLU points to, or generate sentences."""
    path = os.environ.get("SKLEARN_NEUROX_CONLLU")
    words = read_conllu(path, feats=["Number"]) if path else make_tagged_words(2000, random_state=0)
    if quick:
        return words[words["sentence_id"].isin(words["sentence_id"].unique()[:200])]
    return words
