# SPDX-License-Identifier: BSD-3-Clause
"""A fingerprint changes with whatever changes the states, and with nothing else."""

import copy
import functools
import os
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, TorchModel
from sklearn_neurox.extraction._model._checksum import checksum, on_device
from sklearn_neurox.extraction._model._fingerprint import _of_live, _of_live_tokenizer
from tests.extraction.families import FAMILIES, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "A light rain", "She saw it"]


@pytest.fixture
def llama(tiny):
    model, tokenizer = load("llama", tiny("llama"))
    return copy.deepcopy(model), tokenizer


def read(model, tokenizer, **params):
    return ActivationExtractor(model, tokenizer=tokenizer, **params).transform(TEXTS).pool("mean")


# What changes the states


def scale_weight(m):
    with torch.no_grad():
        m.layers[1].mlp.up_proj.weight.mul_(1.01)


def scale_through_data(m):
    m.layers[1].mlp.up_proj.weight.data.mul_(1.02)


def scale_through_numpy(m):
    m.layers[1].mlp.up_proj.weight.detach().numpy()[...] *= 1.03


def negate_norm(m):
    m.norm.weight.data.neg_()


def swap_rows(m):
    weight = m.embed_tokens.weight.data
    weight.copy_(weight.flip(0).clone())


def swap_activation(m):
    m.layers[0].mlp.act_fn = torch.nn.ReLU()


def activation_function(m):
    m.layers[0].mlp.act_fn = torch.nn.ReLU()
    del m.layers[0].mlp._modules["act_fn"]
    m.layers[0].mlp.act_fn = torch.tanh


def scale_rotary(m):
    m.rotary_emb.inv_freq.mul_(3)


def replace_rotary(m):
    m.rotary_emb.inv_freq = m.rotary_emb.inv_freq * 2


def attention_scaling(m):
    m.rotary_emb.attention_scaling = 1.5


def epsilon(m):
    m.norm.variance_epsilon = 0.5


def scale_attention(m):
    m.layers[0].self_attn.scaling = 3.0


def config_at_run_time(m):
    m.config.num_hidden_layers = 3
    m.layers[0].self_attn.config = copy.deepcopy(m.config)
    m.layers[0].self_attn.config._attn_implementation = "tripled"
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    def tripled(module, query, key, value, mask, scaling, **_):
        groups = query.shape[1] // value.shape[1]
        return 3 * value.repeat_interleave(groups, 1).transpose(1, 2), None

    ALL_ATTENTION_FUNCTIONS.register("tripled", tripled)


def forward_of_a_lambda(m):
    inner = m.layers[0].mlp
    inner.forward = lambda state: 0 * state


def forward_with_a_closure(m, factor=2.0):
    inner = m.layers[0].mlp
    original = inner.forward
    inner.forward = lambda state: factor * original(state)


def forward_with_another_closure(m):
    forward_with_a_closure(m, factor=3.0)


def forward_of_a_partial(m):
    inner = m.layers[0].mlp

    def forward(state, factor):
        return state * factor

    inner.forward = functools.partial(forward, factor=4.0)


def forward_with_a_tensor(m):
    inner, shift = m.layers[0].mlp, torch.linspace(0, 1, 16)
    inner.forward = types.MethodType(lambda self, state: state + shift, inner)


def class_of_an_instance(m):
    class Doubled(type(m.layers[0].mlp)):
        def forward(self, state):
            return 2 * super().forward(state)

    m.layers[0].mlp.__class__ = Doubled


def attribute_of_a_class(m):
    class_of_an_instance(m)
    kind = type(m.layers[0].mlp)
    kind.factor = 5.0
    kind.forward = lambda self, state: self.factor * state


def wrapped_layer(m):
    m.layers[1].mlp = torch.nn.Sequential(m.layers[1].mlp, torch.nn.Tanh())


def module_in_a_list(m):
    adapter = torch.nn.Linear(16, 16)
    torch.nn.init.constant_(adapter.weight, 0.1)
    m.layers[0].mlp.hidden_adapters = [adapter]
    inner = m.layers[0].mlp
    original = inner.forward
    inner.forward = lambda state: inner.hidden_adapters[0](original(state))


