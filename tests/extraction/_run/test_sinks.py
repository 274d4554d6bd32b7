# SPDX-License-Identifier: BSD-3-Clause
"""A warning that counts the rows on the first token of an input, where that is a sink."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, token_frame
from sklearn_neurox.extraction._model._sinks import sink_layers

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog", "Dogs bark loudly", "A"]


def make_sink(model, layer, factor=300.0):
    """Make the first token of every input a sink from a layer on, as trained decoders do."""
    blocks = model.layers if hasattr(model, "layers") else model.h

    class Sink(torch.nn.Module):
        def __init__(self, mlp):
            super().__init__()
            self.mlp = mlp

        def forward(self, x, *args, **kwargs):
            out = self.mlp(x, *args, **kwargs)
            first = torch.zeros_like(out)
            first[:, 0, 3] = factor
            return out + first

    blocks[layer - 1].mlp = Sink(blocks[layer - 1].mlp)
    return model


def messages(extractor, rows, strategy="last"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        SubwordAggregator(strategy).fit_transform(extractor.transform(rows))
    return [str(w.message) for w in caught if "attention sink" in str(w.message)]


@pytest.fixture
def sunk(live):
    model, tokenizer = live("gpt2", n_layers=4)
    return make_sink(model, 2), tokenizer


def test_a_sink_is_many_times_longer_than_the_median_of_all_other_tokens():
    for lengths, is_sink in (
        ([100.0, 1.0], True),
        ([10.0, 1.0], False),
        ([100.0], False),
        ([100.0, 1.0, 90.0], True),
        ([100.0, 90.0, 1.0, 90.0], False),
        ([1.0, 100.0, 1.0], False),
    ):
        state = torch.tensor(lengths)[None, :, None] * torch.tensor([0.6, 0.8])
        expected = {1} if is_sink else set()
        assert sink_layers([torch.ones(1, len(lengths), 2), state]) == expected, lengths


@pytest.mark.slow
def test_rows_on_a_sink_are_counted_in_one_warning(sunk, tiny):
    model, tokenizer = sunk
    tokens = token_frame(TEXTS, tokenizer)
    words = pd.DataFrame({"text": ["The old dog"] * 3, "start": [0, 4, 8], "end": [3, 7, 11]})
    for rows, strategy, count in (
        (tokens, "last", f"3 of {len(tokens)} rows"),
        (tokens[tokens["position"] > 0], "last", None),
        (TEXTS, "mean", "3 of 3 rows"),
        (TEXTS, "last", "1 of 3 rows"),  # the text of a single token
        (TEXTS[:2], "last", None),
        (words, "max", "1 of 3 rows"),
        (words[1:], "mean", None),
    ):
        extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1, 2, 3])
        found = messages(extractor, rows, strategy)
        if count is None:
            assert found == []
            continue
        (message,) = found
        assert message.startswith(count), message
        assert "2 blocks, such as hidden.2" in message
        assert "prefix='bos'" in message
        assert messages(extractor.set_params(prefix="bos"), rows, strategy) == []


@pytest.mark.slow
def test_only_the_layers_that_have_a_sink_count(sunk):
    model, tokenizer = sunk
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    has_sink = {
        layer: bool(messages(extractor.set_params(layers=layer), TEXTS, "mean"))
        for layer in range(5)
    }
    # The last layer is what the model returns, after its final norm.
    assert has_sink == {0: False, 1: False, 2: True, 3: True, 4: False}
    extractor.set_params(component="mlp", layers=None)
    assert messages(extractor.set_params(layers=1), TEXTS, "mean") == []
    assert "in mlp.3 (" in messages(extractor.set_params(layers=3), TEXTS, "mean")[0]


@pytest.mark.slow
def test_models_without_sinks_are_read_in_silence(tiny):
    for family in ("gpt2", "llama", "bert", "roberta", "modernbert", "canine"):
        for strategy in ("mean", "first"):
            assert messages(ActivationExtractor(tiny(family)), TEXTS, strategy) == []


@pytest.mark.slow
def test_a_cache_that_is_filled_warns_as_well(sunk, tmp_path):
    model, tokenizer = sunk
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path)
    for _ in range(2):  # filled, then recalled without a look at the model
        (message,) = messages(extractor, TEXTS, "mean")
        assert message.startswith("3 of 3 rows")
        assert "2 blocks, such as hidden.2" in message
    assert messages(extractor.set_params(layers=[0, 1]), TEXTS, "mean") == []


@pytest.mark.slow
def test_the_first_words_of_a_real_decoder_are_sinks(decoder):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(decoder), AutoModel.from_pretrained(decoder)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[0, 15, 30])
    (message,) = messages(extractor, TEXTS, "mean")
    assert message.startswith("3 of 3 rows") and "in hidden.15 (" in message
    assert messages(extractor.set_params(layers=[0, 30]), TEXTS, "mean") == []
    extractor.set_params(prefix="bos", layers=[15])
    assert messages(extractor, TEXTS, "mean") == []
    H = SubwordAggregator("mean").fit_transform(extractor.transform(TEXTS))
    for row, text in enumerate(TEXTS):
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            state = model(ids, output_hidden_states=True).hidden_states[15][0]
        wanted = state[1:].mean(0).numpy()
        assert np.abs(H[row] - wanted).max() < 1e-5 * float(state.abs().max())
