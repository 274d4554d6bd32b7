# SPDX-License-Identifier: BSD-3-Clause
"""Attention weights of pairs and words, against output_attentions of transformers, text by text."""

import copy
import pickle
import weakref
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.evaluation import layer_profile
from sklearn_neurox.extraction import (
    ActivationExtractor,
    Activations,
    SubwordAggregator,
    TorchModel,
)
from sklearn_neurox.ranking import AveragePrecisionRanker
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._names import parse_neuron_names
from sklearn_neurox.words import pair_frame, words_frame
from tests.extraction.families import load

SENTENCES = [
    ["The", "old", "dog", "barked", "loudly", "."],
    ["She", "unquestionably", "saw", "the", "café", "in", "Zürich"],
    ["Dogs", "bark"],
    ["The", "dog", "that", "the", "man", "saw", "was", "in", "the", "old", "house", "."],
]
TARGETS = [["Der", "alte", "Hund"], ["Sie", "sah", "unquestionably"], ["Hunde"], ["Haus", "alt"]]


@cache
def _words():
    return words_frame(SENTENCES)


@cache
def _pairs():
    words = _words()
    rows = [i for own in words.groupby("sentence_id").indices.values() for i in own[1:].tolist()]
    pairs = pair_frame(words, rows=(rows, [i - 1 for i in rows]), negatives="all")
    whole = pairs.head(20).assign(other_start=0, other_end=pairs["text"].str.len().astype(int))
    whole = whole.drop(columns="other_word")
    return pd.concat([pairs, whole], ignore_index=True)[
        ["text", "start", "end", "other_start", "other_end"]
    ].sample(frac=1, random_state=0)


@cache
def _spans(tokenizer, text):
    encoding = tokenizer(text, return_offsets_mapping=True)
    pieces = tokenizer.convert_ids_to_tokens(encoding["input_ids"])
    spans = []
    for piece, (start, end) in zip(pieces, encoding["offset_mapping"], strict=True):
        # The space before a first word, which the tokenizer says has the characters of the word.
        is_marker = piece in ("▁", "Ġ") and text[start:end].strip()
        spans.append((0, 0) if is_marker else (start, end))
    return spans


def _tokens(tokenizer, text, start, end):
    spans = enumerate(_spans(tokenizer, text))
    return [i for i, (a, b) in spans if a < end and b > start and b > a]


class _Oracle:
    """Runs an eager copy of a model on one text at a time."""

    def __init__(self, model, tokenizer):
        self.model = copy.deepcopy(model).eval()
        self.model.set_attn_implementation("eager")
        self.tokenizer = tokenizer
        self.of_text = cache(self._of_text)

    def _of_text(self, text, target=None):
        encoding = self.tokenizer(text, return_tensors="pt")
        inputs = {k: v for k, v in encoding.items() if k in ("input_ids", "attention_mask")}
        if self.model.config.is_encoder_decoder:
            start = torch.tensor([[self.model.config.decoder_start_token_id]])
            read = self.tokenizer(target or text, return_tensors="pt")["input_ids"]
            inputs["decoder_input_ids"] = torch.cat([start, read], dim=1)
        with torch.no_grad():
            output = self.model(**inputs, output_attentions=True)
        names = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
        return {
            name: torch.stack(list(output[name]))[:, 0].numpy()
            for name in names
            if output.get(name)
        }

    def to(self, text, a, b, kind="attentions", shift=(0, 0), target=None):
        """Return the weights from a span to another, per layer and head."""
        weights = self.of_text(text, target)[kind]
        queries = [i + shift[0] for i in _tokens(self.tokenizer, target or text, *a)]
        keys = [i + shift[1] for i in _tokens(self.tokenizer, text, *b)]
        return weights[:, :, queries][:, :, :, keys].sum(axis=3).mean(axis=2)


def _read(model, tokenizer, rows, component="attention_weights", **params):
    extractor = ActivationExtractor(model, component=component, tokenizer=tokenizer, **params)
    features = make_pipeline(extractor, SubwordAggregator()).set_output(transform="pandas")
    return features.fit_transform(rows)


