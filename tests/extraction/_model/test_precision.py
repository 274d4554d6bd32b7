# SPDX-License-Identifier: BSD-3-Clause
"""Half-precision and offloaded models: read as they are, into a float32 matrix."""

import copy

import numpy as np
import pytest
import torch
from transformers import AutoModel

from sklearn_neurox.datasets import demo_model_path
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, clear_loaded_models
from tests.extraction.families import FAMILIES, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

COMPONENTS = ["hidden", "mlp", "attention", "embedding"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "opt"])
def test_a_live_half_precision_model(name, dtype, tiny, words, count_forwards):
    model, tokenizer = load(name, tiny(FAMILIES[name].tokenizer))
    full = ActivationExtractor(model, tokenizer=tokenizer, component=COMPONENTS)
    expected = full.transform(words).pool("mean")
    n_batches = len(count_forwards)
    half = copy.deepcopy(model).to(dtype)
    H = ActivationExtractor(half, tokenizer=tokenizer, component=COMPONENTS).transform(words)
    found = H.pool("mean")
    assert found.dtype == np.float32
    assert len(count_forwards) == 2 * n_batches  # padding was recognized as harmless
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < 20 * torch.finfo(dtype).eps
    assert {p.dtype for p in half.parameters()} >= {dtype}


@pytest.mark.slow
def test_a_half_precision_checkpoint_is_computed_in_single(tiny, words, tmp_path):
    model, tokenizer = load("llama", tiny("llama"))
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    clear_loaded_models()
    H = ActivationExtractor(tmp_path, component=COMPONENTS).transform(words).pool("last")
    widened = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in widened.parameters():
            parameter.copy_(parameter.to(torch.bfloat16))
    live = ActivationExtractor(widened, tokenizer=tokenizer, component=COMPONENTS)
    np.testing.assert_array_equal(H, live.transform(words).pool("last"))


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 2e-2), (torch.float16, 4e-3)])
def test_the_documented_tolerances_hold_for_the_demo_model(dtype, tolerance, words):
    path = str(demo_model_path())
    expected = ActivationExtractor(path).transform(words).pool("mean").reshape(len(words), 7, -1)
    half = AutoModel.from_pretrained(path, dtype=dtype)
    found = ActivationExtractor(half, tokenizer=path).transform(words).pool("mean")
    error = np.abs(found.reshape(expected.shape) - expected).max(axis=(0, 2))
    assert (error / np.abs(expected).max(axis=(0, 2)) < tolerance).all()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quantiz.*:UserWarning")
def test_the_documented_tolerance_of_eight_bits_holds_for_the_demo_model(words):
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this build of torch cannot quantize")
    path = str(demo_model_path())
    expected = ActivationExtractor(path).transform(words).pool("last").reshape(len(words), 7, -1)
    quantized = torch.ao.quantization.quantize_dynamic(
        AutoModel.from_pretrained(path), {torch.nn.Linear}
    )
    found = ActivationExtractor(quantized, tokenizer=path).transform(words).pool("last")
    error = np.abs(found.reshape(expected.shape) - expected).max(axis=(0, 2))
    assert (error / np.abs(expected).max(axis=(0, 2)) < [0.3] * 6 + [0.5]).all()


@pytest.mark.slow
@pytest.mark.parametrize("given", ["path", "live"])
def test_a_sharded_checkpoint(given, tiny, words, tmp_path):
    model, tokenizer = load("llama", tiny("llama"))
    expected = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("last")
    folder = tmp_path / "sharded"
    model.save_pretrained(folder, max_shard_size="20KB")
    tokenizer.save_pretrained(folder)
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 2
    source = folder if given == "path" else AutoModel.from_pretrained(folder)
    extractor = ActivationExtractor(source, cache=tmp_path / "cache")
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), expected)
    if given == "path":  # every shard belongs to the fingerprint
        before = shards[-1].read_bytes()
        shards[-1].write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        extractor.transform(words).pool("last")
        assert len(ActivationCache(tmp_path / "cache").info()) == 2


def test_a_model_whose_first_weights_are_elsewhere(tiny, words, monkeypatch):
    """Weights offloaded by accelerate are on the meta device until their module runs."""
    model, tokenizer = load("bert", tiny("bert"))
    model = copy.deepcopy(model)
    expected = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("last")
    stored = model.embeddings.word_embeddings.weight.detach().clone()

    def fetch(module, _):
        module.weight = torch.nn.Parameter(stored)

    def drop(module, *_):
        module.weight = torch.nn.Parameter(stored.to("meta"))

    drop(model.embeddings.word_embeddings)
    model.embeddings.word_embeddings.register_forward_pre_hook(fetch)
    model.embeddings.word_embeddings.register_forward_hook(drop)
    assert model.device.type == "meta"
    found = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("last")
    np.testing.assert_array_equal(found, expected)
