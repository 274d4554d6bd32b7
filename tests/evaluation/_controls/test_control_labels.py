# SPDX-License-Identifier: BSD-3-Clause
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import control_labels

SHARES = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}
TYPES = [f"type {i}" for i in range(20_000)]


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(400, random_state=0)


def test_a_type_has_one_label_and_types_differ(words):
    control = control_labels(words, words["upos"])
    assert control.name == "control" and control.dtype == words["upos"].dtype
    assert control.index.equals(words.index)
    assert control.groupby(words["word"]).nunique().max() == 1
    assert control.nunique() > 5 and set(control) <= set(words["upos"])


@pytest.mark.parametrize("distribution", [SHARES, pd.Series(SHARES), {"x": 1, "y": 1, "z": 1}])
def test_labels_are_as_frequent_among_types_as_the_distribution_says(distribution):
    control = control_labels(TYPES, distribution=distribution)
    shares = pd.Series(dict(distribution))
    shares /= shares.sum()
    counts = control.value_counts().reindex(shares.index)
    assert chisquare(counts, shares * len(TYPES)).pvalue > 0.001


def test_empirical_and_uniform_are_of_y():
    y = np.repeat(list(SHARES), np.array([50, 30, 15, 5]) * 200)
    empirical = control_labels(TYPES, y)
    pd.testing.assert_series_equal(empirical, control_labels(TYPES, distribution=SHARES))
    uniform = control_labels(TYPES, y, distribution="uniform")
    pd.testing.assert_series_equal(
        uniform, control_labels(TYPES, distribution=dict.fromkeys(SHARES, 0.25))
    )
    assert uniform.value_counts(normalize=True).min() > 0.23


def test_controls_of_other_seeds_are_independent():
    first, second = (
        control_labels(TYPES, distribution=SHARES, random_state=seed) for seed in (0, 1)
    )
    expected = np.outer(*2 * [list(SHARES.values())]).ravel() * len(TYPES)
    counts = pd.crosstab(first, second).to_numpy().ravel()
    assert chisquare(counts, expected).pvalue > 0.001


def test_the_same_in_every_subset_order_and_form(words):
    shares = words["upos"].value_counts(normalize=True)
    whole = control_labels(words, words["upos"])
    pd.testing.assert_series_equal(control_labels(words, distribution=shares), whole)
    rows = np.random.default_rng(0).permutation(len(words))[:500]
    some = control_labels(words.iloc[rows], distribution=shares.sample(frac=1, random_state=0))
    pd.testing.assert_series_equal(some, whole.iloc[rows])
    as_list = control_labels(words["word"].tolist(), distribution=dict(shares))
    assert as_list.tolist() == whole.tolist()


def test_a_subset_without_the_distribution_changes_few_types(words):
    shares = pd.Series(SHARES)
    shifted = shares + [0.02, -0.02, 0, 0]
    before, after = (control_labels(TYPES, distribution=p) for p in (shares, shifted))
    moved = (before != after).mean()
    # No draw can change fewer labels than the total variation.
    assert 0.02 * 0.8 < moved < 0.02 * 1.5
    # A new class takes over types, but moves none between the other classes.
    more = control_labels(TYPES, distribution={**SHARES, "e": 0.1})
    assert (more[more != "e"] == before[more != "e"]).all()


@pytest.mark.slow
def test_the_same_in_every_process_and_forever():
    # Computed once: if a label changed, old results would not be reproducible.
    expected = ["b", "a", "a", "a", "b"]
    assert control_labels(TYPES[:5], distribution=SHARES).tolist() == expected
    code = (
        "from sklearn_neurox.evaluation import control_labels as c;"
        f"print(c({TYPES[:5]}, distribution={SHARES}).tolist())"
    )
    # Strings of this process are hashed by another seed.
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "1", "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(expected)


def test_case():
    words = ["The", "the", "THE", "straße", "STRASSE"] * 2 + TYPES[:200]
    sensitive = control_labels(words, distribution=SHARES)
    folded = control_labels(words, distribution=SHARES, case_sensitive=False)
    assert folded[:3].nunique() == folded[3:5].nunique() == 1
    assert sensitive[:5].nunique() > 1
    assert folded.iloc[0] == sensitive.iloc[1]


def test_position(words):
    control = control_labels(words, words["upos"], kind="position")
    assert control.groupby(words["position"]).nunique().max() == 1
    assert control.groupby(words["word"]).nunique().max() > 1
    assert control.nunique() > 3
    alone = control_labels(words["position"], words["upos"], kind="position")
    pd.testing.assert_series_equal(alone, control)


def test_words_apart_only_by_a_nul_and_half_surrogates_are_types():
    words = [f"a\0{i}" for i in range(50)] + ["\ud800"]
    assert control_labels(words, distribution=SHARES)[:50].nunique() > 1


@pytest.mark.parametrize("labels", [[0, 1, 2], [True, False, True], ["x", "y", "x"]])
def test_labels_keep_their_type(labels):
    control = control_labels(["a", "b", "c"], labels)
    assert control.dtype == pd.Series(labels).dtype


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((["a", "b"],), {}, "uses the labels in y, which is None"),
        ((["a", "b"], ["x", "x"]), {}, "at least two classes to draw from"),
        ((["a", "b"], ["x", None]), {}, "1 of 2 labels are missing"),
        ((["a", "b"], ["x", "y", "z"]), {}, "inconsistent numbers"),
        ((["a"],), {"distribution": {"x": -1, "y": 2}}, "got -1.0 for 'x'"),
        ((["a"],), {"distribution": {"x": np.inf, "y": 2}}, "got inf for 'x'"),
        ((["a"],), {"distribution": {"x": 1, "y": 0}}, "needs at least two classes"),
        ((["a"],), {"distribution": "other"}, "'distribution' parameter of control_labels must"),
        ((["a"],), {"kind": "word"}, "'kind' parameter of control_labels must"),
        ((["a"],), {"random_state": None}, "'random_state' parameter of control_labels must"),
        ((pd.DataFrame({"lemma": ["a"]}), ["x"]), {}, r"needs the column 'word'.*\['lemma'\]"),
        (([["a"], ["b"]], ["x", "y"]), {}, r"a flat list, got shape \(2, 1\)"),
    ],
)
def test_what_is_wrong_is_said(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        control_labels(*arguments, **options)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (["a", None], "type", "got None at row 1"),
        (["a"], "position", "takes int values, but got 'a' at row 0"),
    ],
)
def test_types_of_another_kind(values, kind, message):
    with pytest.raises(TypeError, match=message):
        control_labels(values, distribution=SHARES, kind=kind)
