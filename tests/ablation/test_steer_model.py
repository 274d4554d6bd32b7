# SPDX-License-Identifier: BSD-3-Clause
"""Steering: equal to hooks written by hand, in units that are said, and undone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sklearn_neurox.ablation import ConceptEraser, ablate_model, steer_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.probes import MeanDifferenceProbeClassifier
from tests.ablation.hooks import Hooked, everywhere, generated_after, not_first_of

NAMES = [f"hidden.1.{unit}" for unit in range(16)]
DIRECTION = np.random.default_rng(0).normal(size=16)
OPTIONS = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_model("gpt2", path=tmp_path_factory.mktemp("gpt2"), hidden_size=16, n_heads=2)


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def probe():
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.normal(size=(60, 16)), columns=NAMES), np.arange(60) % 2
    return MeanDifferenceProbeClassifier().fit(X + DIRECTION * y[:, None], y)


def batch(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text)["input_ids"] for text in ("The old dog", "She saw the house .")]
    width = max(map(len, ids))
    return {
        "input_ids": torch.tensor([[0] * (width - len(line)) + line for line in ids]),
        "attention_mask": torch.tensor([[0] * (width - len(i)) + [1] * len(i) for i in ids]),
    }


@pytest.mark.slow
def test_steered_generation_equals_hooks_by_hand(model, folder):
    inputs = batch(folder)
    width = inputs["input_ids"].shape[1]
    raw = torch.tensor(DIRECTION, dtype=torch.float32)
    unit = raw / raw.norm()
    ways = {
        "all": everywhere,
        "not_first": not_first_of(inputs["attention_mask"]),
        "generated": generated_after(width),
    }
    for options, change in (
        ({"strength": 0.5}, lambda h: h + 0.5 * h.norm(dim=-1, keepdim=True) * unit),
        ({"strength": -2.0, "unit": "direction"}, lambda h: h - 2 * raw),
    ):
        for positions, chosen in ways.items():
            for use_cache in (True, False):
                hooked = Hooked(model.transformer.h[0], "output", change, chosen, cached=use_cache)
                more = OPTIONS | {"use_cache": use_cache, "output_logits": True}
                more["return_dict_in_generate"] = True
                with torch.no_grad(), hooked.applied():
                    expected = model.generate(**inputs, **more)
                with steer_model(model, DIRECTION, layer=1, positions=positions, **options) as same:
                    assert same is model
                    found = model.generate(**inputs, **more)
                assert hooked.n_changed
                assert torch.equal(found.sequences, expected.sequences)
                for one, other in zip(found.logits, expected.logits, strict=True):
                    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_directions_of_any_kind_are_the_same(model, folder, probe):
    ids = batch(folder)["input_ids"]
    vector = probe.coef_[0]
    series = pd.Series(vector, index=NAMES)
    other = pd.Series(1.0, index=[f"hidden.2.{unit}" for unit in range(16)])
    found = []
    for direction, layer in (
        (probe, None),
        (probe, 1),
        (series, None),
        (5 * series, None),
        (series[::-1], 1),
        (pd.concat([series, other]), 1),
        (pd.DataFrame([series]), None),
        (vector, 1),
        (vector.tolist(), 1),
    ):
        with torch.no_grad(), steer_model(model, direction, layer=layer, strength=0.3):
            found.append(model(ids).logits)
    assert all(torch.allclose(found[0], one, atol=1e-6) for one in found[1:])


def test_the_norm_is_that_of_each_token(model, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[1])
    plain = extractor.transform(["The old dog"]).pool("last")
    with steer_model(extractor, DIRECTION, layer=1, strength=0.25):
        steered = extractor.transform(["The old dog"]).pool("last")
    moved = np.linalg.norm(steered - plain, axis=1)
    np.testing.assert_allclose(moved, 0.25 * np.linalg.norm(plain, axis=1), rtol=1e-5)
    assert np.corrcoef(steered[0] - plain[0], DIRECTION)[0, 1] > 0.9999


@pytest.mark.slow
def test_a_folder_is_loaded_with_its_head(folder, model):
    inputs = batch(folder)
    with steer_model(folder, DIRECTION, layer=1, strength=3.0, positions="generated") as loaded:
        found = loaded.generate(**inputs, **OPTIONS)
        assert loaded is not model
    with steer_model(model, DIRECTION, layer=1, strength=3.0, positions="generated"):
        assert torch.equal(found, model.generate(**inputs, **OPTIONS))
    plain = model.generate(**inputs, **OPTIONS)
    assert torch.equal(loaded.generate(**inputs, **OPTIONS), plain)
    assert not torch.equal(found, plain)


@pytest.mark.slow
def test_several_layers_and_nested_contexts(model, folder):
    ids = batch(folder)["input_ids"]
    each = pd.DataFrame(
        0.0, index=["a", "b"], columns=[*NAMES, *(n.replace("1", "2", 1) for n in NAMES)]
    )
    each.iloc[0, :16] = each.iloc[1, 16:] = DIRECTION
    with torch.no_grad():
        with steer_model(model, each, strength=0.3):
            at_once = model(ids).logits
        with steer_model(model, DIRECTION, layer=1, strength=0.3):
            with steer_model(model, DIRECTION, layer=2, strength=0.3):
                nested = model(ids).logits
        plain = model(ids).logits
        with steer_model(model, DIRECTION, layer=1, strength=1.5, unit="direction"):
            with steer_model(model, DIRECTION, layer=1, strength=-1.5, unit="direction"):
                back = model(ids).logits
        with steer_model(model, DIRECTION, layer=1, strength=0):
            assert torch.equal(model(ids).logits, plain)
    torch.testing.assert_close(at_once, nested, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(back, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_half_precision_threads_and_scopes(folder):
    """In bfloat16, a steered state is computed in float32 and rounded once, in every thread."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    bits = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = batch(folder)
    width = inputs["input_ids"].shape[1]
    raw = torch.tensor(DIRECTION, dtype=torch.float32)
    rows, state = pd.DataFrame({"text": ["The old dog"]}), np.arange(16.0)[None]
    options = {"fill": "interchange", "positions": rows, "values": state}

    def steered(h):
        h = h.float()
        return (h + 0.5 * h.norm(dim=-1, keepdim=True) * raw / raw.norm()).bfloat16()

    def inserted(h):
        return torch.tensor(state, dtype=torch.bfloat16).expand(h.shape)

    def own(past, shape):
        there = torch.zeros(shape, dtype=torch.bool)
        there[0, : inputs["attention_mask"].shape[1]] = inputs["attention_mask"][0, past:].bool()
        return there

    block = model.transformer.h[0]
    more = OPTIONS | {"output_logits": True, "return_dict_in_generate": True}
    with torch.no_grad():
        with (
            Hooked(block, "output", steered, generated_after(width), cached=True).applied(),
            Hooked(block, "output", lambda h: h + 1, everywhere).applied(),
        ):
            expected = model.generate(**inputs, **more).logits
        with (
            Hooked(block, "output", inserted, own).applied(),
            Hooked(block, "output", steered, not_first_of(inputs["attention_mask"])).applied(),
        ):
            patched = model(**inputs).logits
    plus_one = {"fill": "translate", "values": 1.0}
    with (
        steer_model(model, DIRECTION, layer=1, strength=0.5, positions="generated"),
        ablate_model(model, ["hidden.1.*"], **plus_one),
        ThreadPoolExecutor(2) as threads,
    ):
        found = list(threads.map(lambda _: model.generate(**inputs, **more).logits, range(4)))
    for logits in found:
        assert all(map(torch.equal, logits, expected))
    with (
        torch.no_grad(),
        ablate_model(extractor, ["hidden.1.*"], **options),
        steer_model(model, DIRECTION, layer=1, strength=0.5, positions="not_first"),
    ):
        assert torch.equal(model(**inputs).logits, patched)
    assert all(torch.equal(bits[name], value) for name, value in model.state_dict().items())


