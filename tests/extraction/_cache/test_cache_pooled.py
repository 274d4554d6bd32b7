# SPDX-License-Identifier: BSD-3-Clause
"""A cache of pooled rows: each row is found by its tokens, its strategy and its model alone."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox import layer_profile
from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    SparseAutoencoderEncoder,
    SubwordAggregator,
    token_frame,
)
from sklearn_neurox.extraction._cache import _pooled_filling
from sklearn_neurox.words import pair_frame
from tests.extraction._cache.test_cache_dry_run import stored_bytes

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

STRATEGIES = ["first", "last", "mean", "max"]


def shards_of(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*/*.safetensors")}


def plain_rows(folder, words, layer):
    """Pool every strategy with plain transformers, one text at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    rows, read = {name: [] for name in STRATEGIES}, {}
    for text in words["text"].unique():
        inputs = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        spans = inputs.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            states = model(**inputs, output_hidden_states=True).hidden_states[layer][0].numpy()
        read[text] = spans, states
    for text, start, end in words[["text", "start", "end"]].itertuples(index=False):
        spans, states = read[text]
        own = states[[i for i, (a, b) in enumerate(spans) if a < b and a < end and b > start]]
        for name, value in zip(STRATEGIES, (own[0], own[-1], own.mean(0), own.max(0)), strict=True):
            rows[name].append(value)
    return {name: np.array(values) for name, values in rows.items()}


@pytest.mark.slow
def test_the_rows_are_those_of_plain_code(tiny, words, tmp_path, count_forwards):
    words = words[~words["word"].isin(["👍", "e\u0301a", "中文"])]  # whose offsets differ
    for family in ("bert", "gpt2"):
        cache = ActivationCache(tmp_path / family, pooled=STRATEGIES, layers="asked")
        extractor = ActivationExtractor(tiny(family), layers=[2], cache=cache)
        assert extractor.fill_cache(words) == words["text"].nunique()
        count_forwards.clear()
        expected = plain_rows(tiny(family), words, 2)
        for strategy in STRATEGIES:
            H = extractor.transform(words).pool(strategy)
            np.testing.assert_allclose(H, expected[strategy], rtol=0, atol=2e-6)
        assert not count_forwards


# Family, parameters of the extractor, options of the cache.
CASES = [
    ("bert", {}, {}),
    ("bert", {"max_length": 6}, {}),  # windows, which cut words
    ("gpt2", {"component": ["mlp", "attention"], "layers": [1]}, {"layers": "asked"}),
    ("gpt2", {"layers": [-1]}, {"dtype": "float16"}),
    ("gpt2", {"prefix": "the"}, {"dtype": "bfloat16"}),
    ("t5", {"stack": "both"}, {}),
    ("t5", {"stack": "decoder", "max_length": 6}, {}),
]


@pytest.mark.slow
def test_rows_are_read_back_in_any_choice(of, words, tmp_path, count_forwards):
    """Subsets, repetitions and whole texts, in rows of every strategy: the bits stay the same."""
    for number, (family, params, options) in enumerate(CASES):
        folder = tmp_path / str(number)
        cache = ActivationCache(folder, pooled=STRATEGIES, **options)
        extractor, plain = of(family, cache=cache, **params), of(family, **params)
        size = extractor.fill_cache(words, dry_run=True)
        assert not folder.exists()
        assert extractor.fill_cache(words) == size["texts"] == 6
        assert stored_bytes(folder) == size["bytes"], (family, params, options)
        assert extractor.fill_cache(words, dry_run=True).tolist() == [0, 0, 0]
        chosen = np.random.default_rng(0).integers(len(words), size=50)
        count_forwards.clear()
        rtol = {"float16": 1e-3, "bfloat16": 8e-3}.get(options.get("dtype"), 0)
        for strategy in STRATEGIES:
            H = extractor.transform(words).pool(strategy)
            again = pickle.loads(pickle.dumps(extractor.transform(words.iloc[chosen])))
            np.testing.assert_array_equal(again.pool(strategy), H[chosen])
            np.testing.assert_array_equal(
                extractor.transform(words)[chosen].pool(strategy), H[chosen]
            )
            if strategy == "first":
                assert count_forwards == []
            expected = plain.transform(words).pool(strategy)
            count_forwards.clear()
            np.testing.assert_allclose(H, expected, rtol=rtol, atol=2e-5)
        assert cache.verify().empty and cache.info()["sentences"].tolist() == [6]


@pytest.mark.slow
def test_whole_texts_and_their_first_token(tiny, texts, tmp_path):
    for special in (False, True):
        cache = ActivationCache(tmp_path, pooled=["cls", "mean", "last"])
        options = {"special_tokens": special, "max_length": 16}
        extractor = ActivationExtractor(tiny("bert"), cache=cache, **options)
        plain = ActivationExtractor(tiny("bert"), **options)
        assert extractor.fill_cache(texts) > 0  # other tokens than without special ones
        for strategy in ("cls", "mean", "last"):
            H, expected = (each.transform(texts).pool(strategy) for each in (extractor, plain))
            np.testing.assert_allclose(H, expected, rtol=0, atol=2e-5)
        assert extractor.fill_cache(texts) == 0


