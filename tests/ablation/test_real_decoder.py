# SPDX-License-Identifier: BSD-3-Clause
"""Steering and patching of a real decoder: equal to hooks written by hand, and undone."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import ablate_model, steer_model
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import words_frame
from tests.ablation.hooks import Hooked, everywhere, generated_after, not_first_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
]

LAYER, WIDTH = 15, 576
TEXTS = ["The old dog ran", "A cat"]
WORDS = words_frame([text.split() for text in TEXTS])
OTHERS = words_frame([["The", "old", "cat", "ran"]])


@pytest.fixture(scope="module")
def loaded(decoder):
    model = AutoModelForCausalLM.from_pretrained(decoder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(decoder)


def padded(tokenizer):
    """Pad the texts on the left, by hand."""
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    width = max(map(len, ids))
    return {
        "input_ids": torch.tensor([[0] * (width - len(line)) + line for line in ids]),
        "attention_mask": torch.tensor([[0] * (width - len(i)) + [1] * len(i) for i in ids]),
    }


def assert_equal(found, expected):
    """Compare logits to 1e-5 of the largest."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_steering(loaded):
    model, tokenizer = loaded
    inputs = padded(tokenizer)
    block = model.model.layers[LAYER - 1]
    vector = np.random.default_rng(0).normal(size=WIDTH)
    raw = torch.tensor(vector, dtype=torch.float32)
    unit = raw / raw.norm()
    options = {"max_new_tokens": 2, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    options |= {"output_logits": True, "return_dict_in_generate": True}
    before = {name: value.clone() for name, value in block.state_dict().items()}
    plain = model(**inputs).logits
    own = inputs["attention_mask"].bool()
    ways = {
        "not_first": not_first_of(inputs["attention_mask"]),
        "generated": generated_after(inputs["input_ids"].shape[1]),
    }
    for strength, unit_name, positions, use_cache in (
        (0.4, "norm", "generated", True),
        (-6.0, "direction", "not_first", False),
    ):

        def change(state, strength=strength, unit_name=unit_name):
            if unit_name == "direction":
                return state + strength * raw
            return state + strength * state.norm(dim=-1, keepdim=True) * unit

        hooked = Hooked(block, "output", change, ways[positions], cached=use_cache)
        with torch.no_grad(), hooked.applied():
            expected = model.generate(**inputs, use_cache=use_cache, **options)
        assert hooked.n_changed
        with steer_model(
            model, vector, layer=LAYER, strength=strength, unit=unit_name, positions=positions
        ):
            found = model.generate(**inputs, use_cache=use_cache, **options)
        assert torch.equal(found.sequences, expected.sequences)
        for ours, theirs in zip(found.logits, expected.logits, strict=True):
            assert_equal(ours, theirs)
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits[own], plain[own])
    assert all(torch.equal(before[name], value) for name, value in block.state_dict().items())


def test_patching(loaded):
    model, tokenizer = loaded
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    inputs, (row, other) = padded(tokenizer), (WORDS.iloc[[2]], OTHERS.iloc[[2]])
    layer = model.model.layers[LAYER - 1]
    own = inputs["attention_mask"].bool()
    n_tokens = len(tokenizer(TEXTS[0])["input_ids"])
    assert n_tokens == 4 == own[0].sum()  # one token per word
    for what, module, side, units in (
        (f"hidden.{LAYER}.*", layer, "output", slice(None)),
        (f"attention.{LAYER}.h4", layer.self_attn.o_proj, "input", slice(4 * 64, 5 * 64)),
        ([f"mlp.{LAYER}.7", f"mlp.{LAYER}.3"], layer.mlp.down_proj, "input", [7, 3]),
    ):
        states = []

        def keep(state, states=states):
            states.append(state.clone())
            return state

        def insert(state, states=states, units=units):
            state = state.clone()
            state[:, units] = states[0][2, units]
            return state

        def chosen(past, shape):
            there = torch.zeros(shape, dtype=torch.bool)
            there[0, 2] = True
            return there

        with torch.no_grad():
            with Hooked(module, side, keep, everywhere).applied():
                model(**tokenizer(str(other["text"].iloc[0]), return_tensors="pt"))
            with Hooked(module, side, insert, chosen).applied():
                expected = model(**inputs).logits
            options = {"fill": "interchange", "positions": row, "values": other}
            with ablate_model(extractor, what, **options):
                found = model(**inputs).logits
        assert_equal(found[own], expected[own])
        assert not torch.equal(found[0], model(**inputs).logits[0])
