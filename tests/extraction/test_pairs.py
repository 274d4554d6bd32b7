# SPDX-License-Identifier: BSD-3-Clause
"""Activations of pairs: both spans, read by plain transformers and combined by plain NumPy."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.ablation import ablate_model, causal_effect
from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    SparseAutoencoderEncoder,
    SubwordAggregator,
)
from sklearn_neurox.inspection import highlight, neuron_table
from sklearn_neurox.io import write_neurox
from sklearn_neurox.ranking import ProbelessRanker
from sklearn_neurox.selection import LayerSelector
from sklearn_neurox.words import pair_frame, words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

FAMILIES = ["bert", "roberta", "distilbert", "modernbert", "gpt2", "llama"]
SENTENCES = [
    ["The", "old", "dog", "barked", "loudly", "."],
    ["She", "unquestionably", "saw", "the", "café", "in", "Zürich"],
    ["Dogs", "bark"],
    ["The", "dog", "that", "the", "man", "saw", "was", "in", "the", "old", "house", "."],
]


@cache
def _pairs():
    words = words_frame(SENTENCES)
    first, other = [], []
    for rows in words.groupby("sentence_id").indices.values():
        first += rows[1:].tolist()
        other += rows[:-1].tolist()
    return pair_frame(words, rows=(first, other), negatives="all").sample(frac=1, random_state=0)


def _states(path):
    """Return a function from (text, start, end) to the states of the span's tokens, all layers."""
    model, tokenizer = AutoModel.from_pretrained(path).eval(), AutoTokenizer.from_pretrained(path)

    @cache
    def read(text):
        encoding = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
        spans = encoding.pop("offset_mapping")[0].tolist()
        encoding = {k: v for k, v in encoding.items() if k in ("input_ids", "attention_mask")}
        with torch.no_grad():
            states = model(**encoding, output_hidden_states=True).hidden_states
        return spans, torch.cat([state[0] for state in states], dim=1).numpy()

    def of_span(text, start, end):
        spans, states = read(text)
        return states[[i for i, (a, b) in enumerate(spans) if a < end and b > start and b > a]]

    return of_span


def _naive(path, pairs, pool):
    read = _states(path)
    sides = []
    for prefix in ("", "other_"):
        spans = zip(pairs["text"], pairs[f"{prefix}start"], pairs[f"{prefix}end"], strict=True)
        sides.append(np.array([pool(read(*span)) for span in spans]))
    return sides


def _features(*args, pair="concat", strategy="last", **params):
    return make_pipeline(
        ActivationExtractor(*args, **params), SubwordAggregator(strategy, pair=pair)
    )


@pytest.mark.parametrize(
    "families", [FAMILIES[:1], pytest.param(FAMILIES[1:], marks=pytest.mark.slow)]
)
def test_pairs_of_six_families(families, tiny):
    pairs = _pairs()
    for family in families:
        path = tiny(family)
        for strategy, pool in {"last": lambda s: s[-1], "mean": lambda s: s.mean(0)}.items():
            a, b = _naive(path, pairs, pool)
            expected = np.hstack([a * b, a, b, a - b])
            features = _features(path, strategy=strategy, pair=["product", "concat", "difference"])
            H = features.fit_transform(pairs)
            assert H.dtype == np.float32
            np.testing.assert_allclose(H, expected, atol=2e-5 * np.abs(expected).max())
    names = features.get_feature_names_out()
    base = ActivationExtractor(path).get_feature_names_out()
    spans = ["product", "first", "other", "difference"]
    assert names.tolist() == [f"{span}.{name}" for span in spans for name in base]


def test_the_vectors_are_those_of_word_rows(tiny, count_forwards):
    pairs = _pairs()
    alone = []
    for prefix in ("", "other_"):
        renamed = {"start": pairs[f"{prefix}start"], "end": pairs[f"{prefix}end"]}
        frame = pd.DataFrame({"text": pairs["text"]} | renamed)
        alone.append(_features(tiny("bert")).fit_transform(frame))
    count_forwards.clear()
    H = _features(tiny("bert")).fit_transform(pairs)
    np.testing.assert_array_equal(H, np.hstack(alone))
    assert sum(count_forwards) == len(SENTENCES)  # each text once, whatever the number of pairs


