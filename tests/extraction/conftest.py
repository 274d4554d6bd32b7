# SPDX-License-Identifier: BSD-3-Clause
"""Tiny models, each built once, and a few words for them to read."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.words import words_frame
from tests.extraction.chat_templates import CHAT_FAMILIES
from tests.extraction.families import FAMILIES, load


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return the folder of a tiny model, built on first request."""

    @cache
    def make(family, **params):
        return make_tiny_model(
            family, path=tmp_path_factory.mktemp(family), hidden_size=16, n_heads=2, **params
        )

    return make


@pytest.fixture
def live(tiny):
    """Load a separate model, which a test may hook, train or break."""
    from transformers import AutoModel, AutoTokenizer

    def load(family, **params):
        path = tiny(family, **params)
        return AutoModel.from_pretrained(path), AutoTokenizer.from_pretrained(path)

    return load


@pytest.fixture(scope="session")
def _sentences():
    return [
        ["The", "old", "dog", "barked", "loudly", "."],
        ["She", "unquestionably", "saw", "the", "café", "in", "Zürich"],
        ["A", "light", "rain"],
        ["naïve", "señor", "👍", "said", "中文", "e\u0301a", "!"],
        ["Dogs", "bark"],
        ["The", "dog", "that", "the", "man", "saw", "was", "in", "the", "old", "house", "."],
    ]


@pytest.fixture
def words(_sentences):
    """Return a frame of 37 words in six sentences, with three kinds of labels."""
    frame = words_frame(_sentences)
    rng = np.random.default_rng(0)
    frame["tag"] = rng.permutation(np.resize(["NOUN", "VERB", "OTHER"], len(frame)))
    return frame


@pytest.fixture
def count_forwards(monkeypatch):
    """Record the size of each batch that the models read from now on."""
    from sklearn_neurox.extraction._model import _forward

    sizes = []
    run_hidden = _forward.run_hidden

    def counted(model, traits, inputs, *args):
        sizes.append(len(inputs["input_ids"]))
        return run_hidden(model, traits, inputs, *args)

    monkeypatch.setattr(_forward, "run_hidden", counted)
    return sizes


@pytest.fixture
def of(tiny):
    """Make an extractor of a family's live model."""

    def make(name, **params):
        model, tokenizer = load(name, tiny(FAMILIES[name].tokenizer))
        return ActivationExtractor(model, tokenizer=tokenizer, **params)

    return make


@pytest.fixture(scope="module")
def one_thread():
    """Use as many threads here as in worker processes, as the last bits depend on their number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def texts():
    """Return about a hundred sentences, for tests that need several batches."""
    return sorted(set(make_tagged_words(120, random_state=0)["text"]))


@pytest.fixture
def extractor(tiny):
    return ActivationExtractor(tiny("bert"))


@pytest.fixture
def features(extractor):
    return make_pipeline(extractor, SubwordAggregator("mean"))


@pytest.fixture
def activations(extractor, words):
    return extractor.transform(words)


@pytest.fixture(scope="session")
def chat_model(tiny):
    """Return a tiny model and tokenizer with the chat template of a family, built once."""
    from transformers import AutoModel, AutoTokenizer

    @cache
    def make(name):
        family = CHAT_FAMILIES[name]
        tokenizer = AutoTokenizer.from_pretrained(tiny(family.tokenizer))
        tokenizer.add_special_tokens({"additional_special_tokens": list(family.special)})
        tokenizer.chat_template = family.template
        model = AutoModel.from_pretrained(tiny(family.tokenizer)).eval()
        torch.manual_seed(0)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        return model, tokenizer

    return make
