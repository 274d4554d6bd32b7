# SPDX-License-Identifier: BSD-3-Clause
"""A live model is read as it is now, whatever was found out about it before."""

import copy

import numpy as np
import pytest
import torch

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import ActivationExtractor
from tests.extraction.families import FAMILIES, load

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    # Some ablations begin and end while the model does not run.
    pytest.mark.filterwarnings("ignore:The model did not run:UserWarning"),
]

TEXTS = ["The old dog barked loudly .", "A light rain", "She saw it"]


def layer_list(model, name):
    return model.get_submodule(FAMILIES[name].blocks)


def set_layers(model, name, layers):
    path = FAMILIES[name].blocks
    parent, _, last = path.rpartition(".")
    setattr(model.get_submodule(parent), last, torch.nn.ModuleList(layers))
    model.config.num_hidden_layers = len(layers)


def cut(model, name):
    set_layers(model, name, list(layer_list(model, name))[:2])


def cut_in_place(model, name):
    del layer_list(model, name)[2:]
    model.config.num_hidden_layers = 2


def extend(model, name):
    layers = list(layer_list(model, name))
    set_layers(model, name, [*layers, copy.deepcopy(layers[0])])


def reverse(model, name):
    set_layers(model, name, list(layer_list(model, name))[::-1])


