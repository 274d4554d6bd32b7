# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of a treebank, of rows and of spans, against loops over sentences and a graph search."""

import io

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.preprocessing import OneHotEncoder

from sklearn_neurox.words import pair_frame, read_conllu, words_frame


def _random_heads(rng, n):
    """Draw a tree over n words that is not projective, as a list of heads from 1."""
    order, heads = rng.permutation(n), [0] * n
    for k in range(1, n):
        heads[order[k]] = int(order[rng.integers(k)]) + 1
    return heads


def _treebank(n_sentences=40, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, n_sentences)
    heads = [_random_heads(rng, n) for n in lengths]
    labels = {
        "head": heads,
        "deprel": [[f"r{rng.integers(3)}" if h else "root" for h in own] for own in heads],
        "upos": [[f"t{rng.integers(4)}" for _ in own] for own in heads],
    }
    words = [[f"w{rng.integers(20)}" for _ in own] for own in heads]
    return words_frame(words, labels)


@pytest.fixture(scope="module")
def words():
    return _treebank()


def _keys(pairs):
    columns = ["sentence_id", "position", "other_position"]
    return list(pairs[columns].itertuples(index=False, name=None))


def _expected(words):
    """Return arcs, all ordered pairs and tree distances, sentence by sentence."""
    arcs, every, distance = {}, [], {}
    for name, own in words.groupby("sentence_id", sort=False):
        n = len(own)
        graph = np.zeros((n, n))
        for row in own.itertuples():
            if row.head:
                arcs[name, row.position, row.head - 1] = row.deprel
                graph[row.position, row.head - 1] = 1
        steps = shortest_path(csr_array(graph), directed=False, unweighted=True)
        for i in range(n):
            for j in range(n):
                if i != j:
                    every.append((name, i, j))
                    distance[name, i, j] = steps[i, j]
    return arcs, every, distance


def test_arcs_of_a_treebank(words):
    arcs, _, distance = _expected(words)
    before = words.copy()
    pairs = pair_frame(words, heads="head")
    pd.testing.assert_frame_equal(words, before)
    assert _keys(pairs) == list(arcs)
    assert pairs["relation"].tolist() == list(arcs.values())
    assert pairs["is_arc"].all()
    assert (pairs["tree_distance"] == 1).all()
    assert (pairs["distance"] == pairs["other_position"] - pairs["position"]).all()
    for prefix in ("", "other_"):
        spans = zip(pairs["text"], pairs[f"{prefix}start"], pairs[f"{prefix}end"], strict=True)
        assert [text[a:b] for text, a, b in spans] == pairs[f"{prefix}word"].tolist()
    other = words.set_index(["sentence_id", "position"])["upos"]
    assert other.loc[[key[::2] for key in arcs]].tolist() == pairs["other_upos"].tolist()
    assert pairs["text"].dtype == words["text"].dtype


def test_all_pairs_and_tree_distances(words):
    arcs, every, distance = _expected(words)
    pairs = pair_frame(words, heads="head", negatives="all")
    assert _keys(pairs) == every
    assert pairs["is_arc"].tolist() == [key in arcs for key in every]
    assert pairs["relation"].tolist() == [arcs.get(key, "none") for key in every]
    assert pairs["tree_distance"].tolist() == [distance[key] for key in every]


def test_rows_in_any_order_give_the_same_pairs(words):
    for order in (words.sample(frac=1, random_state=1), words.iloc[::-1]):
        found = pair_frame(order, heads="head", negatives="all")
        expected = pair_frame(words, heads="head", negatives="all")
        columns = ["sentence_id", "position", "other_position"]
        found, expected = (f.sort_values(columns, ignore_index=True) for f in (found, expected))
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.slow
def test_matched_negatives_have_the_distances_of_the_arcs(words):
    words = _treebank(60)
    for n in (1, 2):
        pairs = pair_frame(words, heads="head", negatives="matched", n_negatives=n)
        counts = pairs.groupby(["distance", "is_arc"]).size().unstack(fill_value=0)
        enough = counts[False] == n * counts[True]
        assert enough.mean() > 0.5
        assert not pairs.duplicated(["sentence_id", "position", "other_position"]).any()
        arcs, every, _ = _expected(words)
        assert set(arcs) <= set(_keys(pairs)) <= set(every)
        assert [key in arcs for key in _keys(pairs)] == pairs["is_arc"].tolist()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:pair_frame found too few")
