# SPDX-License-Identifier: BSD-3-Clause
"""Whoever follows the advice of an error or warning gets a result, and the right one.

Each row of a table has a call that fails or warns, a part of its message that holds the advice, and
the same call with the advice followed. Warnings are errors here, so following must silence them.
The tables are in the files ``test_advice.py``.
"""

import re
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline, make_pipeline

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._run._repeated_reads import forget_passes


class Followed(NamedTuple):
    """A wrong call, its advice, and the call that follows it."""

    wrong: object
    advice: str
    right: object
    result: object = None  # what the right call returns, if it is known


def follow(rows):
    for wrong, advice, right, result in rows:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            try:
                wrong()
            except (ValueError, TypeError, UserWarning) as problem:
                message = str(problem)
            else:
                pytest.fail(f"nothing was said that advises {advice!r}")
        assert re.search(advice, message), message
        forget_passes()
        found = right()
        if result is not None:
            np.testing.assert_array_equal(np.asarray(found), np.asarray(result), err_msg=advice)


class Example(NamedTuple):
    """Words, the folder of a model, a pipeline that extracts with it, and the activations."""

    words: pd.DataFrame
    folder: str
    features: Pipeline
    H: pd.DataFrame


def make_example(cache):
    """Make the words and activations that the tables share; the pipeline stores them in a cache."""
    words = make_tagged_words(40, random_state=0)
    words = words[words["upos"].isin(["NOUN", "VERB", "DET"])].reset_index(drop=True)
    folder = make_tiny_model("bert", n_layers=2, hidden_size=8, random_state=0)
    features = make_pipeline(ActivationExtractor(folder, cache=cache), SubwordAggregator())
    values = features.fit_transform(words)
    H = pd.DataFrame(values, columns=features.get_feature_names_out())
    return Example(words, folder, features, H)