@pytest.mark.slow
def test_subsets_repetitions_and_slices(tiny):
    pairs = _pairs()
    features = _features(tiny("bert"), layers=[1])
    H = features.fit_transform(pairs)
    plan = features[0].transform(pairs)
    assert plan.shape == (len(pairs),)
    assert plan.n_subwords.shape == (len(pairs), 2)
    rng = np.random.default_rng(0)
    for rows in ([3], rng.integers(len(pairs), size=2 * len(pairs)), slice(None, None, -3)):
        places = np.arange(len(pairs))[rows]
        for found in (
            features[1].transform(plan[rows]),
            features[1].transform(plan[::-1][len(pairs) - 1 - places]),
            features.transform(pairs.iloc[places]),
        ):
            np.testing.assert_allclose(found, H[rows], atol=1e-5)
    mask = rng.random(len(pairs)) < 0.3
    np.testing.assert_array_equal(plan[mask].n_subwords, plan.n_subwords[mask])
    assert len(plan[[]]) == 0


def test_a_span_and_its_text(tiny):
    words = words_frame(SENTENCES)
    pairs = pair_frame(words.assign(other_start=0, other_end=words["text"].str.len()))
    a, b = _naive(tiny("gpt2"), pairs, lambda s: s.mean(0))
    H = _features(tiny("gpt2"), strategy="mean").fit_transform(pairs)
    np.testing.assert_allclose(H, np.hstack([a, b]), atol=2e-5 * np.abs(a).max())


@pytest.mark.slow
def test_pairs_through_a_cache(tiny, tmp_path, count_forwards):
    pairs, path = _pairs(), tiny("bert")
    expected = _features(path).fit_transform(pairs)
    count_forwards.clear()
    for params in ({"layers": [2]}, {}, {"layers": [0, 1]}):
        features = _features(path, cache=ActivationCache(tmp_path), **params)
        H = features.fit_transform(pairs)
        names = features.get_feature_names_out()
        whole = _features(path).fit(pairs).get_feature_names_out().tolist()
        np.testing.assert_array_equal(H, expected[:, [whole.index(name) for name in names]])
    assert sum(count_forwards) == len(SENTENCES)
    words = words_frame(SENTENCES)
    assert ActivationExtractor(path, cache=tmp_path).fill_cache(words) == 0


def test_half_precision_files_and_containers(tiny, tmp_path):
    pairs = _pairs()
    plan = ActivationExtractor(tiny("bert"), layers=[1]).transform(pairs)
    H = SubwordAggregator(pair="difference").fit_transform(plan)
    half = SubwordAggregator(pair="difference", dtype="float16").fit_transform(plan)
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, H.astype(np.float16))
    mapped = SubwordAggregator(pair="difference", memmap=tmp_path / "H.npy").fit_transform(plan)
    np.testing.assert_array_equal(mapped, H)
    frame = SubwordAggregator(pair="difference").set_output(transform="pandas").fit_transform(plan)
    np.testing.assert_array_equal(frame, H)
    assert frame.index.equals(pairs.index)
    assert frame.columns[0] == "difference.hidden.1.0"
    sparse = SubwordAggregator(pair="difference", sparse_output=True).fit_transform(plan)
    np.testing.assert_array_equal(sparse.toarray(), H)


def test_sparse_features_of_pairs(tiny):
    pairs = _pairs()
    plan = ActivationExtractor(tiny("bert"), layers=[1]).transform(pairs)
    sae = {"W_enc": np.random.default_rng(0).normal(size=(16, 40)), "b_enc": -np.ones(40)}
    encoded = SparseAutoencoderEncoder(sae).fit(plan).transform(plan)
    found = {}
    for pair in ("concat", "difference", "product"):
        aggregator = SubwordAggregator("max", pair=pair)
        codes = aggregator.fit_transform(encoded)
        found[pair] = codes.toarray()
        assert codes.nnz == np.count_nonzero(found[pair])
    a, b = np.hsplit(found["concat"], 2)
    np.testing.assert_array_equal(found["difference"], a - b)
    np.testing.assert_array_equal(found["product"], a * b)
    dense = SubwordAggregator("max", pair="product", sparse_output=False).fit_transform(encoded)
    np.testing.assert_array_equal(dense, found["product"])
    assert aggregator.get_feature_names_out()[3] == "product.sae.1.3"


