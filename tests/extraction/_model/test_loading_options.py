# SPDX-License-Identifier: BSD-3-Clause
"""Models given by name: loaded in another dtype, or spread by a device map."""

import copy
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from transformers import AutoConfig, AutoModel, AutoTokenizer

from sklearn_neurox.ablation import causal_effect
from sklearn_neurox.extraction import ActivationExtractor, clear_loaded_models
from tests.extraction.families import FAMILIES, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["Dogs bark", "She unquestionably saw the light .", "A light rain"]
DTYPES = ["float32", "bfloat16", "float16"]
ON_DISK = {
    "embed_tokens": "cpu",
    "rotary_emb": "cpu",
    "layers.0": "disk",
    "layers.1": "cpu",
    "norm": "disk",
}


def last_states(folder, dtype, *, texts=TEXTS):
    """Read the hidden states of each text's last token with transformers alone."""
    model = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
        rows.append(torch.cat([state[0, -1].float() for state in states.hidden_states]).numpy())
    return np.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_states_are_those_of_transformers_in_that_dtype(family, tiny):
    folder = tiny(family)
    exact = last_states(folder, "float32")
    for dtype in DTYPES:
        extractor = ActivationExtractor(folder, dtype=dtype, max_batch_tokens=1)
        H = extractor.transform(TEXTS).pool("last")
        assert H.dtype == np.float32
        error = np.abs(H - last_states(folder, dtype)).max() / np.abs(exact).max()
        assert error <= 1e-5 if dtype == "float32" else error < torch.finfo(torch.float16).eps
        off = np.abs(H - exact).max() / np.abs(exact).max()
        assert off < 1e-5 if dtype == "float32" else 0 < off < 2e-2
        assert {p.dtype for p in parameters(extractor)} == {getattr(torch, dtype)}


def parameters(extractor):
    from sklearn_neurox.extraction._model._loading import load_model

    return list(load_model(extractor._spec()).parameters())


@pytest.mark.slow
def test_auto_takes_the_dtype_of_the_file(tiny, tmp_path):
    model, tokenizer = load("llama", tiny(FAMILIES["llama"].tokenizer))
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    auto = ActivationExtractor(tmp_path, dtype="auto")
    assert {p.dtype for p in parameters(auto)} == {torch.bfloat16}
    same = ActivationExtractor(tmp_path, dtype="bfloat16")
    other = ActivationExtractor(tmp_path)
    H = auto.transform(TEXTS).pool("mean")
    np.testing.assert_array_equal(H, same.transform(TEXTS).pool("mean"))
    assert not np.array_equal(H, other.transform(TEXTS).pool("mean"))


def test_an_untrained_model_has_the_same_weights_rounded(tiny):
    exact = parameters(ActivationExtractor(tiny("llama"), weights="random"))
    rounded = parameters(ActivationExtractor(tiny("llama"), weights="random", dtype="bfloat16"))
    for one, other in zip(exact, rounded, strict=True):
        assert torch.equal(one.to(torch.bfloat16), other)


@pytest.mark.slow
def test_a_cache_keeps_dtypes_apart(tiny, tmp_path):
    folder, cache = tiny("llama"), tmp_path / "cache"
    pooled = {}
    for dtype in DTYPES:
        for weights in ("pretrained", "random"):
            extractor = ActivationExtractor(folder, dtype=dtype, weights=weights, cache=cache)
            assert extractor.fill_cache(TEXTS) == len(TEXTS)
            assert extractor.fill_cache(TEXTS) == 0
            pooled[dtype, weights] = extractor.transform(TEXTS).pool("last")
    clear_loaded_models()
    for (dtype, weights), H in pooled.items():
        extractor = ActivationExtractor(folder, dtype=dtype, weights=weights)
        np.testing.assert_array_equal(H, extractor.transform(TEXTS).pool("last"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:causal_effect cannot score 6 of 37 words:UserWarning")
def test_a_language_model_in_another_dtype(tiny, words):
    is_noun = words["tag"] == "NOUN"
    neurons = [f"hidden.1.{i}" for i in range(16)]
    exact, rounded = (
        causal_effect(
            ActivationExtractor(tiny("gpt2"), dtype=dtype, layers=[1]),
            words,
            is_noun,
            neurons,
            steps=[4],
            n_draws=1,
            random_state=0,
        )
        for dtype in ("float32", "bfloat16")
    )
    numbers = exact.select_dtypes("number").columns
    assert np.isfinite(rounded[numbers]).all(axis=None)
    assert not exact.equals(rounded)


@pytest.mark.parametrize("devices", ["auto", "cpu", {"": "cpu"}, ON_DISK])
def test_a_device_map_changes_no_number(devices, tiny, tmp_path, capfd):
    pytest.importorskip("accelerate")
    folder = tiny("llama")
    component = ["embedding", "hidden", "mlp", "attention"]
    device = "cpu" if devices != "auto" else None  # which takes a GPU, as "auto" does
    plain = ActivationExtractor(folder, component=component, device=device)
    spread = ActivationExtractor(
        folder, component=component, device_map=devices, cache=tmp_path / "cache"
    )
    found, expected = (one.transform(TEXTS).pool("mean") for one in (spread, plain))
    np.testing.assert_array_equal(found, expected)
    assert capfd.readouterr() == ("", "")
    # Devices are not part of the key.
    warm = clone(plain).set_params(cache=tmp_path / "cache")
    assert warm.fill_cache(TEXTS) == 0


@pytest.mark.slow
def test_an_untrained_model_cannot_be_on_the_disk(tiny):
    pytest.importorskip("accelerate")
    extractor = ActivationExtractor(tiny("llama"), weights="random", device_map=ON_DISK)
    with pytest.raises(ValueError, match="Parts on the disk need a file of weights"):
        extractor.transform(TEXTS).pool("last")


def test_without_accelerate_the_message_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    extractor = ActivationExtractor(tiny("llama"), device_map={"": "cpu"})
    with pytest.raises(ImportError, match=r'pip install "sklearn-neurox\[accelerate\]"'):
        extractor.transform(TEXTS).pool("last")


def test_devices_set_twice(tiny):
    extractor = ActivationExtractor(tiny("llama"), device="cpu", device_map="auto")
    with pytest.raises(ValueError, match=r"got both device='cpu' and device_map='auto'"):
        extractor.transform(TEXTS)


@pytest.mark.parametrize("option", [{"dtype": "bfloat16"}, {"device_map": "auto"}])
def test_a_loaded_model_keeps_its_own(option, live):
    model, tokenizer = live("llama")
    (name,) = option
    with pytest.raises(ValueError, match=f"^{name}=.*is for a model given by its name or folder"):
        ActivationExtractor(model, tokenizer=tokenizer, **option).transform(TEXTS)
    model.to(torch.bfloat16)
    H = ActivationExtractor(model, tokenizer=tokenizer, dtype="auto").transform(TEXTS).pool("last")
    assert np.isfinite(H).all()


def test_the_config_of_the_folder_is_left_alone(tiny):
    before = AutoConfig.from_pretrained(tiny("llama")).to_dict()
    ActivationExtractor(tiny("llama"), dtype="bfloat16").transform(TEXTS).pool("last")
    assert AutoConfig.from_pretrained(tiny("llama")).to_dict() == before