def _check_weights(found, oracle, pairs, **options):
    rows = []
    for row in pairs.itertuples():
        a, b = (row.start, row.end), (row.other_start, row.other_end)
        both = [oracle.to(row.text, a, b, **options), oracle.to(row.text, b, a, **options)]
        rows.append(np.stack(both, axis=-1).ravel())
    np.testing.assert_allclose(found, np.array(rows), atol=1e-6)


def _sliding(tokenizer):
    config = transformers.MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        sliding_window=4,
    )
    torch.manual_seed(0)
    return AutoModel.from_config(config).eval()


FAST = {"bert": "bert", "llama": "llama"}
SLOW = {
    "roberta": "roberta",
    "distilbert": "bert",
    "modernbert": "modernbert",
    "deberta-v2": "bert",
    "albert": "bert",
    "gpt2": "gpt2",
    "gpt-neox": "gpt2",
    "qwen3": "gpt2",
    "gemma2": "llama",
    "opt": "gpt2",
    "bloom": "gpt2",
    "mixtral": "llama",
}


@pytest.mark.parametrize(
    ("families", "n_pairs"), [(FAST, 12), pytest.param(SLOW, None, marks=pytest.mark.slow)]
)
def test_weights_of_encoders_and_decoders(families, n_pairs, tiny):
    pairs = _pairs().head(n_pairs or 1000)
    for family, own in families.items():
        model, tokenizer = load(family, tiny(own))
        before = model.config._attn_implementation
        H = _read(model, tokenizer, pairs)
        _check_weights(H, _Oracle(model, tokenizer), pairs)
        assert model.config._attn_implementation == before, family
        n_layers, n_heads = model.config.num_hidden_layers, model.config.num_attention_heads
        expected = [
            f"attention_weights.{layer}.h{head}.{part}"
            for layer in range(1, n_layers + 1)
            for head in range(n_heads)
            for part in ("to", "from")
        ]
        assert H.columns.tolist() == expected
        assert H.index.equals(pairs.index)


def test_a_sliding_window(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny("llama"))
    model = _sliding(tokenizer)
    H = _read(model, tokenizer, _pairs())
    _check_weights(H, _Oracle(model, tokenizer), _pairs())
    long = pair_frame(_words(), rows=([11, 25], [7, 15]))
    assert (_read(model, tokenizer, long) == 0).all(axis=None)  # out of the window's reach


TWO = ["bart", "marian", "t5"]


@pytest.mark.slow
def test_both_stacks_and_the_attention_between_them(tiny):
    tokenizers = {"t5": "xlm-roberta", "bart": "roberta", "marian": "xlm-roberta"}
    for family in TWO:
        model, tokenizer = load(family, tiny(tokenizers[family]))
        oracle = _Oracle(model, tokenizer)
        H = _read(model, tokenizer, _pairs())
        _check_weights(H, oracle, _pairs(), kind="encoder_attentions")
        assert H.columns[0] == "encoder.attention_weights.1.h0.to"
        H = _read(model, tokenizer, _pairs(), stack="decoder")
        _check_weights(H, oracle, _pairs(), kind="decoder_attentions", shift=(1, 1))
        cross = "cross_attention_weights"
        H = _read(model, tokenizer, _pairs(), cross, stack="decoder")
        expected = [
            oracle.to(
                r.text, (r.start, r.end), (r.other_start, r.other_end), "cross_attentions", (1, 0)
            ).ravel()
            for r in _pairs().itertuples()
        ]
        np.testing.assert_allclose(H, expected, atol=1e-6)
        assert H.columns[-1].startswith("decoder.cross_attention_weights.")
        assert H.columns[-1].endswith(".to")


