# SPDX-License-Identifier: BSD-3-Clause
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import control_heads
from sklearn_neurox.words import words_frame


def _behaviors(words, heads):
    """Return which of the three behaviors each word may have, by looking at its sentence alone."""
    number, last = words["position"] + 1, words.groupby("sentence_id")["word"].transform("size")
    return pd.DataFrame({"self": heads == number, "first": heads == 1, "last": heads == last})


def test_every_type_has_one_of_three_behaviors_in_all_its_sentences():
    words = make_tagged_words(300, random_state=0)
    heads = control_heads(words)
    assert heads.name == "control_head" and heads.index.equals(words.index)
    possible = _behaviors(words, heads)
    assert possible.any(axis=1).all()
    kept = possible.groupby(words["word"]).all()
    assert kept.any(axis=1).all() and kept.any(axis=0).all()
    # The types agree in any other corpus.
    more = make_tagged_words(50, random_state=1)
    both = _behaviors(more, control_heads(more)).groupby(more["word"]).all()
    shared = both.index.intersection(kept.index)
    assert len(shared) > 10 and (both.loc[shared] & kept.loc[shared]).any(axis=1).all()


def test_behaviors_are_equally_frequent_and_seeds_differ():
    # In the middle of five words, the three behaviors lead to different heads.
    sentences = [["a", "b", f"type {number}", "c", "d"] for number in range(6000)]
    words = words_frame(sentences)
    middle = words["position"] == 2
    draws = [control_heads(words, random_state=seed)[middle] for seed in (0, 1)]
    for heads in draws:
        counts = heads.value_counts().reindex([1, 3, 5])
        assert counts.sum() == 6000 and chisquare(counts).pvalue > 0.001
    table = pd.crosstab(*[own.to_numpy() for own in draws]).to_numpy().ravel()
    assert chisquare(table).pvalue > 0.001
    assert not control_heads(words)[words["position"] == 0].isin([2, 3, 4]).any()


def test_case_order_index_and_repeated_texts():
    words = words_frame([["The", "x", "the", "y", "THE"], ["the", "z"], ["The", "x", "the"]])
    folded = control_heads(words, case_sensitive=False)
    behavior = _behaviors(words, folded)
    assert behavior[words["word"].str.lower() == "the"].all(axis=0).any()
    rows = np.random.default_rng(0).permutation(len(words))
    moved = words.set_index(np.arange(100, 100 + len(words))).iloc[rows]
    heads = control_heads(moved)
    assert heads.index.equals(moved.index)
    assert heads.tolist() == control_heads(words).to_numpy()[rows].tolist()
    # A text that occurs in two sentences; and texts without sentence IDs.
    twice = words_frame([["a", "b", "c"], ["a", "b", "c"]])
    heads = control_heads(twice)
    assert heads[:3].tolist() == heads[3:].tolist() and heads.max() <= 3
    alone = control_heads(words.drop(columns="sentence_id"))
    pd.testing.assert_series_equal(alone, control_heads(words))


def test_sentences_that_lack_words_are_noticed():
    words = words_frame([["a", "b", "c", "d"], ["e", "f"]])
    for dropped in (words.drop(index=1), words.drop(index=0), pd.concat([words, words[:1]])):
        with pytest.raises(ValueError, match="needs all words of every sentence, each once"):
            control_heads(dropped)
    with pytest.warns(UserWarning, match="1 of 2 texts .* continue after their last word.*a b c d"):
        control_heads(words.drop(index=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        control_heads(words)
    with pytest.raises(ValueError, match="'position'.*must contain integers"):
        control_heads(words.assign(position=words["position"] + 0.5))
    with pytest.raises(ValueError, match="'position'"):
        control_heads(words.drop(columns="position"))
