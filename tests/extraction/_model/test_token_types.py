# SPDX-License-Identifier: BSD-3-Clause
"""Token types reach a model only if it has token types."""

import numpy as np
import pytest
import torch
import transformers
from scipy.special import log_softmax

from sklearn_neurox.ablation import causal_effect
from sklearn_neurox.datasets._tiny_models import _random_model
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

SIZES = {
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "n_positions": 64,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
}
# They accept token_type_ids, and look them up in the table of their words.
WITHOUT_TYPES = {
    "GPT2": SIZES,
    "OpenAIGPT": SIZES,
    "GPTNeo": {
        "hidden_size": 16,
        "num_layers": 2,
        "num_heads": 2,
        "attention_types": [[["global", "local"], 1]],
        "max_position_embeddings": 64,
    },
    "GPTJ": {**SIZES, "rotary_dim": 4},
    "CodeGen": {**SIZES, "n_head": 4, "num_attention_heads": 4, "rotary_dim": 4},
    "GPTBigCode": SIZES,
    "CTRL": {**SIZES, "dff": 24},
    "XLM": {"emb_dim": 16, "n_layers": 2, "n_heads": 2},
    "Flaubert": {"emb_dim": 16, "n_layers": 2, "n_heads": 2},
}
WITH_TYPES = {
    "Bert": SIZES,
    "Albert": {**SIZES, "embedding_size": 8},
    "Electra": {**SIZES, "embedding_size": 8},
    "Roberta": {**SIZES, "type_vocab_size": 2},
    "DebertaV2": {**SIZES, "type_vocab_size": 2},
    "RoFormer": {**SIZES, "embedding_size": 16},
    "XLNet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24},
}
TEXTS, PAIRS = ["The old dog barked", "A light rain"], ["She saw it", "in the old house"]


@pytest.fixture(scope="module")
def tokenizer(tiny):
    """A tokenizer of the BERT type, which makes token types."""
    return transformers.AutoTokenizer.from_pretrained(tiny("bert"))


def build(name, sizes, tokenizer, head="Model"):
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer), pad_token_id=0, bos_token_id=2, eos_token_id=3, **sizes
    )
    model = _random_model(config, np.random.RandomState(0))
    if head == "Model":
        return model
    with torch.random.fork_rng():
        other = getattr(transformers, f"{name}{head}")(config).eval()
    other.base_model.load_state_dict(model.state_dict())
    return other


def expected(model, tokenizer, text, pair, *, types):
    """Run a model on one input of its tokenizer, and average the last states."""
    tokens = tokenizer(text, pair, return_tensors="pt")
    own = [part is not None for part in tokens.sequence_ids(0)]
    if not types:
        del tokens["token_type_ids"]
    with torch.no_grad():
        return model(**tokens, return_dict=True).last_hidden_state[0][own].mean(dim=0).numpy()


def read(model, tokenizer, pairs):
    import pandas as pd

    X = pd.DataFrame({"text": TEXTS, "text_pair": PAIRS}) if pairs else TEXTS
    return ActivationExtractor(model, tokenizer=tokenizer, layers=-1).transform(X).pool("mean")


@pytest.mark.slow
def test_they_are_left_out_where_there_is_no_embedding_for_them(tokenizer):
    off = {}
    for name, sizes in WITHOUT_TYPES.items():
        model = build(name, sizes, tokenizer)
        H = read(model, tokenizer, pairs=False)
        own = [expected(model, tokenizer, text, None, types=False) for text in TEXTS]
        np.testing.assert_allclose(H, own, atol=1e-4, err_msg=name)
        other = [expected(model, tokenizer, text, None, types=True) for text in TEXTS]
        off[name] = np.abs(H - other).max()
    assert min(off.values()) > 1e-2, off  # types would have changed the states


@pytest.mark.slow
def test_they_are_passed_on_where_there_is_one(tokenizer):
    off = {}
    for name, sizes in WITH_TYPES.items():
        model = build(name, sizes, tokenizer)
        H = read(model, tokenizer, pairs=True)
        inputs = list(zip(TEXTS, PAIRS, strict=True))
        own = [expected(model, tokenizer, *pair, types=True) for pair in inputs]
        np.testing.assert_allclose(H, own, atol=1e-4, err_msg=name)
        other = [expected(model, tokenizer, *pair, types=False) for pair in inputs]
        off[name] = np.abs(H - other).max()
    assert min(off.values()) > 1e-3, off


def test_more_types_than_the_model_has_are_an_error(tokenizer):
    model = build("Roberta", {**SIZES, "type_vocab_size": 1}, tokenizer)
    assert read(model, tokenizer, pairs=False).shape == (2, 16)
    with pytest.raises(ValueError, match=r"types up to 1, but RobertaModel has only 1 .*own"):
        read(model, tokenizer, pairs=True)


@pytest.mark.slow
def test_predictions_are_those_without_types(tokenizer):
    model = build("GPT2", SIZES, tokenizer, head="LMHeadModel")
    words = words_frame([["The", "old", "dog", "barked"], ["A", "light", "rain"]])
    y = ["a", "b", "a", "b", "a", "b", "a"]
    table = causal_effect(
        model, words, y, ["hidden.1.0"], positive="a", steps=[1], n_draws=1, tokenizer=tokenizer
    )
    found = table[table["which"] == "none"]
    loss = 0.0
    for text in words["text"].unique():
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            scores = log_softmax(model(input_ids=ids).logits[0].numpy(), axis=-1)
        # From [CLS] to the last word; the last token is [SEP].
        loss -= scores[np.arange(ids.shape[1] - 2), ids[0, 1:-1]].sum()
    assert np.isclose((found["loss"] * found["n_words"]).sum(), loss, rtol=1e-4)