@pytest.mark.slow
def test_attention_from_a_target_to_its_source(tiny):
    model, tokenizer = load("bart", tiny("roberta"))
    oracle, rows = _Oracle(model, tokenizer), []
    sources = _words()
    for number, words in enumerate(TARGETS):
        own = sources[sources["sentence_id"] == number]
        target = words_frame([words])
        for a in target.itertuples():
            for b in own.itertuples():
                spans = (a.text, a.start, a.end, b.start, b.end)
                rows.append((b.text, *spans))
    columns = ["text", "target", "target_start", "target_end", "other_start", "other_end"]
    frame = pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0)
    cross = "cross_attention_weights"
    H = _read(model, tokenizer, frame, cross, stack="decoder")
    expected = [
        oracle.to(
            r.text,
            (r.target_start, r.target_end),
            (r.other_start, r.other_end),
            "cross_attentions",
            (1, 0),
            r.target,
        ).ravel()
        for r in frame.itertuples()
    ]
    np.testing.assert_allclose(H, expected, atol=1e-6)
    part = frame.iloc[5:9]
    np.testing.assert_allclose(
        _read(model, tokenizer, part, cross, stack="decoder"), H.iloc[5:9], atol=1e-6
    )
    with pytest.raises(ValueError, match="no column 'other_start'"):
        _read(model, tokenizer, frame.drop(columns="other_start"), cross, stack="decoder")


def test_attention_within_a_target(tiny):
    model, tokenizer = load("bart", tiny("roberta"))
    oracle, rows = _Oracle(model, tokenizer), []
    sources = _words()["text"].unique()
    targets = words_frame(TARGETS[:2])
    for number, own in targets.groupby("sentence_id"):
        for a in own.itertuples():
            for b in own.itertuples():
                rows.append((sources[number], a.text, a.start, a.end, b.start, b.end))
    names = ["target_start", "target_end", "other_target_start", "other_target_end"]
    frame = pd.DataFrame(rows, columns=["text", "target", *names])
    frame = frame.assign(start=0, end=1, other_start=1, other_end=2)
    H = _read(model, tokenizer, frame, stack="decoder")
    for row, found in zip(frame.itertuples(), H.to_numpy(), strict=True):
        weights = oracle.of_text(row.text, row.target)["decoder_attentions"]
        a = [i + 1 for i in _tokens(tokenizer, row.target, row.target_start, row.target_end)]
        b = _tokens(tokenizer, row.target, row.other_target_start, row.other_target_end)
        b = [i + 1 for i in b]
        both = [weights[:, :, x][..., y].sum(3).mean(2) for x, y in ((a, b), (b, a))]
        np.testing.assert_allclose(found, np.stack(both, axis=-1).ravel(), atol=1e-6)


@pytest.mark.slow
def test_summaries_of_words(tiny):
    for family, own, stack in (("bert", "bert", None), ("bart", "roberta", "decoder")):
        model, tokenizer = load(family, tiny(own))
        oracle, expected = _Oracle(model, tokenizer), []
        shift, kind = (1, "decoder_attentions") if stack else (0, "attentions")
        for row in _words().itertuples():
            weights = oracle.of_text(row.text)[kind].astype(np.float64)
            at = [i + shift for i in _tokens(tokenizer, row.text, row.start, row.end)]
            own_rows = weights[:, :, at]
            safe = np.where(own_rows > 0, own_rows, 1)
            entropy = -(own_rows * np.log(safe)).sum(axis=3).mean(axis=2)
            first, own_weight = own_rows[..., 0].mean(axis=2), own_rows[..., at].sum(3).mean(2)
            expected.append(np.stack([entropy, first, own_weight], axis=-1).ravel())
        H = _read(model, tokenizer, _words(), "attention_summary", stack=stack)
        np.testing.assert_allclose(H, expected, atol=2e-6)
        names = [name.rpartition(".attention_summary.")[2] for name in "." + H.columns[:4]]
        assert names == ["1.h0.entropy", "1.h0.first", "1.h0.self", "1.h1.entropy"]


@pytest.mark.slow
def test_layers_subsets_and_repetitions(tiny):
    pairs, path = _pairs(), tiny("bert")
    H = _read(path, None, pairs)
    last = _read(path, None, pairs, layers=[-1])
    pd.testing.assert_frame_equal(last, H[last.columns], atol=1e-6)
    extractor = ActivationExtractor(path, component="attention_weights")
    assert extractor.get_feature_names_out().tolist() == H.columns.tolist()
    plan = extractor.transform(pairs)
    assert isinstance(plan, Activations)
    rng = np.random.default_rng(0)
    for rows in ([3], rng.integers(len(pairs), size=60), slice(None, None, -3)):
        for found in (plan[rows], plan[::-1][len(pairs) - 1 - np.arange(len(pairs))[rows]]):
            pooled = SubwordAggregator().fit_transform(found)
            np.testing.assert_allclose(pooled, H.iloc[rows], atol=1e-6)
    pickled = SubwordAggregator().fit_transform(pickle.loads(pickle.dumps(plan)))
    np.testing.assert_array_equal(pickled, H)
    half = SubwordAggregator(dtype="float16").fit_transform(plan)
    np.testing.assert_array_equal(half, H.to_numpy().astype(np.float16))
    sparse = SubwordAggregator(sparse_output=True).fit_transform(plan)
    np.testing.assert_array_equal(sparse.toarray(), H)


