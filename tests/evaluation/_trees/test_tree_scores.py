# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from sklearn_neurox.evaluation import distance_spearman_score, uuas_score


def distances_in_tree(heads):
    """Return the distances in a tree; heads are numbers from 1, and 0 for the root."""
    n = len(heads)
    distances = np.full((n, n), 99.0)
    np.fill_diagonal(distances, 0)
    for word, head in enumerate(heads):
        if head:
            distances[word, head - 1] = distances[head - 1, word] = 1
    for middle in range(n):
        distances = np.minimum(distances, distances[:, [middle]] + distances[[middle]])
    return distances


def _pairs(matrices, *, both=False, texts=None):
    """Return the pairs of sentences of one-letter words, and the entries of each matrix."""
    rows, values = [], [[] for _ in matrices[0]]
    for number, group in enumerate(matrices):
        n = len(group[0])
        text = texts[number] if texts else " ".join(chr(97 + number) * n)
        for i in range(n):
            for j in range(n):
                if i < j or (both and i != j):
                    spans = 2 * i, 2 * i + 1, 2 * j, 2 * j + 1
                    rows.append((text, *spans, f"s{number}", i, j))
                    for own, matrix in zip(values, group, strict=True):
                        own.append(matrix[i, j])
    columns = ["text", "start", "end", "other_start", "other_end", "sentence_id", "position"]
    frame = pd.DataFrame(rows, columns=[*columns, "other_position"])
    return frame, *map(np.array, values)


def _prim(distances):
    """Return the edges of the minimum spanning tree of a matrix without ties."""
    inside, edges = {0}, set()
    while len(inside) < len(distances):
        outside = set(range(len(distances))) - inside
        i, j = min(((i, j) for i in inside for j in outside), key=lambda edge: distances[edge])
        inside.add(j)
        edges.add((min(i, j), max(i, j)))
    return edges


def _random_sentences(sizes, seed=0):
    rng = np.random.default_rng(seed)
    sentences = []
    for n in sizes:
        order = rng.permutation(n) + 1
        heads = np.zeros(n, dtype=int)
        for place in range(1, n):
            heads[order[place] - 1] = order[rng.integers(place)]
        true = distances_in_tree(heads)
        noise = rng.normal(size=(n, n))
        sentences.append((true, true + 0.7 * (noise + noise.T) - np.diag(np.diag(noise)) * 1.4))
    return sentences


def test_uuas_by_hand():
    # A chain a-b-c-d and a star around its second word.
    chain, star = distances_in_tree([0, 1, 2, 3]), distances_in_tree([2, 0, 2, 2])
    for true, predicted, expected in (
        (chain, chain, 1), (star, star, 1), (chain, star, 2 / 3), (star, chain, 2 / 3),
        (chain, chain * 100 - 1000, 1),  # only the order matters
        (chain, 5 - chain, 0),  # d-a, c-a, d-b
        (chain, chain * 0, 1 / 3),  # ties: all attach to the first word
        (star, star * 0, 1 / 3),
        (chain, np.abs(np.subtract.outer(range(4), range(4))), 1),
    ):  # fmt: skip
        pairs, y_true, y_pred = _pairs([(true, predicted)])
        assert uuas_score(y_true, y_pred, pairs) == pytest.approx(expected)


def test_scores_of_random_trees_are_those_of_independent_code():
    sentences = _random_sentences([2, 3, 5, 5, 6, 9, 9, 14, 51])
    pairs, y_true, y_pred = _pairs(sentences)
    found = total = 0
    by_length = {}
    for true, predicted in sentences:
        gold = {(i, j) for i, j in zip(*np.nonzero(true == 1), strict=True) if i < j}
        found += len(gold & _prim(predicted))
        total += len(gold)
        own = predicted.copy()
        np.fill_diagonal(own, 0)
        by_length.setdefault(len(true), []).extend(
            spearmanr(a, b).statistic for a, b in zip(true, own, strict=True)
        )
    assert 0.2 < found / total < 0.9
    assert uuas_score(y_true, y_pred, pairs) == pytest.approx(found / total)
    for lengths in ((5, 50), (2, 51), (9, 9)):
        means = [np.mean(own) for n, own in by_length.items() if lengths[0] <= n <= lengths[1]]
        score = distance_spearman_score(y_true, y_pred, pairs, lengths=lengths)
        assert score == pytest.approx(np.mean(means))
    assert distance_spearman_score(y_true, y_pred, pairs) == pytest.approx(
        distance_spearman_score(y_true, y_pred, pairs, lengths=(5, 50))
    )


def test_counts_of_trees_sum_to_the_scores():
    pairs, y_true, y_pred = _pairs(_random_sentences([2, 5, 5, 8]))
    table = uuas_score(y_true, y_pred, pairs, by_tree=True)
    assert table["n_words"].tolist() == [2, 5, 5, 8] and table["n_arcs"].tolist() == [1, 4, 4, 7]
    assert table["sentence_id"].tolist() == ["s0", "s1", "s2", "s3"]
    score = table["n_correct"].sum() / table["n_arcs"].sum()
    assert uuas_score(y_true, y_pred, pairs) == score
    table = distance_spearman_score(y_true, y_pred, pairs, by_tree=True)
    assert table["n_words"].tolist() == [5, 5, 8]
    means = table.groupby("n_words")["spearman"].mean()
    assert distance_spearman_score(y_true, y_pred, pairs) == means.mean()