def test_the_distance_alone_does_not_tell_arcs_from_matched_negatives(words):
    words = _treebank(300, seed=3)
    # A word attaches to the word before it or to the first one.
    words["head"] = np.where(words["position"] > 0, words["position"], 0)
    flip = np.random.default_rng(0).random(len(words)) < 0.65
    words["head"] = words["head"].mask(flip & (words["position"] > 1), 1)
    scores = {}
    for kind in ("all", "matched"):
        pairs = pair_frame(words, heads="head", negatives=kind)
        X = OneHotEncoder(handle_unknown="ignore").fit_transform(pairs[["distance"]])
        probe = LogisticRegression(class_weight="balanced")
        options = {"groups": pairs["text"], "cv": GroupKFold(4), "scoring": "balanced_accuracy"}
        scores[kind] = cross_val_score(probe, X, pairs["is_arc"], **options).mean()
    assert scores["all"] > 0.7
    assert abs(scores["matched"] - 0.5) < 0.05


def test_the_sample_is_seeded(words):
    draws = [
        pair_frame(words, heads="head", negatives="matched", random_state=seed)
        for seed in (0, 0, np.random.RandomState(0), 1)
    ]
    pd.testing.assert_frame_equal(draws[0], draws[1])
    pd.testing.assert_frame_equal(draws[0], draws[2])
    assert not draws[0].equals(draws[3])


def test_too_few_candidates_are_counted():
    words = words_frame([["a", "b"]], {"head": [[2, 0]]})
    with pytest.warns(UserWarning, match=r"1 of 1 distances: 1 of 1 negatives are lacking"):
        pairs = pair_frame(words, heads="head", negatives="matched")
    assert len(pairs) == 1


def test_several_roots_leave_words_without_a_path():
    words = words_frame([["a", "b", "c", "d"]], {"head": [[2, 0, 0, 3]]})
    pairs = pair_frame(words, heads="head", negatives="all")
    crossing = (pairs["position"] < 2) != (pairs["other_position"] < 2)
    assert pairs["tree_distance"].isna().tolist() == crossing.tolist()
    assert (pairs["tree_distance"].dropna() == 1).all()


def test_pairs_of_rows():
    words = words_frame([["He", "saw", "his", "dog"], ["It", "ran"]])
    first, other = np.array([2, 3, 4]), np.array([0, 0, 5])
    pairs = pair_frame(words, rows=(first, other), relation=["coref", "other", "subj"])
    assert pairs["word"].tolist() == ["his", "dog", "It"]
    assert pairs["other_word"].tolist() == ["He", "He", "ran"]
    assert pairs["relation"].tolist() == ["coref", "other", "subj"]
    assert pairs["distance"].tolist() == [-2, -3, 1]
    assert "tree_distance" not in pairs
    shuffled = words.set_axis([9, 4, 4, 0, 1, 2])  # rows are positions, whatever the labels
    pd.testing.assert_frame_equal(
        pair_frame(shuffled, rows=(first.tolist(), pd.Series(other)), relation=list("abc"))[
            ["word", "other_word"]
        ],
        pairs[["word", "other_word"]],
    )
    every = pair_frame(words, rows=(first, other), relation=list("abc"), negatives="all")
    assert len(every) == 4 * 3 + 2
    assert every["is_arc"].sum() == 3
    assert every.loc[every["is_arc"], "relation"].tolist() == ["a", "b", "c"]
    assert set(every.loc[~every["is_arc"], "relation"]) == {"none"}
    few = pair_frame(words, rows=([2, 3], [0, 2]), negatives="matched")
    assert few.loc[few["is_arc"], "distance"].tolist() == [-2, -1]
    assert sorted(few.loc[~few["is_arc"], "distance"]) == [-2, -1]


def test_pairs_across_the_sentences_of_one_text():
    text = "Ann ran. She won."
    spans = pd.DataFrame(
        {
            "text": text,
            "start": [0, 4, 9, 13],
            "end": [3, 7, 12, 16],
            "sentence_id": [0, 0, 1, 1],
            "position": [0, 1, 0, 1],
        }
    )
    pairs = pair_frame(spans, rows=([2], [0]), negatives="all")
    assert len(pairs) == 12
    assert pairs.loc[pairs["is_arc"], ["word", "other_word"]].values.tolist() == [["She", "Ann"]]
    assert pairs.loc[pairs["is_arc"], "distance"].tolist() == [-2]