@pytest.mark.slow
def test_padding_batches_and_portions_change_nothing(tiny, monkeypatch):
    from sklearn_neurox.extraction._run import _attention_pooling

    for family in ("bert", "gpt2"):
        H = _read(tiny(family), None, _pairs(), max_batch_tokens=1)
        for n in (30, 2048):
            found = _read(tiny(family), None, _pairs(), max_batch_tokens=n)
            np.testing.assert_allclose(found, H, atol=1e-6)
        S = _read(tiny(family), None, _words(), "attention_summary")
        with monkeypatch.context() as patch:
            patch.setattr(_attention_pooling, "_MOST_WEIGHTS", 7)
            np.testing.assert_allclose(_read(tiny(family), None, _pairs()), H, atol=1e-6)
            found = _read(tiny(family), None, _words(), "attention_summary")
            np.testing.assert_allclose(found, S, atol=1e-6)


@pytest.mark.slow
def test_no_more_than_one_layer_of_weights_is_kept(tiny, monkeypatch):
    from sklearn_neurox.extraction._run._attention_pooling import AttentionPooler

    alive, most = [], []
    visit = AttentionPooler.visit

    def counted(self, n, weights):
        most.append(1 + sum(each() is not None for each in alive))
        alive.append(weakref.ref(weights))
        visit(self, n, weights)

    monkeypatch.setattr(AttentionPooler, "visit", counted)
    _read(tiny("bert", n_layers=4), None, _pairs())
    assert max(most) == 1


