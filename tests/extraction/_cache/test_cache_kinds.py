# SPDX-License-Identifier: BSD-3-Clause
"""What a cache distinguishes besides texts: modules, stacks, targets and custom models."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    TorchModel,
    clear_loaded_models,
)
from sklearn_neurox.extraction._cache._identity import identify
from sklearn_neurox.words import words_frame
from tests.extraction.families import TWO_STACKS

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.filterwarnings("ignore:The pickle of this ActivationExtractor:UserWarning"),
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def both_ways(plain, X, folder, count_forwards):
    """Read cold and warm; check that bits, names and counts equal those without a cache."""
    expected, names = plain.transform(X).pool("mean"), plain.get_feature_names_out()
    cached = clone(plain).set_params(cache=folder)
    np.testing.assert_array_equal(cached.transform(X).pool("mean"), expected)
    count_forwards.clear()
    np.testing.assert_array_equal(cached.fit(X).transform(X).pool("mean"), expected)
    np.testing.assert_array_equal(cached.get_feature_names_out(), names)
    assert count_forwards == [] and cached.fill_cache(X) == 0
    return cached


# Modules


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "component", "stack"),
    [
        ("gpt2", "module:h.*.mlp", None),
        ("bert", ["module:encoder.layer.?.output", "hidden", "module:embeddings"], None),
        ("t5", ["module:*.SelfAttention.v", "attention"], "both"),
    ],
)
def test_modules_are_cached(name, component, stack, of, words, folder, count_forwards):
    extractor = of(name, component=component, stack=stack)
    cached = both_ways(extractor, words, folder, count_forwards)
    assert ActivationCache(folder).verify().empty
    lost = pickle.loads(pickle.dumps(cached))  # of a live model, which is left out
    np.testing.assert_array_equal(
        lost.transform(words).pool("last"), extractor.transform(words).pool("last")
    )
    assert lost.get_feature_names_out().tolist() == extractor.get_feature_names_out().tolist()


def test_layers_of_several_components_are_chosen_without_the_model(
    tiny, words, folder, monkeypatch
):
    component = ["attention", "module:embeddings", "hidden"]
    extractor = ActivationExtractor(tiny("bert"), component=component, layers=[-1, 1])
    expected, names = extractor.transform(words).pool("last"), extractor.get_feature_names_out()
    ActivationExtractor(tiny("bert"), component=component, cache=folder).fill_cache(words)
    clear_loaded_models()
    monkeypatch.setattr("sklearn_neurox.extraction._model._loading.fetch", None)
    extractor.set_params(cache=folder)
    np.testing.assert_array_equal(extractor.transform(words).pool("last"), expected)
    np.testing.assert_array_equal(extractor.get_feature_names_out(), names)
    with pytest.raises(ValueError, match=r"there is no layer 9; .* has the layers \[0, 1, 2\]"):
        extractor.set_params(layers=[9]).fit(words)


# Stacks and targets


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["decoder", "both"])
@pytest.mark.parametrize("name", TWO_STACKS)
def test_decoders_are_cached(name, stack, of, words, folder, count_forwards):
    extractor = of(name, stack=stack, component=["hidden", "mlp"], max_batch_tokens=60)
    cached = both_ways(extractor, words, folder, count_forwards)
    some = words.iloc[[30, 2, 2, 17]]
    np.testing.assert_array_equal(
        cached.transform(some).pool("last"),
        extractor.transform(words).pool("last")[[30, 2, 2, 17]],
    )


@pytest.fixture
def targets():
    sources = ["The old dog barked loudly .", "A light rain", "She saw it"]
    spoken = [["Dogs", "bark"], ["Dogs", "bark"], ["It", "was", "seen", "there"]]
    frame = words_frame(spoken)
    return pd.DataFrame(
        {
            "text": [sources[i] for i in frame["sentence_id"]],
            "target": frame["text"].astype(str),
            "target_start": frame["start"],
            "target_end": frame["end"],
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5", "mbart", "marian"])
def test_a_target_is_cached_with_its_source(name, of, targets, folder, count_forwards):
    """One target with two sources counts as two texts, both different from the text alone."""
    extractor = of(name, stack="decoder")
    cached = both_ways(extractor, targets, folder, count_forwards)
    H = extractor.transform(targets).pool("mean")
    assert np.abs(H[:2] - H[2:4]).max() > 1e-3
    np.testing.assert_array_equal(cached.transform(targets[2:4]).pool("mean"), H[2:4])
    assert cached.fill_cache(["Dogs bark"]) == 1
    assert cached.fill_cache(targets) == 0
    info = ActivationCache(folder).info()
    assert info["sentences"].tolist() == [4]
    plan = pickle.loads(pickle.dumps(cached.transform(targets)))[[3, 5]]
    np.testing.assert_array_equal(plan.pool("mean"), H[[3, 5]])


@pytest.mark.slow
def test_an_interrupted_request_of_targets_resumes_to_the_same_bits(of, targets, folder):
    extractor = of("t5", stack="decoder", max_batch_tokens=8)
    H = extractor.transform(targets).pool("mean")
    extractor.set_params(cache=folder).fill_cache(targets)
    shards = sorted(folder.rglob("*.safetensors"))
    for shard in shards[::2]:
        shard.unlink()
    assert 0 < extractor.fill_cache(targets) < 3
    np.testing.assert_array_equal(extractor.transform(targets).pool("mean"), H)
    assert sorted(folder.rglob("*.safetensors")) == shards


@pytest.mark.slow
def test_workers_share_targets_and_sources(tiny, targets, folder):
    """This test uses threads; processes are sent the same tasks."""
    import joblib

    extractor = ActivationExtractor(tiny("marian"), stack="decoder", max_batch_tokens=8)
    H = extractor.transform(targets).pool("mean")
    extractor.set_params(cache=folder)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert extractor.fill_cache(targets) == 3
    np.testing.assert_array_equal(extractor.transform(targets).pool("mean"), H)


@pytest.mark.slow
def test_targets_are_computed_without_the_cache_under_foreign_hooks(of, targets, folder):
    extractor = of("t5", stack="decoder", cache=folder)
    plan = extractor.transform(targets)
    H = plan.pool("mean")
    handle = extractor.model.decoder.register_forward_hook(lambda *_: None)
    try:
        with pytest.warns(UserWarning, match="hooks"):
            np.testing.assert_allclose(plan[[4, 0]].pool("mean"), H[[4, 0]], rtol=0, atol=2e-5)
    finally:
        handle.remove()


@pytest.mark.slow
def test_stack_none_and_encoder_share_a_folder(of, words, folder, count_forwards):
    cache = ActivationCache(folder)
    H = of("t5", cache=cache).transform(words).pool("last")
    count_forwards.clear()
    named = of("t5", stack="encoder", cache=cache)
    np.testing.assert_array_equal(named.transform(words).pool("last"), H)
    assert count_forwards == [] and len(cache.info()) == 1


def test_a_warm_cache_does_not_give_an_encoder_to_a_model_that_has_none(of, words, folder):
    of("gpt2", cache=folder).fill_cache(words)
    for method in ("fit", "transform", "fill_cache"):
        with pytest.raises(ValueError, match="not an encoder-decoder"):
            getattr(of("gpt2", stack="encoder", cache=folder), method)(words)


# Custom models


class Reader(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.characters = torch.nn.Embedding(300, 6)
        self.layer = torch.nn.LSTM(6, 6, batch_first=True)

    def forward(self, ids):
        return self.layer(self.characters(ids))[0]


def encode(text):
    return [ord(c) % 300 for c in text], [(i, i + 1) for i in range(len(text))]


def encode_shifted(text):
    return [(ord(c) + 1) % 300 for c in text], [(i, i + 1) for i in range(len(text))]


@pytest.fixture
def module():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Reader()


@pytest.mark.slow
def test_a_torch_model_is_cached_under_its_fingerprint(module, words, folder, count_forwards):
    cache = ActivationCache(folder)

    def extract(encoding, name, module=module):
        model = TorchModel(module, encoding, fingerprint=name)
        extractor = ActivationExtractor(model, component="module:layer", cache=cache)
        plain = ActivationExtractor(model, component="module:layer").transform(words).pool("mean")
        np.testing.assert_array_equal(extractor.transform(words).pool("mean"), plain)
        return extractor, plain

    extractor, H = extract(encode, "characters 1")
    count_forwards.clear()
    np.testing.assert_array_equal(extractor.transform(words).pool("mean"), H)
    assert count_forwards == []
    assert cache.info()[["model", "layers"]].values.tolist() == [["TorchModel(Reader)", 1]]
    lost = pickle.loads(pickle.dumps(extractor))
    np.testing.assert_array_equal(lost.transform(words).pool("mean"), H)
    with pytest.raises(ValueError, match="live TorchModel.*pickles leave out"):
        lost.transform(["A text that nobody has read"])
    extract(encode_shifted, "characters 2")
    trained = copy.deepcopy(module)
    with torch.no_grad():
        trained.characters.weight.mul_(2)
    extract(encode, "characters 1", trained)
    assert len(cache.info()) == 3


def test_hooks_keep_a_torch_model_from_its_cache(module, words, folder):
    model = TorchModel(module, encode, fingerprint="characters")
    extractor = ActivationExtractor(model, component="module:layer", cache=folder)
    extractor.fill_cache(words)
    module.characters.register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.warns(UserWarning, match="hooks"):
        extractor.transform(words).pool("last")


def test_a_torch_model_without_a_fingerprint_is_not_cached(module, words, folder):
    extractor = ActivationExtractor(TorchModel(module, encode), component="module:layer")
    extractor.set_params(cache=folder)
    message = r"cannot keep the activations of TorchModel\(Reader\).*'encode'.*fingerprint="
    for method in ("fit", "transform", "fill_cache"):
        with pytest.raises(ValueError, match=message):
            getattr(extractor, method)(words)
    assert not folder.exists()
    for wrong in ("", 3):
        with pytest.raises(ValueError, match="'fingerprint' parameter of TorchModel must be"):
            TorchModel(module, encode, fingerprint=wrong)


# Live models whose parameters are not plain tensors


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore:.*quantiz.*:UserWarning")
def test_a_quantized_model_is_cached(of, words, folder, count_forwards):
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("this build of torch cannot quantize")

    def quantized(scale):
        model = copy.deepcopy(of("llama").model)
        with torch.no_grad():
            model.layers[1].mlp.down_proj.weight.mul_(scale)
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)

    plain = of("llama", component=["hidden", "mlp"]).set_params(model=quantized(1))
    both_ways(plain, words, folder, count_forwards)
    both_ways(plain.set_params(model=quantized(2)), words, folder, count_forwards)
    assert len(ActivationCache(folder).info()) == 2


def test_parameters_made_of_several_tensors_are_all_digested(module, folder):
    """As in torchao, whose tensor classes hold other tensors."""
    made = pytest.importorskip("torch.testing._internal.two_tensor")
    for scale in (1.0, 2.0, 1.0):
        weight = module.characters.weight.detach()
        pair = made.TwoTensor(weight.clone(), scale * weight)
        other = copy.deepcopy(module)
        other.characters.weight = torch.nn.Parameter(pair)
        model = TorchModel(other, encode, fingerprint="characters")
        extractor = ActivationExtractor(model, component="module:x", cache=folder)
        folder.joinpath(identify(extractor._request())).mkdir(parents=True, exist_ok=True)
    assert len(list(folder.glob("v4-*"))) == 2


def test_a_live_model_that_is_not_all_in_memory_has_no_digest(of, words, folder):
    model = copy.deepcopy(of("bert").model)
    model.encoder.layer[0].to("meta")
    with pytest.raises(ValueError, match=r"'encoder\.layer\.0.*not in memory.*cache=None"):
        of("bert", cache=folder).set_params(model=model).transform(words)


def test_hooks_on_all_modules_keep_a_model_from_its_cache(of, words, folder):
    extractor = of("bert", cache=folder)
    extractor.fill_cache(words)
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.warns(UserWarning, match="hooks"):
            extractor.transform(words).pool("last")
    finally:
        handle.remove()