def test_two_spans_per_text():
    table = pd.DataFrame(
        {
            "label": ["owns", "whole"],
            "other_end": [13, 13],
            "other_start": [8, 0],
            "end": [3, 3],
            "text": ["Ann has a dog", "Ann has a dog"],
            "start": [0, 0],
        }
    )
    for given in (table, table.to_dict("records")):
        pairs = pair_frame(given)
        assert pairs["word"].tolist() == ["Ann", "Ann"]
        assert pairs["other_word"].tolist() == ["a dog", "Ann has a dog"]
        assert pairs["label"].tolist() == ["owns", "whole"]
        assert isinstance(pairs["text"].dtype, pd.CategoricalDtype)
    pd.testing.assert_frame_equal(pair_frame(pairs), pairs, check_like=True)


def test_pairs_survive_files(words, tmp_path):
    pairs = pair_frame(words, heads="head", negatives="matched")
    pairs.to_csv(tmp_path / "pairs.csv", index=False)
    back = pd.read_csv(tmp_path / "pairs.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(back.assign(text=pairs["text"]), pairs)


def _one(head, **columns):
    words = words_frame([["a", "b", "c"], ["d"]], {"head": [head, [0]]})
    return words.assign(**columns)


_SPANS = pd.DataFrame(
    {"text": ["abc def"] * 2, "start": 0, "end": 3, "other_start": [4, 0], "other_end": 7}
)
WRONG = {
    "a head out of the sentence": (_one([2, 9, 0]), {"heads": "head"}, r"row 1 \(word 'b'.* is 9"),
    "a head in the next sentence": (_one([4, 0, 2]), {"heads": "head"}, "head of row 0 .* is 4"),
    "heads from 0": (_one([-1, 0, 1]), {"heads": "head"}, r"is -1.*from 1, .* head 0\. If.*Fix"),
    "a head that is the word": (
        _one([1, 0, 2]),
        {"heads": "head"},
        "row 0 .* itself .*from 1",
    ),
    "a negative head": (_one([-1, 0, 2]), {"heads": "head"}, "'head' .* is -1, .* row 0"),
    "a fraction of a head": (_one([1.5, 0, 2]), {"heads": "head"}, r"is 1\.5, not a whole"),
    "a missing head": (_one([None, 0, 2]), {"heads": "head"}, "is missing in row 0"),
    "a cycle": (_one([2, 3, 1]), {"heads": "head"}, "3 words form a cycle.*row 0"),
    "a head that was left out": (_one([2, 0, 2]).drop(1), {"heads": "head"}, "no row with the pos"),
    "a repeated row": (_one([2, 0, 2]).iloc[[0, 1, 1]], {"heads": "head"}, "row 2 .* of row 1"),
    "no such column": (_one([2, 0, 2]), {"heads": "heads"}, "reads the column 'heads'"),
    "no such relation": (_one([2, 0, 2]), {"heads": "head", "relation": "x"}, "column 'x'"),
    "labels for arcs": (_one([2, 0, 2]), {"heads": "head", "relation": [1]}, "names a column"),
    "a clash": (_one([2, 0, 2], is_arc=1), {"heads": "head"}, "a column 'is_arc'"),
    "one sentence_id for two texts": (
        words_frame([["a"], ["b"]]).assign(sentence_id=0, position=[0, 1], head=[2, 0]),
        {"heads": "head"},
        "Pair 0 joins two texts: row 0 .* and row 1",
    ),
    "rows of two texts": (_one([2, 0, 2]), {"rows": ([0, 1], [1, 3])}, "Pair 1 joins two texts"),
    "a row and itself": (_one([2, 0, 2]), {"rows": ([0, 1], [1, 1])}, "Pair 1 joins a span with i"),
    "a pair twice": (_one([2, 0, 2]), {"rows": ([0, 1, 0], [1, 2, 1])}, "Pair 2 has .* of pair 0"),
    "rows out of range": (_one([2, 0, 2]), {"rows": ([0, 9], [1, 2])}, r"rows\[0\]\[1\] .* is 9"),
    "negative rows": (_one([2, 0, 2]), {"rows": ([0, 1], [-1, 2])}, r"rows\[1\]\[0\] .* is -1"),
    "a mask": (_one([2, 0, 2]), {"rows": ([True] * 2, [False] * 2)}, "np.flatnonzero"),
    "three arrays": (_one([2, 0, 2]), {"rows": ([0], [1], [2])}, "two arrays"),
    "no pair": (_one([2, 0, 2]), {"rows": ([], [])}, "at least one pair"),
    "arrays of two lengths": (_one([2, 0, 2]), {"rows": ([0, 1], [1])}, "got 2 and 1 rows"),
    "too few labels": (_one([2, 0, 2]), {"rows": ([0], [1]), "relation": [1, 2]}, "2 labels for 1"),
    "a column of labels": (_one([2, 0, 2]), {"rows": ([0], [1]), "relation": "x"}, "one label per"),
    "heads and rows": (_one([2, 0, 2]), {"heads": "head", "rows": ([0], [1])}, "got both"),
    "neither": (_one([2, 0, 2]), {}, "needs to know the pairs.*heads='head'"),
    "a repeated word": (
        _one([2, 0, 2]).iloc[[0, 1, 1]],
        {"rows": ([0], [1]), "negatives": "all"},
        "row 2 .* has the span of an earlier row",
    ),
    "a span out of range": (_SPANS.assign(other_end=[7, 8]), {}, r"row 1 .*other_end=8.* 7 char"),
    "an empty span": (_SPANS.assign(end=0), {}, "row 0 .*start=0, end=0.* empty"),
    "a missing span": (_SPANS.assign(end=[3, None]), {}, "The 'end' of row 1 is nan"),
    "a span twice": (_SPANS.assign(other_start=4), {}, "Pair 1 has both spans of pair 0"),
    "a span and itself": (_SPANS.assign(other_end=[7, 3]), {}, "Pair 1 joins a span with itself"),
    "another word": (_SPANS.assign(other_word="def"), {}, "'other_word' of row 1 is 'def', but"),
    "a missing text": (_SPANS.assign(text=["abc def", None]), {}, "'text' of row 1"),
    "negatives of spans": (_SPANS, {"negatives": "all"}, "'negatives' .* needs 'heads' or 'rows'"),
    "no rows": (_SPANS.head(0), {}, "has no rows"),
    "no text": (_SPANS.drop(columns="text"), {}, "column 'text'"),
}


def test_wrong_pairs_are_named():
    for what, (words, params, message) in WRONG.items():
        with pytest.raises(ValueError, match=message):
            pair_frame(words, **params)
            raise AssertionError(what)


def test_conllu_with_columns_of_heads_and_misc():
    file = io.StringIO(
        "1\tDogs\tdog\tNOUN\t_\t_\t2\tnsubj\t_\tEntity=1\n2\tbark\t_\tVERB\t_\t_\t0\troot\t_\t_\n"
    )
    pairs = pair_frame(read_conllu(file, columns=["head", "deprel", "misc"]), heads="head")
    assert pairs[["word", "misc", "other_word", "other_deprel"]].values.tolist() == [
        ["Dogs", "Entity=1", "bark", "root"]
    ]


def test_words_of_a_multi_word_token_share_their_span():
    file = io.StringIO(
        "1\tVoy\t_\tVERB\t_\t_\t0\troot\t_\t_\n2-3\tdel\t_\t_\t_\t_\t_\t_\t_\t_\n"
        "2\tde\t_\tADP\t_\t_\t3\tcase\t_\t_\n3\tel\t_\tDET\t_\t_\t1\tobl\t_\t_\n"
    )
    words = read_conllu(file, columns=["head", "deprel"], text="natural")
    pairs = pair_frame(words, heads="head", negatives="all")
    assert pairs.loc[pairs["is_arc"], ["form", "other_form"]].values.tolist() == [
        ["de", "el"],
        ["el", "Voy"],
    ]
    assert len(pairs) == 6
    given = pair_frame(words, rows=([1], [2]), negatives="all")
    assert given["is_arc"].sum() == 1


@pytest.mark.slow
def test_a_real_treebank(treebank):
    words = read_conllu(treebank, columns=["head", "deprel", "misc"])
    pairs = pair_frame(words, heads="head", negatives="matched")
    n_arcs = int((words["head"] > 0).sum())
    assert pairs["is_arc"].sum() == n_arcs
    assert len(pairs) == 2 * n_arcs
    X = OneHotEncoder(handle_unknown="ignore").fit_transform(pairs[["distance"]])
    options = {"groups": pairs["text"], "cv": GroupKFold(4)}
    score = cross_val_score(LogisticRegression(), X, pairs["is_arc"], **options).mean()
    assert abs(score - 0.5) < 0.02