def object_with_settings(m):
    settings = types.SimpleNamespace(factor=2.5)
    inner = m.layers[0].mlp
    inner.settings = settings
    inner.forward = types.MethodType(lambda self, state: state * self.settings.factor, inner)


def patched_function(m):
    from transformers.models.llama import modeling_llama

    original = modeling_llama.rotate_half
    modeling_llama.rotate_half = lambda x: 0 * x
    return lambda: setattr(modeling_llama, "rotate_half", original)


def patched_class(m):
    kind = type(m.norm)
    original = kind.forward
    kind.forward = lambda self, state: state * 2
    return lambda: setattr(kind, "forward", original)


def to_bfloat16(m):
    m.to(torch.bfloat16)


CHANGES = [
    scale_weight, scale_through_data, scale_through_numpy, negate_norm, swap_rows,
    swap_activation, activation_function, scale_rotary, replace_rotary, attention_scaling, epsilon,
    scale_attention, config_at_run_time, forward_of_a_lambda, forward_with_a_closure,
    forward_with_another_closure, forward_of_a_partial, forward_with_a_tensor,
    class_of_an_instance, attribute_of_a_class, wrapped_layer, module_in_a_list,
    object_with_settings, patched_function, patched_class, to_bfloat16,
]  # fmt: skip


@pytest.mark.slow
def test_a_cache_notices_whatever_changes_a_model(tiny, tmp_path):
    original, tokenizer = load("llama", tiny("llama"))
    seen = {"nothing": _of_live(original)}
    before = read(original, tokenizer, cache=tmp_path)
    for change in CHANGES:
        model = copy.deepcopy(original)
        undo = change(model) or (lambda: None)
        try:
            expected = read(model, tokenizer)
            name = change.__name__
            assert np.abs(expected - before).max() > 1e-5, name
            np.testing.assert_array_equal(
                read(model, tokenizer, cache=tmp_path), expected, err_msg=name
            )
            seen[name] = _of_live(model)
        finally:
            undo()
    assert len(set(seen.values())) == len(seen), seen
    assert _of_live(copy.deepcopy(original)) == seen["nothing"]


def test_settings_changed_again_after_a_change(llama):
    """What a replaced forward refers to counts as it is at the moment."""
    model, _ = llama
    object_with_settings(model)
    module_in_a_list(model)
    seen = [_of_live(model)]
    model.layers[0].mlp.settings.factor = 7.0
    seen.append(_of_live(model))
    model.layers[0].mlp.hidden_adapters[0].bias.data[3] += 1
    seen.append(_of_live(model))
    assert len(set(seen)) == 3


class Renewing(torch.nn.Module):
    """Replaces its setting by an equal one in every pass, and keeps results."""

    def __init__(self, inner, held, renew):
        super().__init__()
        self.inner, self.held, self.renew = inner, held, renew

    def forward(self, state):
        self.held = self.renew(self.held)
        factor = self.held["a"] if isinstance(self.held, dict) else self.held
        factor = factor[0] if isinstance(factor, list) else factor
        self.sizes = (len(state),), state.shape[1]
        self.last = self.inner(state) * factor
        return self.last


@pytest.mark.slow
def test_a_setting_that_every_pass_renews_counts(tiny, tmp_path):
    for name, (make, renew) in {
        "tensor": (torch.tensor, lambda held: held * 1),
        "number": (float, lambda held: held * 1.0),
        "list": (lambda c: [c], lambda held: [one * 1 for one in held]),
        "dict": (lambda c: {"a": c}, lambda held: dict(held)),
    }.items():
        model, tokenizer = load("llama", tiny("llama"))
        model = copy.deepcopy(model)
        for c in (2.5, 3.5):
            mlp = model.layers[0].mlp
            if c == 2.5:
                model.layers[0].mlp = Renewing(mlp, make(c), renew)
            mlp = model.layers[0].mlp
            mlp.held, mlp.renew = make(c), renew
            expected = read(model, tokenizer)
            for _ in range(2):
                H = read(model, tokenizer, cache=tmp_path / name)
                np.testing.assert_array_equal(H, expected, err_msg=name)


