# SPDX-License-Identifier: BSD-3-Clause
"""Every family against a naive reading: one sentence at a time, transformers alone, plain loops."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.extraction import (
    ActivationExtractor,
    SubwordAggregator,
    clear_loaded_models,
)
from sklearn_neurox.words import words_frame

# Several layers, strategies or batch sizes are compared on the same few texts.
pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

FAMILIES = [
    "bert",
    "bert-uncased",
    "byt5",
    "canine",
    "distilbert",
    "gpt2",
    "llama",
    "marian",
    "modernbert",
    "roberta",
    "xlm-roberta",
]
STRATEGIES = ["first", "last", "mean", "max"]
# The markers that SentencePiece and byte-level BPE put before a word.
MARKERS = {"▁", "Ġ"}


def read_fast(tokenizer, text):
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    pieces = tokenizer.convert_ids_to_tokens(encoding["input_ids"])
    spans = []
    for piece, (start, end), special in zip(
        pieces, encoding["offset_mapping"], encoding["special_tokens_mask"], strict=True
    ):
        glued = piece in MARKERS and bool(text[start:end].strip())
        spans.append((0, 0) if special or glued else (start, end))
    return encoding["input_ids"], spans


def read_characters(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert ids == [0xE000, *map(ord, text), 0xE001]
    return ids, [(0, 0), *[(i, i + 1) for i in range(len(text))], (0, 0)]


def read_bytes(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert ids == [*[byte + 3 for byte in text.encode()], 1]
    widths = [len(char.encode()) for char in text]
    return ids, [*[(i, i + 1) for i, n in enumerate(widths) for _ in range(n)], (0, 0)]


def read_chunks(tokenizer, text):
    ids, spans, start = [], [], 0
    for chunk in text.split(" "):
        for piece in tokenizer.tokenize(chunk):
            ids.append(tokenizer.convert_tokens_to_ids(piece))
            spans.append((0, 0) if piece in MARKERS else (start, start + len(chunk)))
        start += len(chunk) + 1
    assert tokenizer(text)["input_ids"] == [*ids, tokenizer.eos_token_id]
    return [*ids, tokenizer.eos_token_id], [*spans, (0, 0)]


READERS = {"canine": read_characters, "byt5": read_bytes, "marian": read_chunks}


@cache
def load(path):
    """Load a model and its tokenizer once: CANINE's tokenizer takes a second."""
    return AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)


def naive(path, family, frame, *, model=None):
    """Return a list per row, with an array of shape (n_layers + 1, n_units) per subword."""
    tokenizer, pretrained = load(path)
    model = pretrained if model is None else model
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    read = {}
    for text in frame["text"].unique():
        ids, spans = READERS.get(family, read_fast)(tokenizer, text)
        with torch.no_grad():
            output = model(torch.tensor([ids]), output_hidden_states=True)
        # The model's output is the last hidden state.
        torch.testing.assert_close(output.hidden_states[-1], output.last_hidden_state)
        states = [state[0].numpy().astype(float) for state in output.hidden_states]
        read[text] = spans, [s for s in states if len(s) == len(ids)]
    found = []
    for row in frame.itertuples():
        spans, states = read[row.text]
        own = [t for t, (s, e) in enumerate(spans) if max(s, row.start) < min(e, row.end)]
        found.append([np.array([state[t] for state in states]) for t in own])
    return found


def pool_naively(states, strategy):
    rows = []
    for pieces in states:
        total = pieces[0] if strategy != "last" else pieces[-1]
        for piece in pieces[1:] if strategy in ("mean", "max") else []:
            total = total + piece if strategy == "mean" else np.maximum(total, piece)
        rows.append(total / len(pieces) if strategy == "mean" else total)
    return np.array(rows)  # (n_rows, n_layers, n_units)


def assert_close_by_layer(H, expected, tolerance=1e-5):
    n_rows, n_layers, n_units = expected.shape
    assert H.shape == (n_rows, n_layers * n_units)
    H = H.reshape(expected.shape)
    for layer in range(n_layers):
        scale = np.abs(expected[:, layer]).max()
        assert scale > 0
        assert np.abs(H[:, layer] - expected[:, layer]).max() <= tolerance * scale, layer


