# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of words on the command line, against the same steps in Python."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_neurox.cli import main
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import attention_head_table
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, SubwordAggregator
from sklearn_neurox.probes import ElasticNetProbeClassifier
from sklearn_neurox.words import pair_frame, read_conllu, words_frame

SENTENCES = [["The", "cat", "sleeps", "."], ["Dogs", "bark", "loudly"], ["The", "dog", "barks"]]
HEADS = [[2, 3, 0, 3], [2, 0, 2], [2, 3, 0]]
RELATIONS = [
    ["det", "nsubj", "root", "punct"],
    ["nsubj", "root", "advmod"],
    ["det", "nsubj", "root"],
]


@pytest.fixture(scope="module")
def model():
    return make_tiny_model("bert", n_layers=1, hidden_size=16)


def _write_treebank(path, heads=HEADS):
    sentences = [
        "".join(
            f"{i}\t{word}\t_\tX\t_\t_\t{head}\t{relation}\t_\t_\n"
            for i, (word, head, relation) in enumerate(zip(*rows, strict=True), start=1)
        )
        for rows in zip(SENTENCES, heads, RELATIONS, strict=True)
    ]
    path.write_text("\n".join([*sentences, ""]), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def treebank(tmp_path_factory):
    return _write_treebank(tmp_path_factory.mktemp("data") / "own.conllu")


def _words():
    return words_frame(SENTENCES, {"head": HEADS, "deprel": RELATIONS})


def _matrix(model, pairs, strategy="last", pair="concat", **params):
    steps = ActivationExtractor(model, **params), SubwordAggregator(strategy, pair=pair)
    return make_pipeline(*steps).set_output(transform="pandas").fit_transform(pairs)


def test_a_matrix_of_arcs(tmp_path, model, treebank, capsys):
    output = tmp_path / "arcs.npy"
    assert main(["extract", model, treebank, str(output), "--rows", "pairs"]) == 0
    pairs = pair_frame(_words(), heads="head")
    H = _matrix(model, pairs)
    np.testing.assert_array_equal(np.load(output), H)
    names = output.with_suffix(".neurons.txt").read_text().split()
    assert names == H.columns.tolist()
    rows = pd.read_csv(output.with_suffix(".words.csv"))
    for name in ("text", "start", "other_start", "word", "other_word", "relation", "distance"):
        assert rows[name].tolist() == pairs[name].tolist()
    printed = capsys.readouterr().out
    assert "7 pairs of 3 distinct texts, 64 neurons (first.hidden.0.0 to other." in printed


@pytest.mark.slow
def test_negatives_combinations_and_attention(tmp_path, model, treebank):
    output = str(tmp_path / "pairs.npy")
    every = pair_frame(_words(), heads="head", negatives="all")
    options = ["--rows", "pairs", "--negatives", "all", "--layers", "1", "--aggregation", "mean"]
    assert main(["extract", model, treebank, output, *options, "--pair", "product,difference"]) == 0
    H = _matrix(model, every, "mean", ["product", "difference"], layers=[1])
    np.testing.assert_array_equal(np.load(output), H)
    options += ["--component", "attention_weights"]
    assert main(["extract", model, treebank, output, *options]) == 0
    np.testing.assert_array_equal(
        np.load(output), _matrix(model, every, component="attention_weights", layers=[1])
    )
    names = (tmp_path / "pairs.neurons.txt").read_text().split()
    assert names[:2] == ["attention_weights.1.h0.to", "attention_weights.1.h0.from"]


def test_a_cache_of_pairs_is_one_of_words(tmp_path, model, treebank, capsys):
    folder = tmp_path / "cache"
    assert main(["extract", model, treebank, str(folder), "--rows", "pairs"]) == 0
    assert "7 pairs of 3 distinct texts" in capsys.readouterr().out
    assert ActivationExtractor(model, cache=ActivationCache(folder)).fill_cache(_words()) == 0


def test_wrong_requests_are_one_message(tmp_path, model, treebank, capsys):
    text = tmp_path / "own.txt"
    text.write_text("Dogs bark\n", encoding="utf-8")
    lost = _write_treebank(tmp_path / "lost.conllu", [[9, 3, 0, 3], *HEADS[1:]])
    none = _write_treebank(tmp_path / "none.conllu", [[0] * len(words) for words in SENTENCES])
    out, pairs = str(tmp_path / "H.npy"), ["--rows", "pairs"]
    for source, output, options, message in (
        (treebank, out, ["--pair", "concat"], "--pair is about pairs of words: add --rows pairs"),
        (treebank, out, ["--negatives", "all"], "--negatives is about pairs"),
        (treebank, out, [*pairs, "--pair", "sum"], "'pair' parameter of SubwordAggregator"),
        (treebank, out, [*pairs, "--aggregation", "cls"], "the rows are pairs, not whole texts"),
        (treebank, str(tmp_path / "H.json"), pairs, "NeuroX files store words"),
        (treebank, out, ["--component", "attention_weights"], "the rows are not pairs"),
        (str(text), out, pairs, "--rows pairs reads the heads of a treebank"),
        (str(text), str(tmp_path / "cache"), pairs, "--rows pairs reads the heads of a treebank"),
        (lost, out, pairs, "the HEAD 9 is not a word of this sentence"),
        (none, out, pairs, "has no arcs"),
    ):
        assert main(["extract", model, source, output, *options]) == 1, message
        printed = capsys.readouterr()
        assert printed.err.count("\n") == 1
        assert re.search(message, printed.err), printed.err
        assert not (tmp_path / "H.npy").exists()


@pytest.fixture(scope="module")
def many_sentences(tmp_path_factory):
    """Return the path and the words of a treebank of 40 distinct sentences."""
    words = make_tagged_words(40, random_state=2)
    words["head"] = (words.groupby("sentence_id").cumcount() + 1) // 2
    words["deprel"] = words["upos"].str.lower()
    path = tmp_path_factory.mktemp("data") / "many.conllu"
    lines = [
        "".join(
            f"{i}\t{row.word}\t_\tX\t_\t_\t{row.head}\t{row.deprel}\t_\t_\n"
            for i, row in enumerate(sentence.itertuples(), start=1)
        )
        for _, sentence in words.groupby("sentence_id", sort=False)
    ]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return str(path), words


@pytest.mark.slow
def test_arcs_are_probed_and_attention_heads_listed(model, many_sentences, capsys):
    path, words = many_sentences
    assert main(["arcs", path, "--model", model, "--alpha", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert "distance and direction alone" in printed
    words = read_conllu(path, columns=["head", "deprel"])
    pairs = pair_frame(words, heads="head")
    pairs = pairs[pairs.groupby("relation")["relation"].transform("size") >= 20]
    pairs = pairs.reset_index(drop=True)
    test = pd.factorize(pairs["text"])[0] % 5 == 0
    probe = ElasticNetProbeClassifier(0.1, l1_ratio=0.0, standardize=True, random_state=0)
    H, y = _matrix(model, pairs, "mean"), pairs["relation"].to_numpy()
    for layer in (0, 1):
        own = H[[name for name in H if f".hidden.{layer}." in name]].to_numpy()
        right = probe.fit(own[~test], y[~test]).score(own[test], y[test])
        found = re.search(rf"^ *hidden\.{layer} +([\d.]+)", printed, re.M)
        assert float(found[1]) == pytest.approx(right, abs=0.011)
    every = pair_frame(words, heads="head", negatives="all")
    A = _matrix(model, every, component="attention_weights")
    row = attention_head_table(A, every, min_count=20).iloc[0]
    found = re.search(r"^ *\(all\) +(\d+) +(\S+) +([\d.]+)", printed, re.M)
    assert found.groups()[:2] == (str(row["n_words"]), row["attention_head"])
    assert float(found[3]) == pytest.approx(row["accuracy"], abs=6e-4)


@pytest.mark.slow
def test_arcs_without_attention_and_against_negatives(model, many_sentences, treebank, capsys):
    path, _ = many_sentences
    options = ["--model", model, "--label", "is_arc", "--layers", "0", "--pair", "product"]
    assert main(["arcs", path, *options, "--no-attention"]) == 0
    printed = capsys.readouterr()
    assert "2 values of 'is_arc'" in printed.out
    assert "hidden.0" in printed.out and "hidden.1" not in printed.out
    assert "attention head" not in printed.out
    assert main(["arcs", treebank, "--model", model]) == 1
    assert "ten sentences are needed" in capsys.readouterr().err
