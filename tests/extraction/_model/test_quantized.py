# SPDX-License-Identifier: BSD-3-Clause
"""Models quantized by the user: read, cached, identified and changed like any other."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.ao import quantization

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._model._description import describe
from sklearn_neurox.extraction._model._fingerprint import _of_live
from sklearn_neurox.extraction._model._first_look import traits_of
from tests.extraction.families import FAMILIES, load

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*quantiz.*:UserWarning"),
    pytest.mark.skipif(
        "fbgemm" not in torch.backends.quantized.supported_engines,
        reason="this build of torch cannot quantize",
    ),
]

COMPONENTS = ["hidden", "mlp", "attention", "embedding"]


def quantize(model, dtype=torch.qint8, *, embedding=False):
    kinds = {torch.nn.Linear: quantization.default_dynamic_qconfig}
    if embedding:
        kinds[torch.nn.Embedding] = quantization.float_qparams_weight_only_qconfig
    chosen = kinds if embedding else set(kinds)
    return quantization.quantize_dynamic(copy.deepcopy(model), chosen, dtype=dtype)


@pytest.fixture(params=["bert", "llama"])
def full(request, tiny):
    return load(request.param, tiny(request.param))


def read(model, tokenizer, words, **parameters):
    parameters = {"component": COMPONENTS, **parameters}
    return ActivationExtractor(model, tokenizer=tokenizer, **parameters).transform(words)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_the_components_are_nearly_those_of_the_model_it_was_made_of(dtype, full, words):
    model, tokenizer = full
    H = read(quantize(model, dtype), tokenizer, words).pool("last")
    E = read(model, tokenizer, words).pool("last")
    assert H.shape == E.shape and not np.array_equal(H, E)
    assert np.corrcoef(H.ravel(), E.ravel())[0, 1] > 0.97


@pytest.mark.slow
def test_the_projections_read_what_the_components_say(full):
    """Quantized layers are modules too: plain hooks on one text see the same."""
    model, tokenizer = full
    quantized, seen = quantize(model), {}
    of_block = {"bert": "encoder.layer.1.", "llama": "layers.1."}[model.config.model_type]
    names = {
        "bert": {"mlp": "output.dense", "attention": "attention.output.dense"},
        "llama": {"mlp": "mlp.down_proj", "attention": "self_attn.o_proj"},
    }[model.config.model_type]
    handles = [
        quantized.get_submodule(of_block + path).register_forward_pre_hook(
            lambda _, args, component=component: seen.update({component: args[0]})
        )
        for component, path in names.items()
    ]
    text = "She saw the old dog"
    tokens = tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
    own = tokens.pop("special_tokens_mask")[0] == 0
    with torch.no_grad():
        quantized(**tokens)
    for handle in handles:
        handle.remove()
    for component in names:
        found = read(quantized, tokenizer, [text], component=component, layers=2).pool("mean")
        expected = seen[component][0, own].mean(dim=0)
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_texts_beside_a_text_do_not_change_it(full):
    """Dynamic quantization scales a batch by its extremes, so each text has to run alone."""
    model, tokenizer = full
    texts = ["The old dog barked", "The old dog saw", "The old man barked", "A light dog barked"]
    lengths = {len(ids) for ids in tokenizer(texts)["input_ids"]}
    assert len(lengths) < len(texts)  # some could have shared a batch
    quantized = quantize(model)
    together = read(quantized, tokenizer, texts).pool("mean")
    alone = [read(quantized, tokenizer, [text]).pool("mean") for text in texts]
    np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FAMILIES)
def test_no_other_model_is_taken_for_one_whose_texts_must_run_alone(name, dtype, tiny):
    model, _ = load(name, tiny(FAMILIES[name].tokenizer))
    model = copy.deepcopy(model).to(dtype)
    for stack in ("encoder", "decoder") if model.config.is_encoder_decoder else (None,):
        assert not traits_of(model, stack).batch_dependent


@pytest.mark.slow
def test_a_cache_keeps_them_and_tells_them_apart(full, words, tmp_path, count_forwards):
    model, tokenizer = full
    quantized = quantize(model)
    expected = read(quantized, tokenizer, words).pool("last")
    count_forwards.clear()
    np.testing.assert_array_equal(
        read(quantized, tokenizer, words, cache=tmp_path).pool("last"), expected
    )
    assert sum(count_forwards) == words["text"].nunique()
    count_forwards.clear()
    again = quantize(model)  # another object with the same packed parameters
    plan = read(again, tokenizer, words, cache=tmp_path)
    np.testing.assert_array_equal(plan.pool("last"), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(plan)).pool("last"), expected)
    assert count_forwards == []
    other = copy.deepcopy(model)
    linear = next(part for part in other.modules() if isinstance(part, torch.nn.Linear))
    with torch.no_grad():
        linear.weight.mul_(1.02)
    for another in (model, quantize(other), quantize(model, torch.float16)):
        read(another, tokenizer, words, cache=tmp_path).pool("last")
    assert len(ActivationCache(tmp_path).info()) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "neuron", ["hidden.1.3", "hidden.2.0", "mlp.1.5", "attention.2.h1.3", "embedding.0.3"]
)
def test_their_neurons_can_be_ablated(neuron, full, words):
    model, tokenizer = full
    extractor = ActivationExtractor(quantize(model), tokenizer=tokenizer, component=COMPONENTS)
    column = list(extractor.get_feature_names_out()).index(neuron)
    before = extractor.transform(words).pool("last")
    with ablate_model(extractor, [neuron]):
        found = extractor.transform(words).pool("last")
    assert (before[:, column] != 0).any() and (found[:, column] == 0).all()
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), before)


@pytest.mark.slow
def test_a_quantized_embedding_is_read_and_told_apart(tiny, words):
    model, tokenizer = load("llama", tiny("llama"))
    quantized = quantize(model, embedding=True)
    H, E = (
        read(one, tokenizer, words, component="embedding").pool("last")
        for one in (quantized, model)
    )
    assert H.shape == E.shape
    np.testing.assert_allclose(H, E, atol=0.02 * np.abs(E).max())
    assert _of_live(quantized) == _of_live(quantized) == _of_live(quantize(model, embedding=True))
    with torch.no_grad():
        model.embed_tokens.weight[5] *= 2
    assert _of_live(quantize(model, embedding=True)) != _of_live(quantized)


class Repacking(torch.nn.Linear):
    """A layer that packs its weights lossily to save them."""

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        self.weight.data = self.weight.data.bfloat16().float()
        super()._save_to_state_dict(destination, prefix, keep_vars)


def test_a_fingerprint_leaves_the_model_as_it_is():
    model = torch.nn.Sequential(Repacking(3, 4), torch.nn.Linear(4, 2))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    state = describe(model, lambda path, tensor: str(tensor.tolist()))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True))
    assert describe(model, lambda path, tensor: str(tensor.tolist())) == state
    model.state_dict()
    assert not torch.equal(model[0].weight, before[0])  # packing is lossy
