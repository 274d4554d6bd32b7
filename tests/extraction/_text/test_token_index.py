# SPDX-License-Identifier: BSD-3-Clause
"""Rows that are single tokens: each gets its own state, even where tokens share a character."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.extraction import ActivationExtractor, TorchModel, token_frame
from sklearn_neurox.words import words_frame

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

FAMILIES = [
    *("bert", "bert-uncased", "gpt2", "roberta", "modernbert", "llama", "xlm-roberta"),
    *("byt5", "canine", "marian"),
]
TEXTS = ["The dog 👍 saw 中文", "", "👩\u200d👧", "  a  b ", "café e\u0301", "The dog 👍 saw 中文"]


def states_of(path, text):
    """Return the ids and states of the tokens of a text, without those added around it."""
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    ids = tokenizer(text)["input_ids"]
    bare = tokenizer(text, add_special_tokens=False)["input_ids"]
    first = next(k for k in range(len(ids)) if ids[k : k + len(bare)] == bare)
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    states = np.hstack([state[0].numpy() for state in states if state.shape[1] == len(ids)])
    return bare, states[first : first + len(bare)]


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_each_token_gets_its_own_state(family, tiny):
    path = tiny(family)
    tokens = token_frame(TEXTS, path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    read = [states_of(path, text) for text in TEXTS if text]
    ids = [i for bare, _ in read for i in bare]
    assert tokens["token"].tolist() == tokenizer.convert_ids_to_tokens(ids)
    assert tokens["sentence_id"].drop_duplicates().tolist() == [0, 2, 3, 4, 5]
    assert (tokens["position"] == tokens["token_index"]).all()
    spans = zip(tokens["text"], tokens["start"], tokens["end"], strict=True)
    assert [text[start:end] for text, start, end in spans] == tokens["word"].tolist()
    wanted = np.vstack([states for _, states in read])
    for rows in (np.arange(len(tokens)), np.arange(len(tokens))[::-2]):
        plan = ActivationExtractor(path).transform(tokens.iloc[rows])
        assert (plan.n_subwords == 1).all()
        for strategy in ("first", "last", "mean"):
            np.testing.assert_allclose(plan.pool(strategy), wanted[rows], rtol=0, atol=2e-5)


def test_rows_without_a_name_own_all_tokens_of_their_span(tiny):
    tokens = token_frame(["a 👍"], tiny("gpt2"))
    emoji = tokens[tokens["word"] == "👍"]
    assert len(emoji) == 4
    plan = ActivationExtractor(tiny("gpt2")).transform(emoji.drop(columns="token_index"))
    assert plan.n_subwords.tolist() == [4, 4, 4, 4]
    some = emoji.assign(token_index=[np.nan, *emoji["token_index"].iloc[1:]])
    for column in (some["token_index"], some["token_index"].astype("Int64")):
        plan = ActivationExtractor(tiny("gpt2")).transform(some.assign(token_index=column))
        assert plan.n_subwords.tolist() == [4, 1, 1, 1]


@pytest.mark.slow
def test_the_cache_and_windows_name_the_same_tokens(tiny, tmp_path):
    text = " ".join(["👍 dog"] * 12)
    tokens = token_frame([text], tiny("gpt2"))
    for params in ({}, {"max_length": 32}):
        fresh = ActivationExtractor(tiny("gpt2"), **params).transform(tokens).pool("last")
        for _ in range(2):
            extractor = ActivationExtractor(tiny("gpt2"), cache=tmp_path, **params)
            np.testing.assert_allclose(
                extractor.transform(tokens).pool("last"), fresh, rtol=0, atol=1e-5
            )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_index": 99}, r"'token_index' of row 0 is 99, but its text has \d+ tokens"),
        ({"token_index": 0}, r"'token_index' of row 1 is 0, a token of the characters 0 to 1"),
        ({"token_index": -2}, "is -2; tokens are numbered from 0"),
        ({"token_index": 0.5}, "must contain whole numbers"),
        ({"token_index": "a"}, "must contain whole numbers"),
    ],
)
def test_a_name_that_does_not_fit_is_an_error(change, message, tiny):
    tokens = token_frame(["a 👍"], tiny("gpt2"))
    with pytest.raises(ValueError, match=message):
        ActivationExtractor(tiny("gpt2")).transform(tokens.assign(**change))


def test_tokens_of_another_tokenizer_are_an_error(tiny):
    tokens = token_frame(["The unquestionably old dog 👍 saw it"], tiny("byt5"))
    with pytest.raises(ValueError, match="must come from the same tokenizer"):
        ActivationExtractor(tiny("bert")).transform(tokens)


def test_names_without_spans_are_an_error(tiny):
    frame = pd.DataFrame({"text": ["a b"], "token_index": [1]})
    with pytest.raises(ValueError, match="'token_index'.*but not 'start' and 'end'"):
        ActivationExtractor(tiny("gpt2")).transform(frame)


def test_special_tokens_of_a_rendered_text_have_rows(tiny):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokens = token_frame(["<s> The dog"], tiny("llama"))
        plan = ActivationExtractor(tiny("llama")).transform(tokens)
        single = ActivationExtractor(tiny("llama"), add_special_tokens=True).transform(tokens)
    assert tokens["token"].iloc[0] == "<s>" and tokens["word"].iloc[0] == "<s>"
    assert plan._position.tolist() == list(range(len(tokens)))
    assert single._position.tolist() == list(range(1, len(tokens) + 1))


def test_a_module_of_ones_own(tiny):
    module = torch.nn.Sequential(torch.nn.Embedding(256, 4))

    def encode(text):
        spans = [(i, i + 1) for i, char in enumerate(text) for _ in char.encode()]
        return list(text.encode()), spans

    model = TorchModel(module, encode)
    tokens = token_frame(["a👍"], model)
    H = ActivationExtractor(model, component="module:0").transform(tokens).pool("mean")
    wanted = module[0].weight.detach().numpy()[list("a👍".encode())]
    np.testing.assert_allclose(H, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("texts", ["one string", [1, "a"], [None]])
def test_what_is_not_texts_is_an_error(texts, tiny):
    with pytest.raises((TypeError, ValueError)):
        token_frame(texts, tiny("gpt2"))


@pytest.mark.parametrize("texts", [[], (), np.array([]), pd.Series([], dtype=object)])
def test_no_texts_are_an_error(texts, tiny):
    with pytest.raises(ValueError, match=r"token_frame got no texts. Pass a list of at least one"):
        token_frame(texts, tiny("gpt2"))


def test_texts_without_tokens_have_no_rows(tiny):
    assert len(token_frame([""], tiny("gpt2"))) == 0
    assert token_frame(["", "a"], tiny("gpt2"))["sentence_id"].tolist() == [1]


def test_a_table_is_not_a_list_of_texts(tiny):
    words = words_frame([["The", "dog"], ["a", "cat"]])
    for table in (words, words[["text"]], words.to_dict("records"), {"text": ["The dog"]}):
        with pytest.raises(TypeError, match="got a table. Pass its texts"):
            token_frame(table, tiny("gpt2"))
    tokens = token_frame(words["text"].unique(), tiny("gpt2"))
    assert tokens["text"].unique().tolist() == ["The dog", "a cat"]


# Each token of the second tokenizer overlaps the token with its number of the first.
ALMOST_ALIKE = [
    ("bert", "xlm-roberta", "it sleeps"),
    ("llama", "bert", "cats bark"),
    ("bert", "llama", "The dog"),
    ("xlm-roberta", "bert", "it sleeps"),
]


def test_tokens_of_another_tokenizer_are_refused_even_if_they_overlap(tiny):
    for one, other, text in ALMOST_ALIKE:
        tokens = token_frame([text], tiny(one))
        assert len(ActivationExtractor(tiny(one)).transform(tokens)) == len(tokens)
        with pytest.raises(ValueError, match="must come from the same tokenizer"):
            ActivationExtractor(tiny(other)).transform(tokens)


def test_rows_that_are_more_than_the_token_that_they_name_are_refused(tiny):
    words = words_frame([["unbelievably", "so"]]).assign(token_index=[1, None])
    with pytest.raises(ValueError, match=r"token_index' of row 0 is 1, .* 0 to 12"):
        ActivationExtractor(tiny("bert")).transform(words)