@pytest.fixture(scope="module")
def oracle(tiny):
    kept = {}

    def get(family, frame):
        if family not in kept:
            kept[family] = naive(tiny(family), family, frame)
        return kept[family]

    return get


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_equals_the_naive_reading(family, strategy, tiny, words, oracle):
    states = oracle(family, words)
    assert max(map(len, states)) > 3  # there are words of several pieces
    H = SubwordAggregator(strategy).fit_transform(
        ActivationExtractor(tiny(family)).transform(words)
    )
    assert_close_by_layer(H, pool_naively(states, strategy))


@pytest.mark.parametrize("max_batch_tokens", [1, 40])
@pytest.mark.parametrize("family", FAMILIES)
def test_batches_do_not_matter(family, max_batch_tokens, tiny, words):
    def extract(max_batch_tokens):
        extractor = ActivationExtractor(tiny(family), max_batch_tokens=max_batch_tokens)
        return SubwordAggregator("mean").fit_transform(extractor.transform(words))

    together = extract(2048)
    n_layers = 4 if family == "canine" else 3
    assert_close_by_layer(extract(max_batch_tokens), together.reshape(len(words), n_layers, -1))


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "canine"])
def test_texts_of_very_different_length_may_share_a_batch(
    family, tiny, words, oracle, monkeypatch, count_forwards
):
    """Shorter texts are followed by much padding, to which nothing may attend."""
    from sklearn_neurox.extraction._run import _batching

    monkeypatch.setattr(_batching, "_MAX_PADDING", 1.0)
    H = ActivationExtractor(tiny(family)).transform(words).pool("mean")
    assert count_forwards == [6]
    assert_close_by_layer(H, pool_naively(oracle(family, words), "mean"))


@pytest.mark.slow
def test_canine_is_read_in_batches_of_equal_length(tiny, count_forwards):
    """Padding would leak through its convolutions and its local attention."""
    frame = words_frame([["Dogs", "bark"], ["Dogs", "bite"], ["Dogs", "bark", "!"], ["A", "dog"]])
    H = ActivationExtractor(tiny("canine")).transform(frame).pool("mean")
    assert sorted(count_forwards) == [1, 1, 2]
    assert_close_by_layer(H, pool_naively(naive(tiny("canine"), "canine", frame), "mean"))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_choice_of_layers_gives_those_blocks(family, tiny, words):
    def extract(layers):
        features = make_pipeline(ActivationExtractor(tiny(family), layers=layers), aggregator)
        H = features.fit_transform(words)
        return H, list(features.get_feature_names_out())

    aggregator = SubwordAggregator("last")
    everything, names = extract(None)
    known = [0, 1, 5, 6] if family == "canine" else [0, 1, 2]
    blocks = dict(zip(known, np.split(everything, len(known), axis=1), strict=True))
    prefix = "encoder." if family in ("byt5", "marian") else ""
    last = known[-1]
    assert names[:2] == [f"{prefix}hidden.0.0", f"{prefix}hidden.0.1"]
    assert names[-1] == f"{prefix}hidden.{last}.15"
    for layers in ([last], [0], [1], [last, 0], [1, last, 0], [-1, 1]):
        H, chosen = extract(layers)
        wanted = [last if layer == -1 else layer for layer in layers]
        np.testing.assert_allclose(H, np.hstack([blocks[k] for k in wanted]), rtol=0, atol=2e-5)
        assert chosen == [
            f"{prefix}hidden.{layer}.{unit}" for layer in wanted for unit in range(16)
        ]
    np.testing.assert_array_equal(extract(last)[0], extract([last])[0])
    np.testing.assert_array_equal(extract(-1)[0], extract([last])[0])


@pytest.mark.slow
def test_layers_may_be_an_array_and_numpy_integers(tiny, words):
    path = tiny("bert")
    expected = ActivationExtractor(path, layers=[1, 2]).transform(words).pool("last")
    for layers in (np.array([1, 2]), (1, 2), [np.int32(1), np.int64(-1)]):
        found = ActivationExtractor(path, layers=layers).transform(words)
        np.testing.assert_array_equal(found.pool("last"), expected)