@pytest.mark.slow
def test_functions_replaced_for_the_whole_process_count(tiny, tmp_path, monkeypatch):
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    plain, linear = ALL_ATTENTION_FUNCTIONS["sdpa"], torch.nn.functional.linear
    product = torch.nn.functional.scaled_dot_product_attention

    def scaled(factor):
        def attention(*args, **kwargs):
            output, weights = plain(*args, **kwargs)
            return factor * output, weights

        return attention

    def registered(name, factor):
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, name, scaled(factor))

    def patched(name, function):
        monkeypatch.setattr(torch.nn.functional, name, function)

    folder = tiny("llama")
    live, tokenizer = load("llama", folder)
    own = copy.deepcopy(live)
    registered("mine", 1.0)
    own.set_attn_implementation("mine")
    changes = {
        "nothing": lambda: None,
        "attention": lambda: registered("sdpa", 2.0),
        "attention with other constants": lambda: registered("sdpa", 3.0),
        "attention of a model": lambda: registered("mine", 2.0),
        "function of torch": lambda: patched("linear", lambda *args: 2 * linear(*args)),
        "product of torch": lambda: patched(
            "scaled_dot_product_attention", lambda *args, **kwargs: product(*args, **kwargs) / 2
        ),
    }
    seen = {}
    for name, change in changes.items():
        for model in (live, own, folder):
            change()
            expected = read(model, tokenizer)
            for _ in range(2):
                H = read(model, tokenizer, cache=tmp_path)
                np.testing.assert_array_equal(H, expected, err_msg=name)
            seen[name, id(model)] = expected
        if name != "nothing":
            monkeypatch.undo()
            registered("mine", 1.0)
        np.testing.assert_array_equal(
            read(live, tokenizer, cache=tmp_path), seen["nothing", id(live)]
        )
    for name, model in (("attention of a model", own), ("attention", live), ("attention", folder)):
        assert np.abs(seen[name, id(model)] - seen["nothing", id(model)]).max() > 1e-3, name


