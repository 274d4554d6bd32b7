# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score

from sklearn_neurox.evaluation import baseline_table


@pytest.fixture(scope="module")
def pairs():
    """Return random pairs of the words of 60 texts of nine words."""
    rng = np.random.default_rng(0)
    n = 900
    position, step = rng.integers(9, size=n), rng.integers(1, 9, size=n)
    other = (position + step) % 9
    text = rng.integers(60, size=n)
    return pd.DataFrame(
        {
            "text": [f"a b c d e f g h {number}" for number in text],
            "word": np.array(list("abcdefghi"))[position],
            "start": 2 * position,
            "end": 2 * position + 1,
            "other_start": 2 * other,
            "other_end": 2 * other + 1,
            "position": position,
            "other_position": other,
            "distance": other - position,
        }
    )


def _score(pairs, y, **given):
    given = {"groups": pairs["text"], "cv": 3, "random_state": 0, **given}
    return baseline_table(pairs, y, **given).set_index("name")["score"]


@pytest.mark.slow
def test_it_learns_what_distance_and_direction_tell_and_nothing_else(pairs):
    step = pairs["distance"]
    labels = np.select([step == 1, step == -1, step.abs() > 4], ["next", "last", "far"], "near")
    assert _score(pairs, labels)["distance"] == 1
    # The same in characters, of which there are two per word.
    spans = pairs.drop(columns=["distance", "position", "other_position"])
    assert _score(spans, labels)["distance"] == 1
    assert _score(pairs.drop(columns="distance"), labels)["distance"] == 1
    # A label of the first word alone, and noise.
    rng = np.random.default_rng(1)
    coin = rng.choice(["heads", "tails"], size=len(pairs))
    assert abs(_score(pairs, coin)["distance"] - 0.5) < 0.06


def test_what_matched_pairs_hide_is_at_chance(pairs):
    # In every text, as many arcs as other pairs of each distance: distance tells nothing.
    matched = pd.concat([pairs, pairs], ignore_index=True)
    is_arc = np.repeat([True, False], len(pairs))
    assert _score(matched, is_arc)["distance"] == 0.5


def test_numbers_are_fitted_and_its_place_in_the_table(pairs):
    rng = np.random.default_rng(1)
    y = pairs["distance"].abs() ** 0.5 + rng.normal(0, 0.05, size=len(pairs))
    scores = _score(pairs, y)
    assert scores.index.tolist() == ["majority", "word type", "characters", "distance"]
    assert scores["distance"] > 0.95 > scores["word type"]
    only = _score(pairs, y, baselines=["distance"])
    assert only.index.tolist() == ["distance"] and only["distance"] == scores["distance"]


def test_a_rare_distance_is_not_remembered(pairs):
    # One training pair of a distance that no other has, and one test pair of the same.
    rows = pairs[pairs["distance"].abs() < 3].reset_index(drop=True)
    labels = np.where(rows["distance"] > 0, "after", "before")
    rows.loc[[0, 100], "distance"], labels[[0, 100]] = 50, "before"
    cv = [(np.arange(100), np.arange(100, len(rows)))]
    table = baseline_table(rows, labels, cv=cv, baselines=["distance"])
    right = np.append("after", labels[101:])
    assert table["score"][0] == accuracy_score(labels[100:], right)


def test_words_have_no_distance():
    with pytest.raises(ValueError, match="'distance'.*not\\s+pairs"):
        baseline_table(["a", "b"] * 20, [0, 1] * 20, cv=2, groups=range(40), baselines=["distance"])
