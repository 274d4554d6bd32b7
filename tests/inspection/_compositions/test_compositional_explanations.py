# SPDX-License-Identifier: BSD-3-Clause
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sklearn_neurox.inspection import compositional_explanations
from sklearn_neurox.ranking import IoURanker


def _data(n_words=60, n_neurons=4, seed=0):
    """Return activations, a tag, a number that only nouns have, and two columns of bools."""
    rng = np.random.RandomState(seed)
    tags = rng.choice(["NOUN", "VERB", "ADJ"], size=n_words)
    table = pd.DataFrame(
        {
            "tag": pd.Categorical(tags),
            "number": [rng.choice(["S", "P"]) if tag == "NOUN" else None for tag in tags],
            "title": rng.rand(n_words) < 0.3,
            "first": pd.array(rng.rand(n_words) < 0.4, dtype="boolean"),
        }
    )
    return rng.randn(n_words, n_neurons), table


def _sets(table):
    """Return the words of each concept as Python sets."""
    sets = {}
    for column in table:
        for row, value in enumerate(table[column]):
            if value is True or value is np.True_:
                sets.setdefault(column, set()).add(row)
            elif isinstance(value, str):
                sets.setdefault(f"{column}={value}", set()).add(row)
    return sets


def _all_formulas(concepts, length):
    """List the word sets of all formulas of a length, from left to right."""
    formulas = [set(words) for words in concepts.values()]
    for _ in range(length - 1):
        formulas = [
            after
            for words in formulas
            for concept in concepts.values()
            for after in (words | concept, words & concept, words - concept)
        ]
    return formulas


def _iou(a, b):
    return len(a & b) / max(len(a | b), 1)


def _read(text, concepts):
    """Evaluate an explanation, from left to right; parentheses are only at its beginning."""
    names = sorted(concepts, key=len, reverse=True)
    pattern = r" AND NOT | AND | OR |" + "|".join(map(re.escape, names))
    first, *rest = re.findall(pattern, text)
    words = concepts[first]
    for operator, name in zip(rest[::2], rest[1::2], strict=True):
        other = concepts[name]
        words = {
            " OR ": words | other, " AND ": words & other, " AND NOT ": words - other
        }[operator]  # fmt: skip
    return words


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_wide_beam_finds_the_best_of_all_formulas(length):
    X, table = _data()
    concepts = _sets(table)
    found = compositional_explanations(
        X, table, threshold=0.7, two_sided=False, max_length=length, beam_width=5000, min_count=1
    )
    for number, row in found.iterrows():
        values = X[:, number]
        # The smallest value that seven tenths of the words do not exceed.
        cut = sorted(values)[int(np.ceil(0.7 * 60)) - 1]
        active = {word for word in range(60) if values[word] > cut}
        best = max(
            _iou(active, words)
            for n in range(1, length + 1)
            for words in _all_formulas(concepts, n)
        )
        assert row["iou"] == pytest.approx(best, abs=1e-12)
        # The text says what the numbers say.
        words = _read(row["explanation"], concepts)
        assert row["iou"] == pytest.approx(_iou(active, words)) and row["n_words"] == len(words)
        assert row["n_active"] == len(active) == 18
        assert row["concept_iou"] == pytest.approx(max(_iou(active, c) for c in concepts.values()))
        assert _iou(active, concepts[row["concept"]]) == row["concept_iou"]
        n_operators = len(re.findall(r" AND NOT | AND | OR ", row["explanation"]))
        assert row["length"] == n_operators + 1 <= length


def test_planted_formulas_are_found():
    _, table = _data(400)
    is_noun, title = (table["tag"] == "NOUN").to_numpy(), table["title"].to_numpy()
    plural = (table["number"] == "P").to_numpy()
    first = table["first"].to_numpy(dtype=bool)
    orders = ["(number=P AND first) OR title", "(first AND number=P) OR title"]
    planted = [
        (is_noun, {"tag=NOUN"}),
        (plural | title, {"number=P OR title", "title OR number=P"}),
        (first & ~title, {"first AND NOT title"}),
        ((plural & first) | title, set(orders)),
    ]
    X = np.column_stack([np.where(active, 2.0, -1.0) for active, _ in planted])
    options = {
        "threshold": 0,
        "unit": "value",
        "min_count": 2,
        "two_sided": False,
        "beam_width": 40,
    }
    found = compositional_explanations(X, table, **options)
    for (active, texts), row in zip(planted, found.itertuples(), strict=True):
        assert row.explanation in texts and row.iou == 1, row
        assert row.n_active == row.n_words == active.sum()
    # A negative neuron says the same, and is only found on two sides.
    both = compositional_explanations(-X, table, **{**options, "two_sided": True})
    # (The complement of the nouns is a formula as well: verbs or adjectives.)
    assert both["direction"].tolist() == ["high", "low", "low", "low"]
    assert both["explanation"].tolist()[1:] == found["explanation"].tolist()[1:]
    # If length costs, single concepts win.
    short = compositional_explanations(X, table, length_penalty=0.1, **options)
    assert (short["length"] == 1).all() and (short["explanation"] == short["concept"]).all()