@pytest.mark.slow
def test_the_demo_model_equals_the_naive_oracle(words):
    path = demo_model_path()
    extractor = ActivationExtractor(path)
    # The emoji is unknown to the vocabulary and still has its own token.
    activations = extractor.transform(words)
    assert (activations.n_subwords > 0).all()
    states = naive(path, "bert-uncased", words)
    assert_close_by_layer(activations.pool("mean"), pool_naively(states, "mean"))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "llama", "marian"])
def test_random_weights_are_seeded_and_differ_from_the_trained(family, tiny, words):
    def extract(**params):
        extractor = ActivationExtractor(tiny(family), device="cpu", **params)
        return extractor.transform(words).pool("mean")

    torch.manual_seed(3)
    before = torch.get_rng_state()
    random = extract(weights="random", random_state=7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)

    clear_loaded_models()
    np.testing.assert_array_equal(extract(weights="random", random_state=7), random)
    assert np.abs(extract(weights="random", random_state=8) - random).max() > 1e-3
    assert np.abs(extract() - random).max() > 1e-3


def test_random_weights_do_not_touch_the_generators_of_gpus(tiny, words, monkeypatch):
    def seed(*_):
        raise AssertionError("a GPU was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", seed)
    ActivationExtractor(tiny("bert"), weights="random", random_state=11).transform(words).pool(
        "last"
    )


def test_random_weights_are_those_of_the_config(tiny, words):
    """The untrained model is the one that its library builds with this seed."""
    from transformers import AutoConfig

    path = tiny("bert")
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = AutoModel.from_config(AutoConfig.from_pretrained(path)).eval()
    H = ActivationExtractor(path, weights="random", random_state=11).transform(words).pool("last")
    states = naive(path, "bert", words, model=model)
    assert_close_by_layer(H, pool_naively(states, "last"))


def test_gpt2_reads_batches_without_a_padding_token(tiny, words, oracle):
    path = tiny("gpt2")
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert tokenizer.pad_token_id is None
    live = AutoModel.from_pretrained(path)
    H = ActivationExtractor(live, tokenizer=tokenizer).transform(words).pool("last")
    assert_close_by_layer(H, pool_naively(oracle("gpt2", words), "last"))
    assert tokenizer.pad_token_id is None  # the caller's tokenizer is not changed


def test_a_tokenizer_that_pads_left_changes_nothing(live, words, oracle):
    model, tokenizer = live("llama")
    tokenizer.padding_side = "left"
    tokenizer.truncation_side = "left"
    H = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("last")
    assert_close_by_layer(H, pool_naively(oracle("llama", words), "last"))


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "byt5"])
def test_optional_features_of_tokenizers_are_not_needed(family, live, words, oracle, monkeypatch):
    """No padding token, a limit of 1e30, and ``word_ids`` that must not be called."""
    from transformers import BatchEncoding

    def lie(*_, **__):
        raise AssertionError("word_ids are never trusted")

    for name in ("word_ids", "token_to_word", "word_to_tokens", "char_to_word"):
        monkeypatch.setattr(BatchEncoding, name, lie)
    model, tokenizer = live(family)
    tokenizer.model_max_length = int(1e30)
    tokenizer.padding_side = "left"
    if family != "byt5":
        tokenizer.pad_token = None
        assert tokenizer.pad_token_id is None
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    H = extractor.transform(words).pool("last")
    assert_close_by_layer(H, pool_naively(oracle(family, words), "last"))
    # The model's own limit applies, if it has one.
    plan = extractor.transform([" ".join(["dog"] * 400)])
    longest = plan._source.sequences.lengths.max()
    assert longest == (1600 if family == "byt5" else model.config.max_position_embeddings)


@pytest.mark.parametrize("head", ["AutoModelForMaskedLM", "AutoModelForTokenClassification"])
def test_a_model_with_a_head_is_read_without_it(head, tiny, words, oracle):
    import transformers

    path = tiny("bert")
    base = AutoModel.from_pretrained(path)
    with torch.random.fork_rng():
        model = getattr(transformers, head).from_config(base.config)
    model.bert.load_state_dict(base.state_dict(), strict=False)
    H = ActivationExtractor(model, tokenizer=path).transform(words).pool("last")
    assert_close_by_layer(H, pool_naively(oracle("bert", words), "last"))