def test_tokens_as_partners(tiny):
    from sklearn_neurox.extraction import token_frame

    tokens = token_frame(["👍 said", "é ok"], AutoTokenizer.from_pretrained(tiny("gpt2")))
    n = int((tokens["sentence_id"] == 0).sum())
    pairs = pair_frame(tokens, rows=(np.arange(n - 1), np.full(n - 1, n - 1)))
    H = _features(tiny("gpt2"), strategy="mean").fit_transform(pairs)
    alone = _features(tiny("gpt2"), strategy="mean").fit_transform(tokens)
    np.testing.assert_array_equal(H, np.hstack([alone[: n - 1], alone[[n - 1] * (n - 1)]]))


def test_each_span_of_a_long_text_has_its_own_window(tiny):
    words = words_frame([[f"w{i} dog" for i in range(40)]])
    pairs = pair_frame(words, rows=([0, 5, 30], [39, 6, 2]))
    extractor = {"max_length": 20, "layers": [1]}
    H = _features(tiny("bert"), **extractor).fit_transform(pairs)
    alone = _features(tiny("bert"), **extractor).fit_transform(words)
    np.testing.assert_allclose(H, np.hstack([alone[[0, 5, 30]], alone[[39, 6, 2]]]), atol=1e-6)


@pytest.mark.slow
def test_spans_of_a_target(tiny):
    frame = pd.DataFrame(
        {
            "text": ["The dog barks", "A cat"],
            "start": 0,
            "end": 1,
            "target": ["Der Hund bellt", "Eine Katze schläft"],
            "target_start": [0, 5],
            "target_end": [3, 10],
            "other_start": 1,
            "other_end": 2,
            "other_target_start": [4, 0],
            "other_target_end": [8, 4],
        }
    )
    H = _features(tiny("marian"), stack="decoder").fit_transform(frame)
    sides = [frame[["text", "target", "start", "end"]].copy() for _ in range(2)]
    for side, prefix in zip(sides, ("", "other_"), strict=True):
        for name in ("target_start", "target_end"):
            side[name] = frame[prefix + name]
    alone = [_features(tiny("marian"), stack="decoder").fit_transform(side) for side in sides]
    np.testing.assert_allclose(H, np.hstack(alone), atol=1e-6)
    with pytest.raises(ValueError, match="no column 'other_target_start'"):
        _features(tiny("marian"), stack="decoder").fit(frame.drop(columns=["other_target_start"]))


