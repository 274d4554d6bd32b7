# SPDX-License-Identifier: BSD-3-Clause
"""Tokenizers and models that come with code, and vocabularies of all formats, count as they are."""

import json
import os
import shutil

import numpy as np
import pytest

from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.extraction._model._fingerprint import _of_live_tokenizer
from tests.extraction.families import load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "A light rain", "She saw it"]


def read(model, tokenizer, **params):
    return ActivationExtractor(model, tokenizer=tokenizer, **params).transform(TEXTS).pool("mean")


def _words_of(code):
    """Make a tokenizer of characters; ``code`` says which of a text it takes."""
    from transformers import PreTrainedTokenizer

    scope = {"PreTrainedTokenizer": PreTrainedTokenizer, "__name__": __name__}
    exec(_TOKENIZER.format(code), scope)
    return scope["Characters"]()


_TOKENIZER = """
class Characters(PreTrainedTokenizer):
    def __init__(self, **options):
        self.ids = {{c: i for i, c in enumerate(["<pad>", "<unk>", *map(chr, range(32, 630))])}}
        super().__init__(pad_token="<pad>", unk_token="<unk>", **options)

    @property
    def vocab_size(self):
        return len(self.ids)

    def get_vocab(self):
        return dict(self.ids)

    def _tokenize(self, text):
        return list({})

    def _convert_token_to_id(self, token):
        return self.ids.get(token, 1)

    def _convert_id_to_token(self, number):
        return list(self.ids)[number]

    def build_inputs_with_special_tokens(self, first, second=None):
        return first

    def get_special_tokens_mask(self, first, second=None, already_has_special_tokens=False):
        return [0] * len(first)
"""


@pytest.mark.slow
def test_the_code_of_a_tokenizer_counts(tiny, tmp_path):
    as_it_is, lower = _words_of("text"), _words_of("text.lower()")
    model, _ = load("bert", tiny("bert"))
    first = read(model, as_it_is, cache=tmp_path)
    found, expected = read(model, lower, cache=tmp_path), read(model, lower)
    assert not np.array_equal(found, first)
    np.testing.assert_array_equal(found, expected)
    assert _of_live_tokenizer(_words_of("text")) == _of_live_tokenizer(as_it_is)


def _retrained(folder):
    """Replace the pieces of a Marian model's source texts, but not its vocabulary."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the old dog barks", "a light rain", "she saw it"] * 20),
        model_prefix=str(folder / "new"),
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    os.replace(folder / "new.model", folder / "source.spm")
    os.remove(folder / "new.vocab")


@pytest.mark.slow
def test_the_pieces_of_a_tokenizer_count(tiny, tmp_path):
    from transformers import AutoTokenizer

    folder, cache = tmp_path / "model", tmp_path / "cache"
    shutil.copytree(tiny("marian"), folder)
    first, live = read(folder, None, cache=cache), AutoTokenizer.from_pretrained(folder)
    _retrained(folder)
    found, expected = read(folder, None, cache=cache), read(folder, None)
    assert not np.array_equal(found, first)
    np.testing.assert_array_equal(found, expected)
    assert _of_live_tokenizer(AutoTokenizer.from_pretrained(folder)) != _of_live_tokenizer(live)


_MODEL = """
import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

class Config(PreTrainedConfig):
    model_type = "doubling"
    hidden_size, num_hidden_layers, vocab_size = 8, 1, 600

class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.table = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(8, 8)])
        self.post_init()

    def get_input_embeddings(self):
        return self.table

    def forward(self, input_ids=None, output_hidden_states=None, **options):
        first = self.table(input_ids)
        last = self.layers[0](first) * FACTOR
        return BaseModelOutput(last_hidden_state=last, hidden_states=(first, last))
"""


def test_the_code_that_comes_with_a_random_model_counts(tiny, tmp_path):
    folder, cache = tmp_path / "model", tmp_path / "cache"
    shutil.copytree(tiny("bert"), folder)
    os.remove(folder / "model.safetensors")
    config = {"model_type": "doubling", "auto_map": {"AutoConfig": "own.Config"}}
    config["auto_map"]["AutoModel"] = "own.Model"
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    options = {"weights": "random", "trust_remote_code": True}
    (folder / "own.py").write_text(_MODEL.replace("FACTOR", "2"), "utf-8")
    first = read(folder, None, cache=cache, **options)
    (folder / "own.py").write_text(_MODEL.replace("FACTOR", "3"), "utf-8")
    found, expected = read(folder, None, cache=cache, **options), read(folder, None, **options)
    assert not np.array_equal(found, first)
    np.testing.assert_array_equal(found, expected)
