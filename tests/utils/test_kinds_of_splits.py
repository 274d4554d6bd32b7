# SPDX-License-Identifier: BSD-3-Clause
"""A list of splits may contain row numbers of any kind, and masks, with the same results."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.ablation import ablation_curve, erasure_table
from sklearn_neurox.evaluation import (
    layer_profile,
    leakage_report,
    online_codelength,
    selectivity_score,
    sparse_probing_curve,
    v_information,
)
from sklearn_neurox.probes import ElasticNetProbeClassifierCV
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.selection import MinimalNeuronSelector
from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.words import words_frame

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 4))
Y = np.where(X[:, 0] + 0.5 * RNG.normal(size=N) > 0, "a", "b")
WORDS = words_frame([[f"w{i}{j % 2}" for j in range(3)] for i in range(20)])
GROUPS = WORDS["sentence_id"].to_numpy()
PROBE = LogisticRegression()
ROWS = np.arange(N)
SPLITS = {
    "numbers": lambda: [(ROWS[:45], ROWS[45:]), (ROWS[15:], ROWS[:15])],
    "masks": lambda: [(ROWS < 45, ROWS >= 45), (ROWS >= 15, ROWS < 15)],
    "from the end": lambda: [(ROWS[:45], ROWS[45:] - N), (ROWS[15:] - N, ROWS[:15])],
    "lists": lambda: [(list(range(45)), list(range(45, N))), (ROWS[15:].tolist(), [*range(15)])],
    "ranges": lambda: [(range(45), range(45, N)), (range(15, N), range(15))],
    "small numbers": lambda: [
        (ROWS[:45].astype(np.int8), ROWS[45:].astype(np.uint8)),
        (ROWS[15:].astype(np.int8), ROWS[:15].astype(np.uint8)),
    ],
    "generator": lambda: iter(SPLITS["numbers"]()),
}
OPTIONS = {"groups": GROUPS}
CALLS = {
    "v_information": lambda cv: v_information(PROBE, X, Y, cv=cv, return_words=True, **OPTIONS)[1],
    "layer_profile": lambda cv: layer_profile(
        PROBE, X, Y, n_layers=2, cv=cv, return_words=True, **OPTIONS
    )[1],
    "selectivity_score": lambda cv: selectivity_score(
        PROBE, X, Y, types=WORDS["word"], n_draws=1, cv=cv, return_words=True, **OPTIONS
    )[1],
    "sparse_probing_curve": lambda cv: sparse_probing_curve(
        X,
        Y,
        n_neurons=1,
        estimator=PROBE,
        rankers=ProbelessRanker(),
        n_random=0,
        n_shuffled=0,
        cv=cv,
        return_words=True,
        **OPTIONS,
    )[1],
    "ablation_curve": lambda cv: ablation_curve(
        PROBE,
        X,
        Y,
        ranker=ProbelessRanker(),
        fractions=[1],
        n_draws=0,
        cv=cv,
        return_words=True,
        **OPTIONS,
    )[1],
    "erasure_table": lambda cv: erasure_table(X, Y, probe=PROBE, n_draws=0, cv=cv, **OPTIONS),
    "leakage_report": lambda cv: leakage_report(WORDS, cv, **OPTIONS),
    "MinimalNeuronSelector": lambda cv: _attributes(
        MinimalNeuronSelector(
            PROBE, ranker=ProbelessRanker(), delta=0.1, guarantee=True, sizes=[1, 2, 3], cv=cv
        ).fit(X, Y, **OPTIONS),
        "size_scores_",
    ),
    "ElasticNetProbeClassifierCV": lambda cv: _attributes(
        ElasticNetProbeClassifierCV(alphas=[0.1, 0.01], cv=cv).fit(X, Y, **OPTIONS), "scores_"
    ),
}


def _attributes(estimator, name):
    return pd.DataFrame(np.reshape(getattr(estimator, name), (-1, 2)))


@pytest.mark.slow
def test_all_kinds_of_splits_give_the_same_results():
    """Rows that count from the end were numbered by that, and masks counted as rows."""
    for name, call in CALLS.items():
        right = call(SPLITS["numbers"]())
        for kind, split in SPLITS.items():
            found = call(split())
            pd.testing.assert_frame_equal(found, right, obj=f"{name}, {kind}")
        if "row" in right:
            assert (right["row"].unique() >= 0).all()


def test_rows_are_numbered_from_0():
    splitter = partial(make_splitter, groups=None, caller="f")
    for kind, split in SPLITS.items():
        folds = split_rows(splitter(split()), X, Y, None, caller="f")
        for found, right in zip(folds, SPLITS["numbers"](), strict=True):
            for part, expected in zip(found, right, strict=True):
                np.testing.assert_array_equal(part, expected, err_msg=kind)
    with pytest.raises(IndexError, match="60 is out of bounds"):
        split_rows(splitter([([1], [60])]), X, Y, None, caller="f")


def test_a_fold_needs_training_and_test_rows():
    """The first estimator of a fold said that it got no samples, but not why."""
    good = SPLITS["numbers"]()[0]
    for name, call in CALLS.items():
        for fold, kind in (((ROWS, []), "test"), ((ROWS < 0, ROWS >= 0), "training")):
            with pytest.raises(ValueError, match=rf"^Fold 1 of {name} has no {kind} rows\."):
                call([good, fold])


def test_every_row_needs_a_group(monkeypatch):
    """With a list of splits, rows without a group were one group, or a cryptic error."""
    for missing in (np.nan, None, pd.NA):
        groups = GROUPS.astype(object)
        groups[7] = missing
        monkeypatch.setitem(OPTIONS, "groups", groups)
        for name, call in CALLS.items():
            with pytest.raises(ValueError, match=f"'groups' parameter of {name}.* row 7"):
                call(SPLITS["numbers"]())
        with pytest.raises(ValueError, match="'groups' parameter of online_codelength.* row 7"):
            online_codelength(PROBE, X, Y, groups=groups)