def test_any_order_of_rows_both_orders_of_pairs_and_repeated_texts():
    sentences = _random_sentences([5, 7, 5])
    alone = [
        [score(*data, frame) for score in (uuas_score, distance_spearman_score)]
        for frame, *data in [_pairs(sentences)]
    ][0]
    pairs, y_true, y_pred = _pairs(sentences, both=True)
    # Predictions of the two orders are averaged.
    shift = np.where(pairs["position"] < pairs["other_position"], 3.0, -3.0)
    rows = np.random.default_rng(0).permutation(len(pairs))
    for own, texts in ((pairs, None), (pairs.iloc[rows], rows)):
        order = np.arange(len(pairs)) if texts is None else rows
        given = y_true[order], (y_pred + shift)[order], own
        assert uuas_score(*given) == pytest.approx(alone[0])
        assert distance_spearman_score(*given) == pytest.approx(alone[1])
    # Two sentences of the same text are two trees, and ties do not depend on the order of rows.
    same, y_true, y_pred = _pairs(sentences, texts=["a a a a a", "b b b b b b b", "a a a a a"])
    assert uuas_score(y_true, y_pred, same) == pytest.approx(alone[0])
    rows = np.random.default_rng(0).permutation(len(same))
    ties = np.ones(len(same))
    assert uuas_score(y_true, ties, same) == uuas_score(y_true[rows], ties, same.iloc[rows])
    # Words that share a span are told apart by their positions, and otherwise by their spans.
    spans = same.assign(start=0, end=1, other_start=0, other_end=1)
    assert uuas_score(y_true, y_pred, spans) == pytest.approx(alone[0])
    bare = same.drop(columns=["position", "other_position"])
    assert uuas_score(y_true, y_pred, bare) == pytest.approx(alone[0])


def test_punctuation_can_be_left_out():
    # The mark between the words has the smallest distances, and joins them in the predicted tree.
    true = distances_in_tree([0, 1, 1])
    predicted = np.array([[0, 0.1, 2], [0.1, 0, 0.1], [2, 0.1, 0]])
    pairs, y_true, y_pred = _pairs([(true, predicted)])
    assert uuas_score(y_true, y_pred, pairs) == 0.5
    mark = (pairs["position"] == 1) | (pairs["other_position"] == 1)
    assert uuas_score(y_true, y_pred, pairs, ignore=mark) == 1
    table = uuas_score(y_true, y_pred, pairs, ignore=mark, by_tree=True)
    assert table[["n_words", "n_arcs", "n_correct"]].to_numpy().tolist() == [[2, 1, 1]]


def test_the_head_of_all_words_and_a_probe_without_distances():
    star = distances_in_tree([0, 1, 1, 1, 1])
    pairs, y_true, y_pred = _pairs([(star, star)])
    assert distance_spearman_score(y_true, y_pred, pairs) == 1
    assert distance_spearman_score(y_true, np.zeros(len(pairs)), pairs) == 0
    assert uuas_score(y_true, np.zeros(len(pairs)), pairs) == 1


def test_what_cannot_be_scored_is_an_error():
    pairs, y_true, y_pred = _pairs(_random_sentences([5, 4]))
    both, true_both, pred_both = _pairs(_random_sentences([5, 4]), both=True)
    twice = true_both.copy()
    twice[0] += 1
    with_nan = np.where(np.arange(len(pairs)) == 2, np.nan, y_pred)
    for score in (uuas_score, distance_spearman_score):
        for given, message in (
            ((y_true[1:], y_pred[1:], pairs[1:]), r"1 of 2 sentences.* has 9 of 10 pairs: 'a a a"),
            ((twice, pred_both, both), "two distances for one pair"),
            ((y_true, y_pred, pairs.assign(other_position=pairs["position"])), "with itself"),
            ((y_true, y_pred, pairs.drop(columns="other_end")), "'pairs'.*lacks.*'other_end'"),
            ((y_true, with_nan, pairs), "Input y_pred contains NaN"),
            ((-y_true, y_pred, pairs), "negative distances"),
            ((y_true, y_pred[1:], pairs), "inconsistent numbers of samples"),
            ((y_true[:0], y_pred[:0], pairs[:0]), "no pairs|0 sample"),
        ):
            with pytest.raises(ValueError, match=message):
                score(*given)
    with pytest.raises(ValueError, match="no arcs to find"):
        uuas_score(y_true + 1, y_pred, pairs)
    with pytest.raises(ValueError, match="'ignore'.*one bool per pair"):
        uuas_score(y_true, y_pred, pairs, ignore=np.zeros(len(pairs)))
    with pytest.raises(ValueError, match="has 20 to 30 words. Change 'lengths'"):
        distance_spearman_score(y_true, y_pred, pairs, lengths=(20, 30))
    for lengths in ((5,), (1, 5), (9, 5), (5, 6.5), (True, 5)):
        with pytest.raises(ValueError, match="'lengths' parameter"):
            distance_spearman_score(y_true, y_pred, pairs, lengths=lengths)