@pytest.mark.slow
def test_single_concepts_have_the_scores_of_the_ranker():
    X, table = _data(200)
    for options in ({"threshold": 0.8}, {"threshold": 0.3, "unit": "value"}):
        ranker = IoURanker(**options).fit(X, table["tag"].astype(str))
        found = compositional_explanations(X, table[["tag"]], max_length=1, **options)
        np.testing.assert_allclose(found["iou"], ranker.class_scores_.max(axis=0))
        best = ranker.classes_[ranker.class_scores_.argmax(axis=0)]
        assert found["explanation"].tolist() == [f"tag={label}" for label in best]


@pytest.mark.slow
def test_kinds_of_input_and_choices_of_neurons():
    X, table = _data()
    X = X.astype(np.float16).astype(float)
    names = [f"hidden.0.{unit}" for unit in range(4)]
    plain = compositional_explanations(pd.DataFrame(X, columns=names), table)
    assert plain["neuron"].tolist() == names
    for values in (X, X.astype(np.float16), sp.csr_matrix(X)):
        other = compositional_explanations(values, table, n_jobs=2)
        pd.testing.assert_frame_equal(other.drop(columns="neuron"), plain.drop(columns="neuron"))
    one = compositional_explanations(X, table, "hidden.0.2", input_features=names)
    pd.testing.assert_frame_equal(one, plain.iloc[[2]].reset_index(drop=True))
    some = compositional_explanations(X, table.to_dict("records"), [3, 1])
    assert some["explanation"].tolist() == plain["explanation"][[3, 1]].tolist()
    by_number = compositional_explanations(X, table["tag"], [0])
    assert by_number.loc[0, "explanation"].startswith("tag=")


@pytest.mark.slow
def test_shuffled_activations_show_what_chance_finds():
    X, table = _data(300)
    X[:, 0] += 3 * (table["tag"] == "NOUN")
    found = compositional_explanations(X, table, threshold=0.7, n_shuffled=5, random_state=0)
    assert found.loc[0, "iou"] > 2 * found.loc[0, "shuffled_iou"]
    noise = found.iloc[1:]
    assert (abs(noise["iou"] - noise["shuffled_iou"]) < 0.1).all()
    again = compositional_explanations(
        X, table, threshold=0.7, n_shuffled=5, random_state=0, n_jobs=2
    )
    pd.testing.assert_frame_equal(found, again)


def test_a_neuron_that_is_never_active_has_no_explanation():
    _, table = _data()
    found = compositional_explanations(np.zeros((60, 1)), table, n_shuffled=1)
    assert found.loc[0, ["explanation", "concept"]].tolist() == ["", ""]
    assert (
        found.loc[0, ["iou", "length", "n_active", "n_words", "shuffled_iou"]].tolist() == [0] * 5
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 1.0}, r"threshold=1\.0, but a quantile must be in \[0, 1\)"),
        ({"min_count": 100}, "No concept of compositional_explanations has at least min_count=100"),
        ({"concepts": pd.DataFrame({"n": range(60)})}, "column 'n' of 'concepts' .* numbers"),
        ({"concepts": pd.DataFrame({"n": [[1]] * 60})}, "column 'n' of 'concepts' .* compared"),
        ({"concepts": pd.DataFrame({"n": ["a"] * 50})}, "inconsistent numbers"),
        ({"concepts": 3}, "concepts"),
        ({"X": np.full((60, 2), np.nan)}, "contains NaN"),
        ({"neurons": [7]}, "compositional_explanations"),
    ],
)
def test_what_is_wrong_is_said(change, message):
    X, table = _data()
    with pytest.raises((ValueError, TypeError), match=message):
        compositional_explanations(**{"X": X, "concepts": table, **change})
