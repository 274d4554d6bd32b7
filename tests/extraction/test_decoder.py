# SPDX-License-Identifier: BSD-3-Clause
"""A real decoder against transformers alone, which reads one text at a time."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    SubwordAggregator,
    clear_loaded_models,
)
from sklearn_neurox.words import words_frame

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*an attention sink:UserWarning"),
]

COMPONENTS = ["embedding", "hidden", "mlp", "attention"]
SENTENCES = [
    ["The", "old", "dog", "barked", "loudly", "."],
    ["She", "unquestionably", "saw", "the", "café", "in", "Zürich", "👍"],
    ["Transformers", "compute", "antidisestablishmentarianism", "."],
]
# The largest difference, as a share of the layer's largest magnitude. In half precision, the bound
# is stated for batches, which round otherwise than a text alone.
TOLERANCES = {"float32": 1e-5, "bfloat16": 5e-2}


@pytest.fixture(scope="module")
def words():
    return words_frame(SENTENCES)


def read_alone(folder, dtype, words):
    """Read the last subword of every word: one text at a time, and with hooks of our own."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = {}

    def keep(name, state):
        found.setdefault(name, []).append(state[0].float().numpy())

    for number, layer in enumerate(model.model.layers, start=1):
        for component, module in (
            ("mlp", layer.mlp.down_proj),
            ("attention", layer.self_attn.o_proj),
        ):
            module.register_forward_pre_hook(
                lambda _, args, name=f"{component}.{number}": keep(name, args[0])
            )
    rows = []
    for text, of_text in words.groupby("text", sort=False, observed=True):
        encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        offsets = encoded.pop("offset_mapping")[0].numpy()
        with torch.inference_mode():
            output = model(**encoded, output_hidden_states=True)
            keep("embedding.0", model.model.embed_tokens(encoded["input_ids"]))
        for layer, state in enumerate(output.hidden_states):
            keep(f"hidden.{layer}", state)
        last = [
            np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))[-1]
            for start, end in of_text[["start", "end"]].to_numpy()
        ]
        for states in found.values():
            states[-1] = states[-1][last]
        rows.extend(of_text.index)
    assert rows == list(words.index)
    return {name: np.concatenate(states) for name, states in found.items()}


def by_block(activations, strategy="last"):
    H = activations.pool(strategy)
    names = activations.get_feature_names()
    blocks = np.array([".".join(name.split(".")[:2]) for name in names])
    return {block: H[:, blocks == block] for block in dict.fromkeys(blocks)}


def largest_error(found, expected):
    assert found.keys() == expected.keys()
    return max(
        np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max() for name in found
    )


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_all_components_in_batches_and_alone(dtype, decoder, words):
    expected = read_alone(decoder, dtype, words)
    assert len(expected) == 1 + 31 + 30 + 30
    errors = {}
    for n_tokens in (1, 2048):
        extractor = ActivationExtractor(
            decoder, component=COMPONENTS, dtype=dtype, max_batch_tokens=n_tokens
        )
        errors[n_tokens] = largest_error(by_block(extractor.transform(words)), expected)
    assert errors[1] <= 1e-5
    assert errors[2048] <= TOLERANCES[dtype], errors
    clear_loaded_models()


def test_bfloat16_is_near_float32(decoder, words):
    exact, rounded = (
        by_block(ActivationExtractor(decoder, dtype=dtype).transform(words))
        for dtype in ("float32", "bfloat16")
    )
    assert 1e-4 < largest_error(rounded, exact) < 5e-2
    clear_loaded_models()


def test_a_cache_in_bfloat16_of_single_layers(decoder, words, tmp_path):
    cache = ActivationCache(tmp_path, layers="asked", dtype="bfloat16")
    extractor = ActivationExtractor(decoder, layers=[12, 30], dtype="bfloat16", cache=cache)
    size = extractor.fill_cache(words, dry_run=True)
    assert size["texts"] == len(SENTENCES)
    assert size["bytes"] == size["tokens"] * 2 * 576 * 2
    H = SubwordAggregator("mean").fit_transform(extractor.transform(words))
    extractor.set_params(cache=None)
    np.testing.assert_array_equal(H, extractor.transform(words).pool("mean"))
    assert cache.info()["tokens"].tolist() == [size["tokens"]]
    clear_loaded_models()


def test_the_published_file_itself(decoder, words):
    from tests.make_decoder import gguf_path

    path = str(gguf_path())
    for params in ({"layers": [15]}, {"layers": [3], "component": "attention"}):
        expected = ActivationExtractor(decoder, **params).transform(words).pool("last")
        found = ActivationExtractor(path, **params).transform(words).pool("last")
        np.testing.assert_array_equal(found, expected)
    clear_loaded_models()
