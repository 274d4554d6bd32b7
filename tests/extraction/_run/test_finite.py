# SPDX-License-Identifier: BSD-3-Clause
"""States that are not finite never leave a model unnoticed."""

import copy
import re

import numpy as np
import pytest
import torch

from sklearn_neurox.ablation import ablate_model, causal_effect
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, TorchModel
from sklearn_neurox.inspection import highlight
from sklearn_neurox.words import words_frame
from tests.extraction.families import FAMILIES, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "A light rain", "She saw it in the old house"]


def overflowing(name, tiny, dtype=torch.float16, layer=1):
    """Return a model whose MLP is so large at some tokens that float16 overflows."""
    original, tokenizer = load(name, tiny(FAMILIES[name].tokenizer))
    model = copy.deepcopy(original)
    family = FAMILIES[name]
    block = model.get_submodule(family.blocks)[layer]
    with torch.no_grad():
        weight = block.get_submodule(family.down).weight
        weight.mul_(5e4 / weight.abs().max())
    return model.to(dtype), tokenizer


def share(model, tokenizer, layer):
    """Return the share of values that are not finite, over the tokens of all texts."""
    bad = total = 0
    for text in TEXTS:
        tokens = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            state = model(**tokens, output_hidden_states=True).hidden_states[layer]
        bad += int((~torch.isfinite(state)).sum())
        total += state.numel()
    return bad / total


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_model_that_overflows_inside(name, tiny, tmp_path):
    model, tokenizer = overflowing(name, tiny)
    expected = share(model, tokenizer, 2)
    assert 0 < expected
    cache = ActivationCache(tmp_path)
    for params in ({}, {"cache": cache}, {"layers": [2, 3]}, {"cache": cache, "layers": 2}):
        extractor = ActivationExtractor(model, tokenizer=tokenizer, **params)
        with pytest.raises(ValueError, match=r"'hidden\.2'.*float16.*65504.*bfloat16") as caught:
            extractor.transform(TEXTS).pool("mean")
        found = float(re.search(r"\((\d+\.\d)%\)", str(caught.value))[1]) / 100
        assert abs(found - expected) < 0.1
    with pytest.raises(ValueError, match=r"'hidden\.2'"):
        ActivationExtractor(model, tokenizer=tokenizer, cache=cache).fill_cache(TEXTS)
    assert not list(tmp_path.rglob("*.safetensors"))
    # What comes before is as good as ever.
    lower = ActivationExtractor(model, tokenizer=tokenizer, layers=[0, 1])
    H = lower.transform(TEXTS).pool("mean")
    assert np.isfinite(H).all()
    lower.set_params(cache=ActivationCache(tmp_path / "asked", layers="asked"))
    np.testing.assert_array_equal(lower.transform(TEXTS).pool("mean"), H)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_advice_helps(dtype, tiny):
    model, tokenizer = overflowing("gpt2", tiny, dtype)
    H = ActivationExtractor(model, tokenizer=tokenizer).transform(TEXTS).pool("mean")
    assert np.isfinite(H).all()


def test_weights_that_are_not_finite_are_named(tiny):
    original, tokenizer = load("bert", tiny("bert"))
    model = copy.deepcopy(original)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight[0, 0] = np.nan
    with pytest.raises(
        ValueError, match=r"'hidden\.2'.*'encoder\.layer\.1\.output\.dense\.weight'"
    ):
        ActivationExtractor(model, tokenizer=tokenizer).transform(TEXTS).pool("mean")


class Table(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(300, 4)
        self.out = torch.nn.Identity()


def encode(text):
    return [ord(c) for c in text], [(i, i + 1) for i in range(len(text))]


def test_one_infinity_in_one_text_is_enough():
    class Model(Table):
        def forward(self, ids):
            state = self.table(ids)
            return self.out(torch.where((ids == ord("Z"))[..., None], state / 0, state))

    for component in ("module:out", ["module:table", "module:out"]):
        extractor = ActivationExtractor(TorchModel(Model(), encode), component=component)
        assert np.isfinite(extractor.transform(["abc", "abd"]).pool("mean")).all()
        with pytest.raises(ValueError, match=r"4 of the 24 values of 'module:out' \(16\.7%\)"):
            extractor.transform(["abc", "abZ"]).pool("mean")


def test_what_padding_becomes_does_not_matter():
    def forward(module, ids, mask):
        module.out(torch.where(mask[..., None] > 0, module.table(ids), torch.nan))

    model = TorchModel(Table(), encode, forward=forward, supports_padding=True)
    H = ActivationExtractor(model, component="module:out").transform(
        ["abcdefghijkl", "abcdefghijk"]
    )
    assert np.isfinite(H.pool("mean")).all()


def test_large_but_finite_values_are_let_through():
    class Model(Table):
        def forward(self, ids):
            return self.out(torch.full((*ids.shape, 4), 3e38))

    extractor = ActivationExtractor(TorchModel(Model(), encode), component="module:out")
    assert (extractor.transform(["abc", "de"]).pool("last") == np.float32(3e38)).all()


def test_predictions_that_are_not_numbers(tiny):
    from transformers import GPT2LMHeadModel

    base, tokenizer = overflowing("gpt2", tiny)
    model = GPT2LMHeadModel(base.config).to(torch.float16).eval()
    model.transformer.load_state_dict(base.state_dict())
    words = words_frame([text.split() for text in TEXTS])
    y = np.resize(["a", "b"], len(words))
    words = words[words["position"] > 0]
    y = y[: len(words)]
    with pytest.raises(ValueError, match=r"predictions of \d+ of \d+ subwords are NaN.*float16"):
        causal_effect(model, words, y, ["hidden.1.0"], positive="a", steps=[1], tokenizer=tokenizer)


def test_an_ablation_that_overflows(tiny):
    original, tokenizer = load("gpt2", tiny("gpt2"))
    extractor = ActivationExtractor(copy.deepcopy(original).half(), tokenizer=tokenizer)
    with (
        ablate_model(extractor, ["hidden.1.0"], fill="scale", values=6e4),
        pytest.raises(ValueError, match=r"'hidden\.1'.*float16"),
    ):
        extractor.transform(TEXTS).pool("mean")


def test_highlight_refuses_infinite_values():
    for value in (np.inf, -np.inf):
        H = np.array([[1.0, 0.0], [value, 1.0]])
        with pytest.raises(ValueError, match=rf"infinite.*x0 is {value} in row 1 \(1 of 4"):
            highlight([["Dogs", "bark"]], H, [0, 1])
        highlight([["Dogs", "bark"]], H, [1])