@pytest.mark.slow
def test_only_what_was_read_is_found(tiny, live, words, tmp_path, count_forwards):
    """Another span, strategy, prefix, model or precision of the folder is another row."""
    cache = ActivationCache(tmp_path, pooled="mean")
    ActivationExtractor(tiny("bert"), cache=cache).fill_cache(words)
    shifted = words.copy()
    shifted["end"] = shifted["start"] + 1  # the first letter
    model, tokenizer = live("bert")
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)
    others = [
        (ActivationExtractor(tiny("bert")), "mean", shifted.drop(columns="word"), "mean"),
        (ActivationExtractor(tiny("bert")), ["last"], words, "last"),
        (ActivationExtractor(tiny("bert"), prefix="the"), "mean", words, "mean"),
        (ActivationExtractor(tiny("bert"), weights="random"), "mean", words, "mean"),
        (ActivationExtractor(model, tokenizer=tokenizer), "mean", words, "mean"),
        (ActivationExtractor(tiny("bert"), add_special_tokens=False), "mean", words, "mean"),
        (ActivationExtractor(tiny("bert"), max_length=6), "mean", words, "mean"),
    ]
    for number, (plain, pooled, X, strategy) in enumerate(others):
        expected = plain.transform(X).pool(strategy)
        own = pickle.loads(pickle.dumps(plain)) if plain.model is not model else plain
        own.set_params(cache=ActivationCache(tmp_path, pooled=pooled))
        count_forwards.clear()
        H = own.transform(X).pool(strategy)
        assert count_forwards, number
        np.testing.assert_allclose(H, expected, rtol=0, atol=2e-5)
    tokens = ActivationExtractor(tiny("bert"), cache=tmp_path)  # a cache of tokens, in one folder
    assert tokens.fill_cache(words) == 6


def test_equal_rows_are_stored_once(tiny, words, tmp_path):
    cache = ActivationCache(tmp_path, pooled=["first", "last"])
    extractor = ActivationExtractor(tiny("bert"), cache=cache)
    extractor.fill_cache(words.iloc[np.repeat(np.arange(len(words)), 3)])
    n_subwords = ActivationExtractor(tiny("bert")).transform(words).n_subwords
    assert cache.info()["tokens"].tolist() == [len(words) + int((n_subwords > 1).sum())]
    assert cache.info()["pooled"].tolist() == ["first, last"]


@pytest.mark.slow
def test_an_interrupted_request_resumes_with_the_same_bits(
    tiny, texts, tmp_path, monkeypatch, count_forwards
):
    monkeypatch.setattr(_pooled_filling, "_MAX_BATCHES", 1)
    texts = texts[:40]
    words = token_frame(texts, tiny("bert"))
    make = {"layers": [1], "max_batch_tokens": 64}
    whole = ActivationCache(tmp_path / "whole", pooled=["last", "mean"])
    ActivationExtractor(tiny("bert"), cache=whole, **make).fill_cache(words)
    n_texts, n_reads = len(texts), sum(count_forwards)
    expected = shards_of(tmp_path / "whole")
    assert len(expected) > 8

    cut = ActivationCache(tmp_path / "cut", pooled=["last", "mean"])
    extractor = ActivationExtractor(tiny("bert"), cache=cut, **make)
    store, done = _pooled_filling._Portion.store, []

    def dies(self, write, watch):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(self)
        return store(self, write, watch)

    monkeypatch.setattr(_pooled_filling._Portion, "store", dies)
    with pytest.raises(KeyboardInterrupt):
        extractor.fill_cache(words)
    monkeypatch.setattr(_pooled_filling._Portion, "store", store)
    left = extractor.fill_cache(words, dry_run=True)["texts"]
    count_forwards.clear()
    assert extractor.fill_cache(words) == left < n_texts
    assert sum(count_forwards) < n_reads
    assert shards_of(tmp_path / "cut") == expected
    # More rows of known texts make portions of their own.
    more = ActivationExtractor(tiny("bert"), cache=cut, **make)
    assert more.fill_cache(texts[:7]) == 7 and more.fill_cache(words) == 0


def test_damage_is_computed_again(tiny, words, tmp_path):
    cache = ActivationCache(tmp_path, pooled="max")
    extractor = ActivationExtractor(tiny("bert"), cache=cache)
    expected = extractor.transform(words).pool("max")
    (path,) = tmp_path.glob("*/*.safetensors")
    raw = bytearray(path.read_bytes())
    raw[-200] ^= 1
    path.write_bytes(raw)
    with pytest.warns(UserWarning, match="is damaged"):
        H = extractor.transform(words).pool("max")
    np.testing.assert_array_equal(H, expected)


