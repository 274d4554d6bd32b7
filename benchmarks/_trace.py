# SPDX-License-Identifier: BSD-3-Clause
"""Count how often one pass over 30 sentences jumps between files: the cost of following the code.

A jump is a call to a function of the package that is defined in a different file from the function
called before it. Returns and calls to other packages do not count.
"""

import sys
import tempfile
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd
from sklearn.pipeline import make_pipeline

import sklearn_neurox
from sklearn_neurox import ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model

_ROOT = str(Path(sklearn_neurox.__file__).parent)
_CACHES = ("none", "cold", "warm")


def run(*, quick: bool = False) -> dict:
    """Count the jumps without a cache, with a cold cache and with a warm one.

    Parameters
    ----------
    quick : bool, default=False
        Ignored.

    Returns
    -------
    tables : dict of str to DataFrame
        The counts, and the most frequent jumps.
    """
    words, model = make_tagged_words(30, random_state=0), make_tiny_model("bert")
    counts, jumps = [], []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*for the third time in this process")
        for cache in _CACHES:
            files = _files_of_pass(model, words, cache)
            found = Counter(pair for pair in pairwise(files) if pair[0] != pair[1])
            counts.append({"cache": cache, "calls": len(files), "jumps": found.total()})
            jumps += [
                {"cache": cache, "times": times, "from": before, "to": after}
                for (before, after), times in found.most_common(12)
            ]
    return {"one pass": pd.DataFrame(counts), "most frequent jumps": pd.DataFrame(jumps)}


def _files_of_pass(model, words, cache):
    """List the file of each function called in one `fit_transform`, with everything loaded."""
    make_pipeline(ActivationExtractor(model), SubwordAggregator()).fit_transform(words)
    with tempfile.TemporaryDirectory() as folder:
        extractor = ActivationExtractor(model, cache=None if cache == "none" else folder)
        pipeline, files = make_pipeline(extractor, SubwordAggregator()), []
        if cache == "warm":
            pipeline.fit_transform(words)

        def note(frame, event, argument):
            name = frame.f_code.co_filename
            if event == "call" and name.startswith(_ROOT):
                files.append(name.removeprefix(_ROOT).lstrip("/"))

        sys.setprofile(note)
        try:
            pipeline.fit_transform(words)
        finally:
            sys.setprofile(None)
    return files