@pytest.mark.slow
def test_downstream_steps_understand_the_names(tiny):
    pairs = _pairs()
    y, groups = pairs["is_arc"].astype(str), pairs["text"]
    features = _features(tiny("bert"), pair=["concat", "difference"])
    features.set_output(transform="pandas")
    H = features.fit_transform(pairs)
    ranking = ProbelessRanker().fit(H, y).to_frame()
    assert set(ranking["layer"]) == set(range(H.shape[1] // (3 * 16)))
    assert ranking["neuron"].is_unique
    counts = neuron_table(ProbelessRanker().fit(H, y), n_neurons=0.5)
    assert len(counts) == H.shape[1] // (3 * 16)
    folds = {"groups": groups, "cv": GroupKFold(2)}
    by_layer = layer_profile(LogisticRegression(max_iter=50), H, y, **folds)
    assert by_layer["name"].tolist() == [f"hidden.{k}" for k in range(len(by_layer))]
    assert (by_layer["n_neurons"] == 3 * 16).all()
    pipe = make_pipeline(
        ActivationExtractor(tiny("bert")), SubwordAggregator(), LogisticRegression(max_iter=50)
    )
    in_turn = layer_profile(pipe, pairs, y, **folds)
    assert in_turn["name"].tolist() == by_layer["name"].tolist()
    assert (in_turn["n_neurons"] == 2 * 16).all()
    assert LayerSelector([1]).fit(H, y).transform(H).shape[1] == 3 * 16
    search = make_pipeline(
        ActivationExtractor(tiny("bert"), layers=[1]),
        SubwordAggregator(pair="product"),
        SelectKBest(k=5),
        LogisticRegression(),
    )
    assert np.isfinite(cross_validate(search, pairs, y, **folds)["test_score"]).all()
    with pytest.raises(ValueError, match=r"'first.hidden.1.3', which is a column of pairs"):
        ablate_model(tiny("bert"), ["first.hidden.1.3"]).__enter__()


def test_what_takes_only_words_says_so(tiny, tmp_path):
    pairs = _pairs().reset_index(drop=True)
    H = _features(tiny("bert"), layers=[1], pair="difference").set_output(transform="pandas")
    H = H.fit_transform(pairs)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny("gpt2"), ignore_mismatched_sizes=True)
    tokenizer = AutoTokenizer.from_pretrained(tiny("gpt2"))
    for what in (
        lambda: highlight(pairs, H, [H.columns[0]]),
        lambda: causal_effect(model, pairs, pairs["is_arc"], ["hidden.1.0"], tokenizer=tokenizer),
    ):
        with pytest.raises(ValueError, match="takes words, but .* of pairs"):
            what()
    with pytest.raises(ValueError, match=r"'difference.hidden.1.0', which describes a pair"):
        write_neurox(tmp_path / "H.json", H.head(6), words_frame(SENTENCES).head(6))


def test_a_dropped_character_fills_only_its_span(tiny):
    words = words_frame([["dog", "\u200b", "cat"]])
    pairs = pair_frame(words, rows=([0, 1], [1, 2]))
    with pytest.warns(UserWarning, match=r"2 of 4 spans of pairs \(the first is the first span of"):
        zero = _features(tiny("bert"), layers=[1]).fit_transform(pairs)
    width = zero.shape[1] // 2
    filled = np.array([[True, False], [False, True]]).repeat(width, axis=1)
    np.testing.assert_array_equal(zero == 0, ~filled)
    with pytest.warns(UserWarning, match="filled with NaN"):
        nan = _features(tiny("bert"), layers=[1], missing="nan").fit_transform(pairs)
    np.testing.assert_array_equal(np.isnan(nan), ~filled)


def test_wrong_rows_and_parameters(tiny):
    pairs, extractor = _pairs().reset_index(drop=True), ActivationExtractor(tiny("bert"))
    for frame, message in (
        (pairs.drop(columns="other_end"), "no column 'other_end'"),
        (pairs.drop(columns="start"), "no column 'start'"),
        (pairs.assign(other_start=-1), r"\(of the other span\): the span of row 0"),
        (pairs.assign(other_end=10**6), r"\(of the other span\): the span of row 0"),
        (pairs.assign(other_word="x"), r"\(of the other span\): the word of row 0"),
        (pairs.assign(word="x"), r"ActivationExtractor: the word of row 0"),
        (pairs.assign(other_start=0.5), "must contain whole numbers"),
        (pd.concat([pairs, pairs[["other_start"]]], axis=1), "several columns named 'other_start'"),
    ):
        with pytest.raises(ValueError, match=message):
            extractor.transform(frame)
    plan = extractor.transform(pairs)
    for pair in ("sum", [], ["concat", "concat"], ["concat", 3]):
        with pytest.raises(ValueError, match="'pair' parameter of SubwordAggregator"):
            SubwordAggregator(pair=pair).fit(plan)
    with pytest.raises(ValueError, match="the rows are pairs, not whole texts"):
        SubwordAggregator("cls").fit_transform(plan)
    words = ActivationExtractor(tiny("bert")).transform(words_frame(SENTENCES))
    with pytest.raises(ValueError, match="Fit it again"):
        SubwordAggregator().fit(words).transform(plan)
