# SPDX-License-Identifier: BSD-3-Clause
"""Rows that are pairs of words, in every table, against loops over the rows."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_neurox.inspection import (
    NeuronReport,
    neuron_summary,
    predictions_frame,
    top_contexts,
    top_words,
)
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.words import pair_frame, words_frame

SENTENCES = [
    ["the", "dog", "saw", "the", "cat"],
    ["The", "dog", "saw", "Dogs"],
    ["the", "cat", "saw", "the", "dog"],
]
HEADS = [[2, 3, 0, 5, 3], [2, 3, 0, 3], [2, 3, 0, 5, 3]]
WORDS = words_frame(SENTENCES, {"head": HEADS})
PAIRS = pair_frame(WORDS, heads="head", negatives="all").sample(frac=1, random_state=0)
X = np.random.default_rng(0).normal(size=(len(PAIRS), 2))
SPANS = ["text", "start", "end", "other_start", "other_end"]


def _keys(pairs):
    rows = pairs[SPANS].itertuples(index=False)
    return [f"{t[a:b]} → {t[c:d]}" for t, a, b, c, d in rows]


def _means(keys, column):
    return {
        key: np.mean([x for x, k in zip(column, keys, strict=True) if k == key]) for key in keys
    }


def test_the_type_of_a_pair_is_both_of_its_words():
    keys = _keys(PAIRS)
    for frame in (
        PAIRS,
        PAIRS[SPANS],
        PAIRS.drop(columns="other_word"),
        PAIRS.drop(columns="text"),
    ):
        table = top_words(X, frame, n_words=99, min_count=1, sign="positive")
        for neuron, column in zip(["x0", "x1"], X.T, strict=True):
            own = table[table["neuron"] == neuron].set_index("word")
            assert own["mean"].to_dict() == pytest.approx(_means(keys, column))
            assert own["count"].to_dict() == dict(Counter(keys))
    lower = top_words(X, PAIRS, 0, n_words=99, min_count=1, case_sensitive=False)
    found = lower[lower["sign"] == "+"].set_index("word")["count"].to_dict()
    assert found == dict(Counter(key.lower() for key in keys))
    # By one word only, on request.
    for name, words in (("first", PAIRS["word"]), ("other", PAIRS["other_word"])):
        table = top_words(X, words, 0, n_words=99, min_count=1, sign="positive").set_index("word")
        assert table["mean"].to_dict() == pytest.approx(_means(words.tolist(), X[:, 0])), name


def test_a_word_and_its_text():
    whole = WORDS.assign(other_start=0, other_end=WORDS["text"].str.len())
    table = top_words(X[: len(WORDS)], whole, 0, n_words=99, min_count=1, sign="positive")
    expected = {f"{row.word} → {row.text}" for row in WORDS.itertuples()}
    assert set(table["word"]) == expected


def test_contexts_show_the_other_word():
    table = top_contexts(X, PAIRS, 0, n_contexts=4, sign="positive", window=2)
    best = np.argsort(-X[:, 0])[:4]
    assert table["row"].tolist() == best.tolist()
    for shown, pair in zip(table.itertuples(), PAIRS.iloc[best].itertuples(), strict=True):
        assert (shown.word, shown.other_word) == (pair.word, pair.other_word)
        assert (shown.other_start, shown.other_end) == (pair.other_start, pair.other_end)
        assert shown.left == pair.text[max(0, pair.start - 2) : pair.start]
    assert "other_word" not in top_contexts(X[:14], WORDS, 0)
    spans = top_contexts(X, PAIRS[SPANS], 0, n_contexts=4, sign="positive")
    assert spans["other_word"].tolist() == table["other_word"].tolist()


def test_a_summary_lists_pairs_with_their_labels():
    y = PAIRS["is_arc"].map({True: "arc", False: "none"})
    ranker = ProbelessRanker().fit(X, y)
    summary = neuron_summary(ranker, X, y, words=PAIRS, n_words=2, min_count=2)
    keys = pd.Series(_keys(PAIRS))
    frequent = keys[keys.map(Counter(keys)) >= 2].unique()
    labels = y.to_numpy()
    for row in summary.itertuples():
        means = pd.Series(X[:, int(row.neuron[1])]).groupby(keys).mean()[frequent]
        best = means.sort_values(ascending=row.direction == "low").index[:2]
        shown = [
            f"{key} ({pd.Series(labels[keys == key]).value_counts().index[0]})" for key in best
        ]
        assert row.words == ", ".join(shown)


def test_predictions_name_both_words():
    y = PAIRS["is_arc"].to_numpy()
    probe = LogisticRegression().fit(X, y)
    frame = predictions_frame(probe, X, PAIRS, y)
    for name in ("word", "other_word", "other_position", *SPANS):
        assert frame[name].tolist() == PAIRS[name].tolist()


def test_a_report_on_arcs_but_not_on_all_pairs():
    y = np.where(PAIRS["other_position"] % 2, "odd", "even")
    ranker = ProbelessRanker().fit(X, y)
    with pytest.raises(ValueError, match=r"first words have another partner.*top_words"):
        NeuronReport(ranker, X, y, PAIRS)
    arcs = PAIRS["is_arc"].to_numpy()
    report = NeuronReport(ranker, X[arcs], y[arcs], PAIRS[arcs], min_count=1)
    assert "dog → saw" in report.to_html().replace("\\u2192", "→")


def test_pairs_without_a_span_or_too_rare():
    lacking = PAIRS[SPANS].astype({"other_end": float})
    lacking.iloc[3, 4] = np.nan
    with pytest.raises(ValueError, match="Row 3 of the pairs given to top_words lacks its text"):
        top_words(X, lacking, 0)
    with pytest.raises(ValueError, match=r"No pair of words occurs 9 times.*pairs\['word'\]"):
        top_words(X, PAIRS, 0, min_count=9)