def wrap(model, name):
    class Around(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.attention_type = getattr(inner, "attention_type", None)

        def forward(self, *args, **kwargs):
            output = self.inner(*args, **kwargs)
            return (output[0] * 1.5, *output[1:]) if isinstance(output, tuple) else output * 1.5

    set_layers(model, name, [Around(layer) for layer in layer_list(model, name)])


CHANGES = (cut, cut_in_place, extend, reverse, wrap)


def own_states(model, tokenizer):
    """Return the mean of each text's states in every layer, as the model reports them."""
    rows = []
    for text in TEXTS:
        tokens = tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
        own = tokens.pop("special_tokens_mask")[0] == 0
        with torch.no_grad():
            # Copies of a layer share its place in a key-value cache.
            options = {} if "bert" in model.config.model_type else {"use_cache": False}
            states = model(**tokens, output_hidden_states=True, **options).hidden_states
        rows.append(torch.cat([state[0, own].mean(dim=0) for state in states]).numpy())
    return np.stack(rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_layers_changed_after_a_model_was_read(name, tiny, tmp_path):
    original, tokenizer = load(name, tiny(FAMILIES[name].tokenizer))
    for change in CHANGES:
        model = copy.deepcopy(original)
        cached = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path)
        plain = ActivationExtractor(model, tokenizer=tokenizer)
        before = plain.transform(TEXTS).pool("mean")
        np.testing.assert_array_equal(cached.transform(TEXTS).pool("mean"), before)
        with ablate_model(plain, ["hidden.1.0"]):
            pass
        change(model, name)
        expected = own_states(model, tokenizer)
        for extractor in (plain, cached, cached):
            H = extractor.transform(TEXTS).pool("mean")
            np.testing.assert_allclose(H, expected, atol=2e-5, err_msg=change.__name__)
        if change is wrap:  # what transformers reports is then not what the layers return
            continue
        last = model.config.num_hidden_layers
        with ablate_model(plain, [f"hidden.{last}.0", "hidden.1.3"]):
            H = plain.transform(TEXTS).pool("mean")
        assert (H[:, [16 * last, 16 + 3]] == 0).all() and (H[:, 16 * last + 1] != 0).all()


@pytest.mark.slow
def test_a_config_that_does_not_know_of_the_change(tiny):
    for name in ("bert", "gpt2"):
        original, tokenizer = load(name, tiny(FAMILIES[name].tokenizer))
        for read_before in (False, True):
            model = copy.deepcopy(original)
            extractor = ActivationExtractor(model, tokenizer=tokenizer)
            plan = extractor.transform(TEXTS)
            if read_before:
                plan.pool("mean")
            cut(model, name)
            with pytest.raises(ValueError, match=r"3 layers when .* has 2 now.*again"):
                plan.pool("mean")
            model.config.num_hidden_layers = 3
            message = r"states 3 layers, but .* of 2, .*config\.num_hidden_layers = 2"
            for component in ("hidden", "mlp"):
                with pytest.raises(ValueError, match=message):
                    extractor.set_params(component=component).transform(TEXTS)
            with pytest.raises(ValueError, match=message):
                ablate_model(extractor, ["hidden.1.0"]).__enter__()


def test_widths_of_modules_are_found_again(tiny):
    original, tokenizer = load("gpt2", tiny("gpt2"))
    model = copy.deepcopy(original)
    extractor = ActivationExtractor(model, tokenizer=tokenizer, component="module:h.0.mlp.c_fc")
    assert extractor.transform(TEXTS).pool("mean").shape == (3, 24)
    mlp = model.h[0].mlp
    mlp.c_fc, mlp.c_proj = type(mlp.c_fc)(10, 16), type(mlp.c_proj)(16, 10)
    assert extractor.transform(TEXTS).pool("mean").shape == (3, 10)
    assert len(extractor.get_feature_names_out()) == 10


def test_what_was_found_under_a_hook_is_found_again(tiny):
    """Under this hook all states are equal, so any list of modules seems to be the layers."""
    original, tokenizer = load("llama", tiny("llama"))
    model = copy.deepcopy(original)
    model.others = torch.nn.ModuleList(torch.nn.Identity() for _ in model.layers)
    extractor = ActivationExtractor(model, tokenizer=tokenizer)
    hooks = [model.embed_tokens, *model.layers, model.norm]
    handles = [m.register_forward_hook(lambda _m, _a, output: output * 0) for m in hooks]
    assert not extractor.transform(TEXTS).pool("mean").any()
    for handle in handles:
        handle.remove()
    expected = own_states(model, tokenizer)
    np.testing.assert_allclose(extractor.transform(TEXTS).pool("mean"), expected, atol=2e-5)


class Lazy(torch.nn.Module):
    """Makes a table in its first pass, which a user may then edit."""

    def __init__(self, inner, kind):
        super().__init__()
        self.inner, self.kind, self.tables = inner, kind, {}
        self.table = None

    def forward(self, state):
        state = self.inner(state)
        if self.kind == "buffer" and self.table is None:
            del self.table
            self.register_buffer("table", torch.ones(state.shape[-1]), persistent=False)
        if self.kind == "tensor" and self.table is None:
            self.table = torch.ones(state.shape[-1])
        if self.kind == "number" and self.table is None:
            self.table = 1.0
        if self.kind == "dict":
            self.tables.setdefault("table", torch.ones(state.shape[-1]))
        self.last = state  # a result, which every pass overwrites
        return state * (self.tables["table"] if self.kind == "dict" else self.table)


@pytest.mark.slow
def test_a_table_that_the_first_pass_makes_is_part_of_the_model(tiny, tmp_path):
    original, tokenizer = load("bert", tiny("bert"))
    for kind in ("buffer", "tensor", "number", "dict"):
        model = copy.deepcopy(original)
        output = model.encoder.layer[0].output
        lazy = output.dense = Lazy(output.dense, kind)
        cached = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path / kind)
        before = cached.transform(TEXTS).pool("mean")
        for change in ("replaced", "in place") if kind != "number" else ("replaced",):
            held = lazy.tables["table"] if kind == "dict" else lazy.table
            if change == "in place":
                held.mul_(0.5)
            elif kind == "dict":
                lazy.tables["table"] = held * 3
            else:
                lazy.table = held * 3
            expected = own_states(model, tokenizer)
            assert np.abs(expected - before).max() > 0.1
            H = cached.transform(TEXTS).pool("mean")
            np.testing.assert_allclose(H, expected, atol=2e-5, err_msg=f"{kind} {change}")
        folders = len(list((tmp_path / kind).glob("*/*.safetensors")))
        np.testing.assert_array_equal(cached.transform(TEXTS).pool("mean"), H)
        assert len(list((tmp_path / kind).glob("*/*.safetensors"))) == folders > 0
