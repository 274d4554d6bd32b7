# SPDX-License-Identifier: BSD-3-Clause
"""Whatever foreign code raises reaches the user: memory and interrupts as they are, the rest named.

Templates, tokenizers, modules and parsers can raise anything, so the package catches anything there
and says where it happened. That must not turn a lack of memory into a fault of the input.
"""

import copy

import pytest
from transformers import AutoModel, AutoTokenizer

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import (
    ActivationExtractor,
    Activations,
    SparseAutoencoderEncoder,
    SubwordAggregator,
    chat_frame,
)
from sklearn_neurox.extraction._model._config import n_heads
from sklearn_neurox.extraction._model._description import _Description
from sklearn_neurox.extraction._model._fetching import fetch
from sklearn_neurox.extraction._model._loading import ModelSpec
from sklearn_neurox.utils._files._foreign_files import named_errors
from sklearn_neurox.words import words_frame

WORDS = words_frame([["a", "b"]])


class Raising:
    """Raises an error, in the methods that foreign code has."""

    __name__ = "AutoModel"

    def __init__(self, error):
        self.error = error

    def __call__(self, *_, **__):
        raise self.error

    encode = from_pretrained = __call__


@pytest.fixture(scope="module")
def calls():
    """Return functions that meet an error of foreign code, by the place where it is raised."""
    path = make_tiny_model("gpt2", hidden_size=8, n_heads=1)
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModel.from_pretrained(path)
    chat = [[{"role": "user", "content": "Hello"}]]

    def raising_tokenizer(error, method, marked=""):
        class Tokenizer(type(tokenizer)):
            pass

        def act(self, text, *arguments, **options):
            if marked in str(text):
                raise error
            return getattr(type(tokenizer), method)(self, text, *arguments, **options)

        setattr(Tokenizer, method, act)
        other = copy.copy(tokenizer)
        other.__class__ = Tokenizer
        other.chat_template = "{% for m in messages %}<{{ m['content'] }}>{% endfor %}"
        return other

    def tokenize(error, words=WORDS, **params):
        own = raising_tokenizer(error, "__call__")
        ActivationExtractor(model, tokenizer=own, **params).transform(words)

    def run(error):
        own = copy.deepcopy(model)
        own.h[0].forward = Raising(error)
        SubwordAggregator().fit_transform(
            ActivationExtractor(own, tokenizer=tokenizer).transform(WORDS)
        )

    def read_file(error):
        with named_errors("a.json", "is not JSON", "Write it again."):
            raise error

    sae = Activations.from_arrays([[[1.0, 2.0]]], feature_names=["hidden.1.0", "hidden.1.1"])
    return {
        "tokenizer": tokenize,
        "prefix": lambda error: tokenize(error, prefix="x"),
        "template": lambda error: chat_frame(
            chat, raising_tokenizer(error, "apply_chat_template"), rows="user"
        ),
        "template, because of a mark": lambda error: chat_frame(
            chat, raising_tokenizer(error, "apply_chat_template", "7135902468"), rows="user"
        ),
        "SAE": lambda error: SparseAutoencoderEncoder(Raising(error)).fit_transform(sae),
        "model": run,
        "loading": lambda error: fetch(
            Raising(error), ModelSpec(path, None, None, "trained", 0, None, False, False)
        ),
        "file": read_file,
    }


@pytest.mark.slow
def test_memory_and_interrupts_stay_what_they_are(calls):
    wrong = {}
    for place, call in calls.items():
        for kind in (MemoryError, KeyboardInterrupt):
            try:
                call(kind("none left"))
            except kind:
                continue
            except BaseException as error:
                wrong[place, kind] = repr(error)
            else:
                wrong[place, kind] = "no error"
    assert wrong == {}


@pytest.mark.slow
def test_other_errors_are_chained_and_named(calls):
    for place, call in calls.items():
        original = ArithmeticError("seven is not eight")
        with pytest.raises((ValueError, ArithmeticError), match="seven is not eight") as caught:
            call(original)
        chain, error = [], caught.value
        while error is not None:
            chain.append(error)
            error = error.__cause__ or error.__context__
        # The error about a mark is raised after others were tried.
        assert original in chain or "mark" in place, place


def test_a_lone_surrogate_is_not_blamed_for_a_lack_of_memory(calls):
    words = ["a \ud800"]
    with pytest.raises(MemoryError):
        calls["tokenizer"](MemoryError(), words)
    with pytest.raises(ValueError, match=r"cannot read"):
        calls["tokenizer"](TypeError("no such character"), words)


def test_an_object_without_a_pickle_has_no_contents_but_no_memory_is_an_error():
    class Setting:
        def __init__(self, error):
            self.error = error

        def __reduce_ex__(self, protocol):
            raise self.error

    description = _Description(None, None)
    description._pickled(Setting(TypeError("cannot be pickled")))
    assert description.parts == []
    with pytest.raises(MemoryError):
        description._pickled(Setting(MemoryError()))


def test_a_config_without_a_number_of_heads_keeps_its_error():
    class Config:
        is_encoder_decoder = False

        @property
        def num_attention_heads(self):
            raise KeyError("from the config itself")

        def get_text_config(self, **_):
            return self

    with pytest.raises(KeyError, match="from the config itself"):
        n_heads(Config())