@pytest.mark.slow
def test_a_pair_in_a_window_with_most_context(tiny):
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    model = AutoModel.from_pretrained(tiny("bert")).eval()
    words = words_frame([["dog", "the"] * 20])
    n = len(tokenizer(words["text"].iloc[0])["input_ids"]) - 2
    assert n == 40
    room = 10
    pairs = pair_frame(words, rows=([0, 12, 17, 39], [4, 14, 20, 35]))
    H = _read(model, tokenizer, pairs, max_length=room + 2)
    ids = tokenizer(words["text"].iloc[0])["input_ids"]
    eager = copy.deepcopy(model)
    eager.set_attn_implementation("eager")
    starts = [*range(0, n - room, room // 2), n - room]
    for row, (a, b) in enumerate([(0, 4), (12, 14), (17, 20), (39, 35)]):
        low, high = min(a, b), max(a, b)
        inside = [s for s in starts if s <= low and high < s + room]
        gap = {
            s: min(
                low - s if s else 99,
                s + room - 1 - high if s + room < n else 99,
            )
            for s in inside
        }
        s = max(gap, key=gap.get)
        window = torch.tensor([[ids[0], *ids[1 + s : 1 + s + room], ids[-1]]])
        with torch.no_grad():
            weights = torch.stack(eager(window, output_attentions=True).attentions)[:, 0]
        i, j = a - s + 1, b - s + 1
        expected = torch.stack([weights[:, :, i, j], weights[:, :, j, i]], dim=-1).ravel()
        np.testing.assert_allclose(H.iloc[row], expected, atol=1e-6)
    far = pair_frame(words, rows=([0, 1], [39, 2]))
    with pytest.warns(UserWarning, match=r"1 of 2 pairs have their spans too far apart"):
        H = _read(model, tokenizer, far, max_length=12)
    assert (H.iloc[0] == 0).all()
    assert (H.iloc[1] > 0).all()
    with pytest.warns(UserWarning, match="filled with NaN"):
        H = _read(model, tokenizer, far, max_length=12, missing="nan")
    assert H.iloc[0].isna().all()
    assert H.iloc[1].notna().all()
    with pytest.raises(ValueError, match=r"too far apart .*missing='zero'"):
        _read(model, tokenizer, far, max_length=12, missing="error")


def test_the_implementation_is_restored_after_an_error(tiny):
    model = AutoModel.from_pretrained(tiny("bert"))
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    plan = ActivationExtractor(model, component="attention_weights", tokenizer=tokenizer).transform(
        _pairs()
    )
    seen = []

    def fail(module, args):
        if model.config._attn_implementation == "eager":
            seen.append("eager")
            raise RuntimeError("stop here")

    before = model.config._attn_implementation
    assert before != "eager"
    model.encoder.layer[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="stop here"):
        SubwordAggregator().fit_transform(plan)
    assert seen == ["eager"]
    assert model.config._attn_implementation == before


@pytest.mark.slow
def test_an_eager_model_stays_eager(tiny):
    model = AutoModel.from_pretrained(tiny("bert"), attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    H = _read(model, tokenizer, _pairs())
    np.testing.assert_allclose(H, _read(tiny("bert"), None, _pairs()), atol=1e-6)
    assert model.config._attn_implementation == "eager"


def test_models_and_rows_without_such_attention(tiny, tmp_path):
    config = transformers.MambaConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=2, state_size=4
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny("gpt2"))
    config.vocab_size = len(tokenizer)
    mamba = AutoModel.from_config(config)
    module = torch.nn.Embedding(128, 4)
    plain = TorchModel(module, lambda text: ([1], [(0, 1)]))
    pairs, words = _pairs(), _words()
    for component in ("attention_weights", "attention_summary"):
        rows = pairs if component == "attention_weights" else words
        for model in (mamba, plain):
            own = tokenizer if model is mamba else None
            with pytest.raises(ValueError, match=f"cannot read component='{component}'"):
                _read(model, own, rows, component)
    for component, rows, message in (
        ("attention_weights", words, "the rows are not pairs.*pair_frame"),
        ("attention_weights", words["text"].unique().tolist(), "the rows are not pairs"),
        ("attention_summary", pairs, "the rows are pairs"),
        ("cross_attention_weights", pairs, "only the decoder of an encoder-decoder"),
        (["hidden", "attention_weights"], pairs, "'attention_weights' is read alone"),
        ("attention_weight", pairs, "'attention_weight' is not a component"),
    ):
        with pytest.raises(ValueError, match=message):
            _read(tiny("bert"), None, rows, component)
    with pytest.raises(ValueError, match="there is no layer 0"):
        _read(tiny("bert"), None, pairs, layers=[0])
    extractor = ActivationExtractor(
        tiny("bert"), component="attention_weights", cache=tmp_path / "cache"
    )
    SubwordAggregator().fit_transform(extractor.transform(pairs))
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ValueError, match="A cache holds no component='attention_weights'"):
        extractor.fill_cache(pairs)


@pytest.mark.slow
def test_names_and_downstream_steps(tiny):
    parts = parse_neuron_names(
        ["attention_weights.10.h3.to", "a__decoder.cross_attention_weights.2.h0.to", "hidden.3.x"]
    )
    assert parts["layer"].tolist()[:2] == [10, 2]
    assert parts["head"].tolist()[:2] == [3, 0]
    assert parts["unit"].isna().all()
    assert parts["component"].isna().tolist() == [False, False, True]
    pairs = _pairs()
    y = pd.Series(np.random.default_rng(0).random(len(pairs)) < 0.5, index=pairs.index).astype(str)
    H = _read(tiny("bert"), None, pairs)
    ranking = AveragePrecisionRanker().fit(H, y).to_frame()
    assert ranking["neuron"].isin(H.columns).all()
    assert ranking["unit"].isna().all()
    blocks = neuron_blocks(H.columns, H.shape[1], n_layers=None, caller="test")
    assert blocks["name"].unique().tolist()[0] == "attention_weights.1"
    pipe = make_pipeline(
        ActivationExtractor(tiny("bert"), component="attention_weights"),
        SubwordAggregator(),
        LogisticRegression(),
    )
    profile = layer_profile(pipe, pairs, y, groups=pairs["text"], cv=GroupKFold(2))
    assert profile["name"].tolist() == blocks["name"].unique().tolist()
