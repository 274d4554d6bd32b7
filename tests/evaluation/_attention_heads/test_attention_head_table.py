# SPDX-License-Identifier: BSD-3-Clause
"""The best attention head of each relation, against loops over words and plain transformers."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.evaluation import attention_head_table, compare, interval_table
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.words import pair_frame, words_frame


@cache
def _words(n_sentences=30, seed=0):
    """Return random trees, some of whose sentences occur twice."""
    rng = np.random.default_rng(seed)
    sentences, heads, relations = [], [], []
    for _ in range(n_sentences):
        n = int(rng.integers(2, 9))
        sentences.append([f"w{k}" for k in rng.integers(20, size=n)])
        order = rng.permutation(n)
        head = np.zeros(n, dtype=int)
        for place in range(1, n):
            head[order[place]] = order[rng.integers(place)] + 1
        heads.append(head.tolist())
        relations.append(
            [str(rng.choice(["det", "obj", "nsubj"], p=[0.5, 0.3, 0.2])) for _ in head]
        )
    for part in (sentences, heads, relations):
        part += part[:3]
    return words_frame(sentences, {"head": heads, "deprel": relations})


def _pairs(**params):
    return pair_frame(_words(**params), heads="head", negatives="all")


def _weights(pairs, n_columns=6, seed=1):
    """Return weights with many ties, one column of which often picks the head."""
    X = np.random.default_rng(seed).integers(4, size=(len(pairs), n_columns)).astype(np.float32)
    X[:, 2] += 2 * pairs["is_arc"]
    return X


def _credits(X, pairs):
    """Return, word by word: its relation, the row of its arc, and how far each column picks it."""
    found = []
    ids = zip(pairs["sentence_id"], pairs["position"], strict=True)
    places = {}
    for row, key in enumerate(ids):
        places.setdefault(key, []).append(row)
    for rows in places.values():
        arcs = [row for row in rows if pairs["is_arc"].iloc[row]]
        if arcs:
            credit = []
            for column in X[rows].T:
                best = [
                    row for row, value in zip(rows, column, strict=True) if value == max(column)
                ]
                credit.append((arcs[0] in best) / len(best))
            found.append((pairs["relation"].iloc[arcs[0]], arcs[0], credit))
    return found


def _naive(X, pairs, folds, relation):
    """Return head, offset, and for each word whether the held-out choices are right."""
    credits = [c for c in _credits(X, pairs) if relation in ("(all)", c[0])]
    distance = pairs["distance"].tolist()
    offsets = sorted(set(distance), key=lambda d: (abs(d), d))

    def best_head(words):
        sums = [sum(c[2][j] for c in words) for j in range(X.shape[1])]
        return next(j for j, s in enumerate(sums) if s > max(sums) - 1e-9)

    def best_offset(words):
        return max(offsets, key=lambda d: sum(distance[c[1]] == d for c in words))

    correct, offset_correct, chosen = {}, {}, []
    for train, test in folds:
        training = [c for c in credits if c[1] in set(train)]
        for c in credits:
            if training and c[1] in set(test):
                correct.setdefault(c[1], []).append(c[2][best_head(training)])
                right = distance[c[1]] == best_offset(training)
                offset_correct.setdefault(c[1], []).append(right)
        if training:
            chosen.append(best_head(training))
    means = [{k: np.mean(v) for k, v in d.items()} for d in (correct, offset_correct)]
    return (
        best_head(credits),
        best_offset(credits),
        np.mean(np.equal(chosen, best_head(credits))),
        means,
    )


@pytest.mark.slow
def test_a_table_by_hand():
    pairs = _pairs().sample(frac=1, random_state=3)  # in any order
    for dtype, cv in (("float32", 4), ("float16", GroupShuffleSplit(3, random_state=0))):
        X = _weights(pairs).astype(dtype)
        splitter = GroupKFold(cv) if isinstance(cv, int) else cv
        folds = list(splitter.split(pairs, groups=pairs["text"]))
        table, words = attention_head_table(X, pairs, cv=cv, min_count=1, return_words=True)
        counts = pairs[pairs["is_arc"]]["relation"].value_counts()
        assert table["relation"].tolist() == ["(all)", *counts.index]
        for row in table.itertuples():
            head, offset, share, (correct, offset_correct) = _naive(X, pairs, folds, row.relation)
            assert (row.attention_head, row.offset) == (f"x{head}", offset)
            assert row.share_of_folds == pytest.approx(share)
            of_relation = words[words["relation"] == row.relation]
            assert row.n_words == len(correct)
            for name, expected, found in (
                ("attention head", correct, (row.accuracy, row.low, row.high)),
                ("offset", offset_correct, (row.offset_accuracy, row.offset_low, row.offset_high)),
            ):
                own = of_relation[of_relation["name"] == name]
                outcomes = own.groupby("row")["outcome"].mean()
                assert outcomes.to_dict() == pytest.approx(expected)
                texts = pairs["text"].iloc[own["row"]]
                assert own["group"].tolist() == texts.tolist()
                codes = pd.factorize(texts)[0]
                right = mean_interval(own["outcome"], codes, scale="logit")
                np.testing.assert_allclose(found, right)
                again = interval_table(own, scale="logit")[["score", "low", "high"]].iloc[0]
                np.testing.assert_allclose(found, again)


def test_a_small_known_answer():
    sentences = [["a", "b", "c"]] * 4
    words = words_frame(
        [[f"{w}{i}" for w in s] for i, s in enumerate(sentences)],
        {"head": [[2, 3, 0]] * 4, "deprel": [["x", "y", "root"]] * 4},
    )
    pairs = pair_frame(words, heads="head", negatives="all")
    places = pairs["position"], pairs["other_position"]
    # One head picks the second word, except in the last sentence; one attends to all alike.
    second = (places[1] == 1) ^ ((pairs["sentence_id"] == 3) & (places[0] == 0))
    X = pd.DataFrame({"h.second": second.astype(float), "h.alike": 0.25})
    table = attention_head_table(X, pairs, cv=4, min_count=4).set_index("relation")
    assert table.loc["x", ["attention_head", "accuracy"]].tolist() == ["h.second", 0.75]
    # Neither tells the candidates of the second word apart.
    assert table.loc["y", ["attention_head", "accuracy"]].tolist() == ["h.second", 0.5]
    assert table.loc["x", ["offset", "offset_accuracy"]].tolist() == [1, 1.0]
    assert table.loc["(all)", "accuracy"] == pytest.approx(5 / 8)
    assert table.loc["x", "share_of_folds"] == 1.0


def test_equal_weights_are_at_chance():
    pairs = _pairs()
    n_candidates = pairs.groupby(["sentence_id", "position"])["is_arc"].transform("size")
    expected = (1 / n_candidates)[pairs["is_arc"]].mean()
    table = attention_head_table(np.zeros((len(pairs), 2)), pairs, min_count=1)
    assert table["accuracy"][0] == pytest.approx(expected)
    # A decoder, where no word attends to later ones: those of the first word are all alike.
    X = (
        np.random.default_rng(0).random((len(pairs), 1))
        * (pairs["distance"] < 0).to_numpy()[:, None]
    )
    is_first = (pairs["position"] == 0) & pairs["is_arc"]
    _, words = attention_head_table(X, pairs, min_count=1, return_words=True)
    own = words[(words["name"] == "attention head") & (words["relation"] == "(all)")]
    own = own[is_first[own["row"]].to_numpy()]
    np.testing.assert_allclose(own["outcome"], 1 / n_candidates[own["row"]])


def test_the_first_of_equally_good_columns_is_chosen():
    """Picking k words alone is as good as picking k * n words, each together with n - 1 others."""
    for n_others in (3, 5, 6, 7, 10):
        sentences = [[f"w{k}" for k in range(n_others + 1)] for _ in range(2 * n_others)]
        heads = [[2] + [0] * n_others for _ in sentences]
        pairs = pair_frame(words_frame(sentences, {"head": heads}), heads="head", negatives="all")
        is_own = pairs["is_arc"].to_numpy()
        number = pairs.groupby("sentence_id", sort=False).ngroup().to_numpy()
        shared = np.zeros(len(pairs))
        alone = np.where(is_own == (number % n_others == 0), 1.0, 0.0)
        halves = [np.flatnonzero(number // n_others == half) for half in (0, 1)]
        options = {"groups": number, "cv": [halves, halves[::-1]], "min_count": 1}
        for columns in ([alone, shared], [shared, alone]):
            table = attention_head_table(np.column_stack(columns), pairs, **options)
            assert table["attention_head"][0] == "x0"
            assert table["share_of_folds"][0] == 1.0
            assert table["accuracy"][0] == pytest.approx(1 / n_others, abs=1e-15)


def test_the_best_of_many_random_heads_is_at_chance_on_held_out_texts():
    pairs = _pairs(n_sentences=60)
    X = np.random.default_rng(0).random((len(pairs), 300))
    n_candidates = pairs.groupby(["sentence_id", "position"])["is_arc"].transform("size")
    picked = (
        pd.DataFrame(X).groupby([pairs["sentence_id"], pairs["position"]]).transform("max") == X
    )
    table = attention_head_table(X, pairs).set_index("relation")
    for relation in ("det", "obj", "nsubj"):
        own = pairs["is_arc"] & (pairs["relation"] == relation)
        chance = (1 / n_candidates)[own].mean()
        assert picked[own].mean().max() > chance + 0.08  # on the words that it was chosen on
        assert table.loc[relation, "low"] < chance < table.loc[relation, "high"]


def test_several_partners_and_other_frames():
    words = words_frame([["he", "saw", "him", "and", "himself", f"x{i}"] for i in range(4)])
    first = np.concatenate([[6 * i + 4, 6 * i + 4, 6 * i + 2] for i in range(4)])
    other = np.concatenate([[6 * i, 6 * i + 2, 6 * i] for i in range(4)])
    pairs = pair_frame(words, rows=(first, other), negatives="all")
    X = np.column_stack([pairs["other_position"] == 2, pairs["other_position"] == 0])
    # Half of the mentions have two antecedents, and one of them is enough.
    table, own = attention_head_table(X, pairs, min_count=1, cv=2, return_words=True)
    assert table["relation"].tolist() == ["(all)"]
    assert table["n_words"].tolist() == [8]
    assert table[["attention_head", "accuracy"]].iloc[0].tolist() == ["x1", 1.0]
    assert own.loc[own["name"] == "attention head", "outcome"].tolist() == [1.0] * 8
    plain = pairs[["text", "start", "end", "other_start", "other_end", "is_arc", "distance"]]
    pd.testing.assert_frame_equal(attention_head_table(X, plain, min_count=1, cv=2), table)
    # Without a partner that no word may pick.
    some = pairs["other_position"] != 5
    kept = attention_head_table(X[some], pairs[some], min_count=1, cv=2)
    assert kept["accuracy"].tolist() == [1.0]


def test_a_relation_in_one_fold():
    pairs = _pairs()
    one = pairs["is_arc"] & (pairs["sentence_id"] == 10)
    pairs["relation"] = pairs["relation"].mask(one, "rare")
    table = attention_head_table(_weights(pairs), pairs, min_count=1).set_index("relation")
    rare = table.loc["rare"]
    assert rare["n_words"] == 0
    assert rare[["accuracy", "low", "offset_high", "share_of_folds"]].isna().all()
    table = attention_head_table(_weights(pairs), pairs, min_count=int(one.sum()) + 1)
    assert "rare" not in table["relation"].tolist()


def test_a_paired_comparison_and_wider_groups():
    pairs = _pairs()
    X, documents = _weights(pairs), pairs["sentence_id"] // 11
    table, words = attention_head_table(
        X, pairs, groups=documents, cv=3, min_count=1, return_words=True
    )
    own = dict(list(words[words["relation"] == "det"].groupby("name")))
    found = compare(own["attention head"], own["offset"])
    assert found["n_groups"] == 3
    row = table.set_index("relation").loc["det"]
    assert found["mean_a"] == pytest.approx(row["accuracy"])
    assert found["mean_b"] == pytest.approx(row["offset_accuracy"])


@pytest.mark.slow
def test_wrong_pairs_and_weights():
    pairs = _pairs()
    X = _weights(pairs)
    arcs, again = pairs["is_arc"].to_numpy(), np.append(np.arange(len(pairs)), 3)
    lost = pairs["relation"].mask(pairs.index == int(arcs.argmax()))
    itself = pairs.assign(other_position=pairs["position"])
    for rows, frame, options, message in (
        (X[arcs], pairs[arcs], {}, 'words lack some.*negatives="all"'),
        (X[1:], pairs[1:], {}, "1 of .* words lack some"),
        (X[again], pairs.iloc[again], {}, f"Row {len(pairs)} .* repeats the pair of row 3"),
        (X, itself, {}, "Row 0 .* pairs a word with itself"),
        (X, pairs.drop(columns="is_arc"), {}, "'is_arc'"),
        (X, pairs.assign(is_arc=1), {}, "must contain bools"),
        (X[~arcs], pairs[~arcs], {}, "have no arcs"),
        (X, pairs.assign(relation=lost), {}, "relation of the arcs"),
        (X[1:], pairs, {}, "inconsistent numbers of samples"),
        (np.where(X > 2, np.nan, X), pairs, {}, "NaN"),
        (X, pairs, {"min_count": 10**4}, "No relation .* has 10000 words.*'min_count'"),
        (X, pairs, {"input_features": ["a"]}, "'input_features'"),
    ):
        with pytest.raises(ValueError, match=message):
            attention_head_table(rows, frame, **options)
    with pytest.warns(UserWarning, match="belong to groups that also have training rows"):
        attention_head_table(X, pairs, cv=list(KFold(3).split(pairs)))


@pytest.mark.slow
def test_the_heads_of_a_model():
    path, pairs = make_tiny_model("bert"), _pairs()
    extractor = ActivationExtractor(path, component="attention_weights")
    features = make_pipeline(extractor, SubwordAggregator()).set_output(transform="pandas")
    found = attention_head_table(features.fit_transform(pairs), pairs, cv=3, min_count=20)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModel.from_pretrained(path, attn_implementation="eager").eval()
    weights = {}
    for text in pairs["text"].unique():
        encoding = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        spans = encoding.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            layers = model(**encoding, output_attentions=True).attentions
        weights[text] = spans, torch.cat([layer[0] for layer in layers]).numpy()
    rows = []
    for pair in pairs.itertuples():
        spans, own = weights[pair.text]
        a, b = (
            [i for i, (start, end) in enumerate(spans) if low <= start < end <= high]
            for low, high in ((pair.start, pair.end), (pair.other_start, pair.other_end))
        )
        to, back = (own[:, q][:, :, k].sum(2).mean(1) for q, k in ((a, b), (b, a)))
        rows.append(np.stack([to, back], axis=1).ravel())
    X, names = np.array(rows), features.get_feature_names_out()
    folds = list(GroupKFold(3).split(pairs, groups=pairs["text"]))
    assert found["relation"].tolist()[0] == "(all)"
    for row in found.itertuples():
        head, offset, share, (correct, offset_correct) = _naive(X, pairs, folds, row.relation)
        assert (row.attention_head, row.offset) == (names[head], offset)
        assert row.share_of_folds == pytest.approx(share)
        assert row.accuracy == pytest.approx(np.mean([*correct.values()]))
        assert row.offset_accuracy == pytest.approx(np.mean([*offset_correct.values()]))