def test_wrong_directions(model, tmp_path, probe):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 16)), columns=NAMES)
    three = MeanDifferenceProbeClassifier().fit(X, np.arange(60) % 3)
    two = make_tiny_model("byt5", path=tmp_path, hidden_size=16, n_heads=2)
    for given, direction, options, error, message in (
        (model, DIRECTION, {}, TypeError, "Got ndarray, whose values do not say"),
        (model, "mlp.2.7", {}, TypeError, r"pd.Series\(\{'mlp.2.7': 1.0\}\)"),
        (model, DIRECTION[:5], {"layer": 1}, ValueError, "over 5 neurons, but block hidden.1 has"),
        (model, [*DIRECTION, 1.0], {"layer": 1}, ValueError, "'hidden.1' has the 16 neurons"),
        (model, DIRECTION[None], {"layer": 1}, ValueError, r"must be one direction.* \(1, 16\)"),
        (model, DIRECTION, {"layer": 3}, ValueError, r"layers \[0, 1, 2\]"),
        (model, DIRECTION * 0, {"layer": 1}, ValueError, "a direction of length zero"),
        (model, probe, {"layer": 2}, ValueError, "no neurons of layer 2, but 'hidden.1.0' to"),
        (model, three, {}, ValueError, r"3 directions in 'hidden.1', \[0, 1, 2\]. Choose one"),
        (model, ConceptEraser().fit(X, np.arange(60) % 2), {}, ValueError, "have no sign"),
        (model, DIRECTION, {"layer": 1, "strength": np.nan}, ValueError, "'strength' parameter"),
        (model, DIRECTION, {"layer": 1, "unit": "std"}, ValueError, "'unit' parameter"),
        (model, DIRECTION, {"layer": -1}, ValueError, "'layer' parameter"),
        (two, DIRECTION, {"layer": 1}, ValueError, "has two stacks. Name its neurons"),
    ):
        with pytest.raises(error, match=message):
            steer_model(given, direction, **options)