@pytest.mark.slow
def test_shards_of_rows_are_merged(tiny, words, tmp_path, count_forwards):
    cache = ActivationCache(tmp_path, pooled="mean")
    extractor = ActivationExtractor(tiny("bert"), cache=cache)
    expected = extractor.transform(words).pool("mean")
    other = ActivationCache(tmp_path / "parts", pooled="mean")
    parts = ActivationExtractor(tiny("bert"), cache=other)
    for _, own in words.groupby("text", observed=True):
        parts.fill_cache(own)
    assert other.info()["shards"].tolist() == [6] and other.compact() == 5
    count_forwards.clear()
    np.testing.assert_allclose(parts.transform(words).pool("mean"), expected, rtol=0, atol=2e-5)
    assert not count_forwards and other.info()["sentences"].tolist() == [6]


@pytest.mark.slow
def test_a_read_only_cache_is_supplemented(tiny, words, tmp_path, monkeypatch):
    from sklearn_neurox.extraction._cache._shard_store import ShardStore

    cache = ActivationCache(tmp_path, pooled=["last", "mean"])
    extractor = ActivationExtractor(tiny("bert"), max_length=6, cache=cache)
    half = words.iloc[::2]
    extractor.fill_cache(half)

    def denied(store, fingerprint):
        raise store._cannot_write(PermissionError(13, "denied"))

    monkeypatch.setattr(ShardStore, "check_writable", denied)
    plain = ActivationExtractor(tiny("bert"), max_length=6).transform(words)
    for strategy in ("last", "mean"):
        with pytest.warns(UserWarning, match=r"is read-only and lacks 18 of 37 rows"):
            H = extractor.transform(words).pool(strategy)
        np.testing.assert_allclose(H, plain.pool(strategy), rtol=0, atol=2e-5)


@pytest.mark.slow
def test_an_open_ablation_is_neither_stored_nor_served(live, words, tmp_path):
    model, tokenizer = live("bert")
    cache = ActivationCache(tmp_path, pooled="last")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=cache)
    before = extractor.transform(words).pool("last")
    with (
        ablate_model(model, ["hidden.1.3"]),
        pytest.warns(UserWarning, match="neither read nor written"),
    ):
        ablated = extractor.transform(words).pool("last")
    assert abs(ablated - before).max() > 1e-3
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), before)


@pytest.mark.slow
def test_layers_in_turn(tiny, words, tmp_path, count_forwards):
    def profile(cache):
        pipe = make_pipeline(
            ActivationExtractor(tiny("bert"), cache=cache),
            SubwordAggregator(),
            LogisticRegression(),
        )
        options = {"groups": words["text"], "cv": GroupKFold(3)}
        return layer_profile(pipe, words, words["tag"], **options)

    pooled = profile(ActivationCache(tmp_path / "rows", pooled="last"))
    assert sum(count_forwards) == 6  # one pass, for all layers
    assert profile(tmp_path / "tokens").equals(pooled)


@pytest.mark.slow
def test_processes_share_the_portions(tiny, texts, tmp_path, monkeypatch, one_thread):
    monkeypatch.setattr(_pooled_filling, "_MAX_BATCHES", 1)
    found = []
    for n_jobs in (1, 2):
        cache = ActivationCache(tmp_path / str(n_jobs), pooled=["mean", "last"])
        options = {"max_batch_tokens": 64, "n_jobs": n_jobs, "cache": cache}
        assert ActivationExtractor(tiny("bert"), **options).fill_cache(texts) == len(texts)
        found.append(shards_of(tmp_path / str(n_jobs)))
    assert found[0] == found[1]


def test_what_makes_no_sense_is_refused(tiny, words, tmp_path):
    for wrong in ("middle", ["last", 3], [], ""):
        with pytest.raises(ValueError, match="pooled must be None, one of"):
            ActivationCache(tmp_path, pooled=wrong)
    cache = ActivationCache(tmp_path, pooled="last")
    assert repr(cache) == f"ActivationCache({str(tmp_path)!r}, pooled='last')"
    activations = ActivationExtractor(tiny("bert"), layers=[1], cache=cache).transform(words)
    with pytest.raises(
        ValueError, match=r"keeps rows pooled with 'last'.*pooled=\['last', 'mean'\]"
    ):
        activations.pool("mean")
    with pytest.raises(ValueError, match="keeps only pooled rows"):
        SparseAutoencoderEncoder({"W_enc": np.eye(16)}).fit(activations)
    words_cls = ActivationCache(tmp_path, pooled=["last", "cls"])
    with pytest.raises(ValueError, match=r"'cls'\) cannot be used here"):
        ActivationExtractor(tiny("bert"), cache=words_cls).fill_cache(words)


def test_the_spans_of_pairs_are_kept(tiny, words, tmp_path, count_forwards):
    pairs = pair_frame(words, rows=([0, 0, 7, 3], [2, 5, 9, 2]))
    cache = ActivationCache(tmp_path, pooled="mean")
    extractor = ActivationExtractor(tiny("bert"), cache=cache)
    assert extractor.fill_cache(pairs) == 2
    count_forwards.clear()
    H = extractor.transform(pairs).pool("mean")
    assert not count_forwards and cache.info()["tokens"].tolist() == [6]
    plain = ActivationExtractor(tiny("bert")).transform(pairs).pool("mean")
    np.testing.assert_allclose(H, plain, rtol=0, atol=2e-5)