@pytest.mark.slow
def test_a_mode_of_torch_keeps_a_cache_out_of_use(tiny, tmp_path):
    from torch.overrides import TorchFunctionMode

    class Doubled(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            output = function(*args, **(kwargs or {}))
            return 2 * output if function is torch.nn.functional.linear else output

    folder = tiny("llama")
    _, tokenizer = load("llama", folder)
    before = read(folder, tokenizer, cache=tmp_path)
    with Doubled():
        expected = read(folder, tokenizer)
        with pytest.warns(UserWarning, match="A mode of torch .* neither read nor written"):
            H = read(folder, tokenizer, cache=tmp_path)
        np.testing.assert_array_equal(H, expected)
    assert np.abs(expected - before).max() > 1e-3
    with torch.device("cpu"):  # a mode of torch's own
        np.testing.assert_array_equal(read(folder, tokenizer, cache=tmp_path), before)


# What does not


def test_what_leaves_the_states_alone_leaves_the_fingerprint(llama, tmp_path):
    model, tokenizer = llama
    first = _of_live(model)
    model.train()
    assert _of_live(model) == first
    model.eval().requires_grad_(False)
    model.layers[0].gradient_checkpointing = True
    model.name_or_path = "elsewhere"
    read(model, tokenizer)
    model(**tokenizer(TEXTS[0], return_tensors="pt"), output_hidden_states=True)
    model.register_forward_hook(lambda *_: None).remove()
    assert _of_live(model) == first
    assert _of_live(copy.deepcopy(model)) == first


@pytest.mark.parametrize(
    "name", ["bert", "gpt2", "llama", "gemma3", "modernbert", "xlm-roberta", "t5", "marian"]
)
def test_running_a_model_does_not_change_it(name, tiny):
    model, tokenizer = load(name, tiny(FAMILIES[name].tokenizer))
    fresh = copy.deepcopy(model)
    first = _of_live(fresh)
    read(fresh, tokenizer)
    assert _of_live(fresh) == first == _of_live(copy.deepcopy(fresh))


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_frequencies_that_follow_the_length(kind, tiny):
    from transformers import LlamaModel

    original, tokenizer = load("llama", tiny("llama"))
    rope = {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0}
    if kind == "longrope":
        rope |= {"short_factor": [1.0, 1.0], "long_factor": [2.0, 2.0]}
        rope |= {"original_max_position_embeddings": 8}
    config = copy.deepcopy(original.config)
    config.max_position_embeddings, config.rope_parameters = 8, rope
    with torch.random.fork_rng():
        model = LlamaModel(config).eval()
    first = _of_live(model)
    for text in ("dog", "the old dog saw the man " * 6):
        model(**tokenizer(text, return_tensors="pt"))
        assert _of_live(model) == first


class Remembering(torch.nn.Module):
    """Keeps results of its last pass, as many research models do."""

    def __init__(self):
        super().__init__()
        self.characters = torch.nn.Embedding(300, 6)
        self.layer = torch.nn.Linear(6, 6)
        self.seen, self.n_passes, self.last = {}, 0, None
        self.register_buffer("total", torch.zeros(()), persistent=False)

    def forward(self, ids):
        state = self.layer(self.characters(ids))
        self.last = state
        self.n_passes += 1
        self.seen["shape"] = state.shape
        self.total += 1
        return state


def encode(text):
    return [ord(c) % 300 for c in text], [(i, i + 1) for i in range(len(text))]


def test_what_a_pass_leaves_behind_is_no_part_of_the_model(tmp_path, count_forwards):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = Remembering()
    second = copy.deepcopy(first)
    for module in (first, second):
        model = TorchModel(module, encode, fingerprint="characters")
        extractor = ActivationExtractor(model, component="module:layer", cache=tmp_path)
        H = extractor.transform(TEXTS).pool("mean")
        n_read = sum(count_forwards)
        np.testing.assert_array_equal(extractor.transform(TEXTS).pool("mean"), H)
        assert sum(count_forwards) == n_read == len(TEXTS)
    with torch.no_grad():
        second.layer.bias.add_(1)
    assert np.abs(extractor.transform(TEXTS).pool("mean") - H).min() > 0.5


@pytest.mark.slow
def test_a_fingerprint_is_the_same_in_every_process(tiny, tmp_path):
    script = (
        "import sys\n"
        "from transformers import AutoModel\n"
        "from sklearn_neurox.extraction._model._fingerprint import _of_live\n"
        "model = AutoModel.from_pretrained(sys.argv[1])\n"
        "forward = model.layers[0].mlp.forward\n"
        "factor = 2.5\n"
        "model.layers[0].mlp.forward = lambda state: factor * forward(state)\n"
        "print(_of_live(model))\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script, tiny("llama")],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.split()[-1]
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1


# Named by the user


@pytest.mark.slow
def test_a_fingerprint_of_the_users_own(llama, tmp_path, count_forwards, monkeypatch):
    model, tokenizer = llama
    H = read(model, tokenizer, cache=tmp_path, fingerprint="mine 1")
    n_read = sum(count_forwards)
    monkeypatch.setattr("sklearn_neurox.extraction._model._fingerprint._of_live", None)
    np.testing.assert_array_equal(read(model, tokenizer, cache=tmp_path, fingerprint="mine 1"), H)
    assert sum(count_forwards) == n_read
    scale_weight(model)
    other = read(model, tokenizer, cache=tmp_path, fingerprint="mine 2")
    assert np.abs(other - H).max() > 0 and sum(count_forwards) == 2 * n_read
    assert len(ActivationCache(tmp_path).info()) == 2


def test_a_fingerprint_is_for_loaded_models(tiny, llama):
    with pytest.raises(ValueError, match=r"'fingerprint' .* its files.*fingerprint=None"):
        ActivationExtractor(tiny("llama"), fingerprint="mine").fit(TEXTS)
    model, tokenizer = llama
    with pytest.raises(ValueError, match="'fingerprint' parameter .* non-empty"):
        ActivationExtractor(model, tokenizer=tokenizer, fingerprint="").fit(TEXTS)


def test_a_fingerprint_names_a_torch_model_too(tmp_path):
    model = TorchModel(Remembering(), encode)
    extractor = ActivationExtractor(model, component="module:layer", cache=tmp_path)
    with pytest.raises(ValueError, match="fingerprint"):
        extractor.fit(TEXTS)
    extractor.set_params(fingerprint="mine").fill_cache(TEXTS)
    assert len(ActivationCache(tmp_path).info()) == 1


# The checksum


@pytest.mark.slow
def test_no_change_of_a_tensor_cancels():
    rng = np.random.default_rng(0)
    for size in (1, 3, 17, 1000, 2 * 65536 + 3):
        data = torch.from_numpy(rng.standard_normal(size).astype(np.float32))
        seen = {checksum(data)}
        changed = [-data, data.flip(0), data.roll(1), data + 1e-7, data * 2, data.abs()]
        for place in rng.integers(0, size, 10):
            other = data.clone()
            other[place] = -other[place]
            changed.append(other)
            pair = other.clone()
            pair[(place + 2) % size] *= -1
            changed.append(pair)
        for other in changed:
            if not torch.equal(other, data):
                seen.add(checksum(other))
        distinct = {tuple(other.tolist()) for other in [data, *changed]}
        assert len(seen) == len(distinct)


def test_a_checksum_is_the_same_on_every_device(monkeypatch):
    monkeypatch.setattr("sklearn_neurox.extraction._model._checksum._STEP", 2)
    rng = np.random.default_rng(0)
    for n_bytes in (0, 8, 8 * 65536, 8 * (5 * 65536 + 5)):
        data = torch.from_numpy(rng.integers(0, 256, n_bytes + 3, dtype=np.uint8))
        for start in (0, 3):
            part = data[start : start + n_bytes]
            assert on_device(part).tobytes() == checksum(part)


# Tokenizers


@pytest.mark.slow
def test_a_tokenizer_counts_as_it_is_now(tiny, tmp_path):
    from tokenizers import normalizers
    from transformers import AutoTokenizer

    model, _ = load("bert", tiny("bert"))
    fresh = lambda: AutoTokenizer.from_pretrained(tiny("bert"))  # noqa: E731

    def lowercased(tokenizer):
        tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()

    def without_types(tokenizer):
        tokenizer.model_input_names = ["input_ids", "attention_mask"]

    def shorter(tokenizer):
        tokenizer.model_max_length = 8

    def another_token(tokenizer):
        tokenizer.add_tokens(["barked"])

    def with_another_method(tokenizer, letter="a"):
        inner = tokenizer._encode_plus

        def encode(text, *args, **kwargs):
            replaced = [one.replace("o", letter) for one in text]
            return inner(replaced, *args, **kwargs)

        tokenizer._encode_plus = encode

    def with_another_letter(tokenizer):
        with_another_method(tokenizer, "u")

    changes = (lowercased, without_types, shorter, another_token)
    changes += (with_another_method, with_another_letter)
    first = _of_live_tokenizer(fresh())
    seen = {first}
    for change in changes:
        tokenizer = fresh()
        read(model, tokenizer, cache=tmp_path)
        change(tokenizer)
        seen.add(_of_live_tokenizer(tokenizer))
        if change is not another_token:  # which the model cannot read
            expected = read(model, tokenizer)
            np.testing.assert_array_equal(read(model, tokenizer, cache=tmp_path), expected)
    assert len(seen) == 1 + len(changes)
    used = fresh()
    used(TEXTS, padding=True, truncation=True, max_length=3, return_tensors="pt")
    used.padding_side = "left"
    assert _of_live_tokenizer(used) == first
