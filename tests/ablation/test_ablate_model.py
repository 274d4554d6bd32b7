# SPDX-License-Identifier: BSD-3-Clause
"""Ablation in a live model: compared with manual edits, in each family, and fully undone."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from sklearn_neurox.ablation import NeuronAblator, ablate_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import (
    ActivationExtractor,
    SubwordAggregator,
    TorchModel,
    clear_loaded_models,
)
from sklearn_neurox.extraction._editing._neurons import find_neurons
from tests.extraction.families import FAMILIES, OTHERS, TWO_STACKS, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "She saw the house", "A light rain"]
STACKS = [
    (name, stack)
    for name in [*FAMILIES, *OTHERS]
    for stack in (("encoder", "decoder") if name in TWO_STACKS else (None,))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return {
        family: make_tiny_model(
            family, path=tmp_path_factory.mktemp(family), hidden_size=16, n_heads=2
        )
        for family in ("bert", "gpt2")
    }


@pytest.fixture
def bert(folder):
    return AutoModel.from_pretrained(folder["bert"])


@pytest.fixture
def gpt2(folder):
    return AutoModel.from_pretrained(folder["gpt2"])


def ids_of(folder, family="bert"):
    return torch.tensor([AutoTokenizer.from_pretrained(folder[family])(TEXTS[0])["input_ids"]])


def run(model, ids, **options):
    inputs = {"input_ids": ids}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True, **options)


def states_of(model, ids, stack=None):
    output = run(model, ids)
    return getattr(output, f"{stack}_hidden_states") if stack else output.hidden_states


def hooks_of(model):
    return [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        if hook.__module__.startswith("sklearn_neurox")
    ]


def features(model, folder, *, family="bert", cache=None, **options):
    extractor = ActivationExtractor(
        model,
        tokenizer=AutoTokenizer.from_pretrained(folder[family]),
        cache=cache,
        **options,
    )
    H = SubwordAggregator("mean").fit_transform(extractor.transform(TEXTS))
    return pd.DataFrame(H, columns=extractor.get_feature_names_out())


# Comparison with manual edits


@pytest.mark.slow
def test_zero_of_gpt2_is_the_blocks_run_by_hand(gpt2, folder):
    ids = ids_of(folder, "gpt2")

    def by_hand(layer, unit):
        places = torch.arange(ids.shape[1])
        state, states = gpt2.wte(ids) + gpt2.wpe(places), []
        for k, block in enumerate([*gpt2.h, gpt2.ln_f]):
            if layer == k and k < len(gpt2.h):
                state = state.clone()
                state[..., unit] = 0
            states.append(state)
            state = block(state)
        if layer == len(gpt2.h):
            state[..., unit] = 0
        return [*states[:-1], state]

    for layer in range(3):
        with ablate_model(gpt2, [f"hidden.{layer}.5"]):
            ablated = states_of(gpt2, ids)
        with torch.no_grad():
            expected = by_hand(layer, 5)
        for ours, theirs in zip(ablated, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        assert (ablated[layer][..., 5] == 0).all()


@pytest.mark.slow
def test_zero_of_bert_is_the_blocks_run_by_hand(bert, folder):
    ids = ids_of(folder)
    with torch.no_grad():
        state = bert.embeddings(ids)
        first = bert.encoder.layer[0](state)
        first = first[0] if isinstance(first, tuple) else first
        first[..., [2, 9]] = 0
        second = bert.encoder.layer[1](first)
        second = second[0] if isinstance(second, tuple) else second
        pooled = bert.pooler(second)
    with ablate_model(bert, ["hidden.1.9", "hidden.1.2"]):
        output = run(bert, ids)
    torch.testing.assert_close(output.last_hidden_state, second, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(output.pooler_output, pooled, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "path", "column"),
    [
        ("mlp.2.7", "encoder.layer.1.output.dense", 7),
        ("attention.2.h1.3", "encoder.layer.1.attention.output.dense", 11),
    ],
)
def test_what_enters_a_projection_is_its_weight_without_a_column(bert, folder, name, path, column):
    ids = ids_of(folder)
    with ablate_model(bert, [name]):
        ablated = run(bert, ids).last_hidden_state
    with torch.no_grad():
        bert.get_submodule(path).weight[:, column] = 0
    torch.testing.assert_close(ablated, run(bert, ids).last_hidden_state, atol=1e-6, rtol=1e-6)


def test_the_last_layer_is_changed_behind_the_norm_and_before_the_head(folder):
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(folder["gpt2"])
    ids = ids_of(folder, "gpt2")
    with ablate_model(model, ["hidden.2.3"], fill=2.0):
        logits = run(model, ids).logits
    state = run(model.transformer, ids).last_hidden_state.clone()
    state[..., 3] = 2
    torch.testing.assert_close(logits, state @ model.lm_head.weight.T, atol=1e-5, rtol=1e-5)


# In each model family


@pytest.mark.slow
@pytest.mark.parametrize(("family", "stack"), STACKS)
def test_each_hidden_layer_of_each_family(family, stack, tmp_path_factory):
    model, tokenizer = load(family, _tokenizer_folder(family, tmp_path_factory))
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    prefix = f"{stack}." if stack else ""
    plain = states_of(model, ids, stack)
    for layer in range(len(plain)):
        name = f"{prefix}hidden.{layer}.3"
        with ablate_model(model, [name], fill=5.0):
            changed = states_of(model, ids, stack)
            H = _read(model, tokenizer, stack)
        assert np.allclose(H[name], 5.0)
        # Some models record the first state before it reaches the first block.
        if layer or family not in ("deberta-v2", "bloom"):
            assert (changed[layer][..., 3] == 5).all()
        for k in range(len(plain)):
            same = torch.equal(plain[k], changed[k])
            assert same == (k < layer) or (k == layer == 0), (layer, k)
    assert all(map(torch.equal, plain, states_of(model, ids, stack)))
    assert hooks_of(model) == []


def _tokenizer_folder(family, factory, made={}):  # noqa: B006
    name = {**FAMILIES, **OTHERS}[family].tokenizer
    if name not in made:
        made[name] = make_tiny_model(name, path=factory.mktemp(name), hidden_size=16, n_heads=2)
    return made[name]


def _read(model, tokenizer, stack):
    extractor = ActivationExtractor(model, tokenizer=tokenizer, stack=stack)
    activations = extractor.transform(TEXTS)
    names = extractor.get_feature_names_out()
    return pd.DataFrame(SubwordAggregator("mean").fit_transform(activations), columns=names)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "opt", "t5", "bart", "albert-groups"])
def test_mlp_and_attention_act_in_their_own_layer_only(family, tmp_path_factory):
    model, tokenizer = load(family, _tokenizer_folder(family, tmp_path_factory))
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    stack = "decoder" if family in TWO_STACKS else None
    prefix = f"{stack}." if stack else ""
    plain = states_of(model, ids, stack)
    for component in ("mlp.2.1", "attention.2.h1.1"):
        with ablate_model(model, [prefix + component], fill=5.0):
            changed = states_of(model, ids, stack)
        same = [torch.equal(*pair) for pair in zip(plain, changed, strict=True)]
        assert same == [True, True] + [False] * (len(plain) - 2)


@pytest.mark.slow
def test_an_encoder_is_changed_for_its_decoder(tmp_path_factory):
    model, tokenizer = load("marian", _tokenizer_folder("marian", tmp_path_factory))
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    plain = run(model, ids)
    with ablate_model(model, ["encoder.hidden.3.2"]):
        changed = run(model, ids)
    assert (changed.encoder_last_hidden_state[..., 2] == 0).all()
    assert torch.equal(changed.decoder_hidden_states[0], plain.decoder_hidden_states[0])
    assert not torch.equal(changed.last_hidden_state, plain.last_hidden_state)


@pytest.mark.slow
def test_canine_whose_middle_layers_are_not_of_characters(tmp_path_factory):
    path = make_tiny_model("canine", path=tmp_path_factory.mktemp("canine"), hidden_size=16)
    with ablate_model(path, ["hidden.1.2", "hidden.6.3"]):
        H = _read(path, None, None)
    assert (H[["hidden.1.2", "hidden.6.3"]] == 0).all(axis=None)
    with pytest.raises(ValueError, match=r"'hidden.2.1', but .* in the layers \[0, 1, 5, 6\]"):
        ablate_model(path, ["hidden.2.1"])


# Heads and patterns


@pytest.mark.slow
def test_heads_and_patterns_stand_for_their_neurons(bert, folder, tmp_path_factory):
    llama, _ = load("llama", _tokenizer_folder("llama", tmp_path_factory))
    t5, _ = load("t5", _tokenizer_folder("t5", tmp_path_factory))
    head = [f"attention.1.h1.{unit}" for unit in range(8)]
    for model, given, names in (
        (bert, "attention.1.h1", head),
        (bert, ["left__attention.1.h1"], head),
        (bert, ["attention.[1]*.h1"], head),
        (bert, ["hidden.1.3", "attention.1.h1"], ["hidden.1.3", *head]),
        (bert, ["mlp.2.*"], [f"mlp.2.{unit}" for unit in range(32)]),
        (bert, ["hidden.*.3"], [f"hidden.{layer}.3" for layer in range(3)]),
        (bert, ["*den.1.1?"], [f"hidden.1.{unit}" for unit in range(10, 16)]),
        (bert, ["module:*.output.dense.15"], None),
        # Its two key-value heads serve four query heads.
        (llama, ["attention.2.h3"], [f"attention.2.h3.{unit}" for unit in range(4)]),
        (t5, ["decoder.attention.1.h0"], [f"decoder.attention.1.h0.{u}" for u in range(6)]),
        (t5, ["*.hidden.0.1"], ["encoder.hidden.0.1", "decoder.hidden.0.1"]),
    ):
        found = find_neurons(ActivationExtractor(model)._spec(), np.atleast_1d(given), caller="f")
        if names is not None:
            assert sorted(found.names) == sorted(names), given
        else:
            assert all(name.endswith(".output.dense.15") for name in found.names)
            assert len(found) == 4


def test_values_by_name_fit_a_pattern(bert, folder):
    means = pd.Series(np.arange(16.0), index=[f"hidden.1.{unit}" for unit in range(16)])
    with ablate_model(bert, "hidden.1.*", fill="mean", values=means):
        states = states_of(bert, ids_of(folder))
    np.testing.assert_array_equal(states[1][0, 0], means)


# Fills


def test_ablating_nothing_changes_nothing(bert, folder):
    ids = ids_of(folder)
    plain = run(bert, ids)
    with ablate_model(bert, []) as model:
        assert model is bert
        assert torch.equal(run(bert, ids).last_hidden_state, plain.last_hidden_state)
    for options in ({"fill": "scale", "values": 1.0}, {"fill": "translate", "values": 0.0}):
        with ablate_model(bert, ["hidden.1.3"], **options):
            assert torch.equal(run(bert, ids).last_hidden_state, plain.last_hidden_state)


@pytest.mark.slow
def test_fills_of_extracted_columns_are_those_of_the_matrix(bert, folder):
    H = features(bert, folder, layers=1)
    names = ["hidden.1.4", "hidden.1.0"]
    way = pd.Series([0.5, -2.0], index=names)
    step = np.array([8.0, 0.1])
    expected = {
        "zero": NeuronAblator(names, fill="zero").fit(H).transform(H),
        "mean": NeuronAblator(names, fill="mean").fit(H).transform(H),
        3.5: NeuronAblator(names, fill=3.5).fit(H).transform(H),
        "scale": H.assign(**{name: H[name] * way[name] for name in names}),
        "translate": H.assign(**{n: H[n] + s * way[n] for n, s in zip(names, step, strict=True)}),
    }
    values = {"mean": H.mean(), "scale": way, "translate": way}
    for fill, matrix in expected.items():
        with ablate_model(bert, names, fill=fill, values=values.get(fill), step=step):
            ablated = features(bert, folder, layers=1)
        np.testing.assert_allclose(ablated, matrix, atol=2e-6, err_msg=str(fill))


@pytest.mark.slow
def test_values_in_the_order_of_the_neurons_are_those_by_name(bert, folder):
    names = ["hidden.1.4", "hidden.1.0", "mlp.1.2"]
    by_name = pd.Series(np.arange(4.0), index=["hidden.1.0", "mlp.1.2", "other", "hidden.1.4"])
    ids, found = ids_of(folder), []
    for values in (by_name, [3.0, 0.0, 1.0], np.array([3, 0, 1]), pd.Series([3.0, 0.0, 1.0])):
        with ablate_model(bert, names, fill="mean", values=values):
            found.append(run(bert, ids).last_hidden_state)
    assert all(torch.equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays(bert, folder, dtype):
    bert.to(dtype)
    with ablate_model(bert, ["hidden.1.3", "mlp.2.1"], fill="mean", values=[0.5, 0.25]):
        output = run(bert, ids_of(folder))
    assert output.last_hidden_state.dtype == dtype
    assert (output.hidden_states[1][..., 3] == 0.5).all()


def test_a_value_that_half_precision_cannot_hold(bert, folder):
    bert.half()
    with ablate_model(bert, ["hidden.1.3"], fill=1e6), pytest.raises(OverflowError, match="hidden"):
        run(bert, ids_of(folder))
    assert hooks_of(bert) == []


def test_a_zeroed_infinity_is_zero(bert, folder):
    with ablate_model(bert, ["hidden.1.3"]):
        with torch.no_grad():
            bert.encoder.layer[0].output.LayerNorm.bias[3] = np.inf
        assert torch.isfinite(run(bert, ids_of(folder)).last_hidden_state).all()


# Other users of the model while a context is open


@pytest.mark.slow
def test_extraction_sees_what_follows_from_it(bert, folder):
    plain = features(bert, folder)
    with ablate_model(bert, ["hidden.1.3"]):
        ablated = features(bert, folder)
    before, after = plain.filter(like="hidden.0."), ablated.filter(like="hidden.0.")
    np.testing.assert_array_equal(before, after)
    assert (ablated["hidden.1.3"] == 0).all()
    others = [name for name in plain if name.startswith("hidden.1.") and name != "hidden.1.3"]
    np.testing.assert_array_equal(plain[others], ablated[others])
    moved = (plain.filter(like="hidden.2.") - ablated.filter(like="hidden.2.")).abs()
    assert (moved > 1e-6).all(axis=None)
    np.testing.assert_array_equal(features(bert, folder), plain)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_look_at_the_model_meanwhile_learns_nothing_wrong(folder, family):
    # If all states were zero, padding would seem harmless and any modules would pass for blocks.
    from transformers import AutoModelForCausalLM

    auto = AutoModelForMaskedLM if family == "bert" else AutoModelForCausalLM
    with torch.random.fork_rng():
        model = auto.from_config(AutoModel.from_pretrained(folder[family]).config).eval()
    with ablate_model(model, [f"hidden.0.{unit}" for unit in range(16)]):
        features(model.base_model, folder, family=family)
        features(model, folder, family=family)
    clean = features(model.base_model, folder, family=family)
    np.testing.assert_array_equal(features(model, folder, family=family), clean)
    assert clean.filter(like="hidden.0.").to_numpy().any()


@pytest.mark.slow
@pytest.mark.parametrize("is_warm", [False, True])
@pytest.mark.parametrize("kind", ["live", "path"])
def test_no_cache_is_read_or_written_meanwhile(bert, folder, tmp_path, is_warm, kind):
    model = bert if kind == "live" else folder["bert"]
    plain = features(model, folder)
    if is_warm:
        features(model, folder, cache=tmp_path)
    files = sorted(tmp_path.rglob("*"))
    with ablate_model(model, ["hidden.1.3"]):
        with pytest.warns(UserWarning, match="neither read nor written"):
            ablated = features(model, folder, cache=tmp_path)
        extractor = ActivationExtractor(
            model, tokenizer=AutoTokenizer.from_pretrained(folder["bert"]), cache=tmp_path
        )
        with pytest.raises(ValueError, match="hooks"):
            extractor.fill_cache(TEXTS)
    assert (ablated["hidden.1.3"] == 0).all()
    assert sorted(tmp_path.rglob("*")) == files
    np.testing.assert_array_equal(features(model, folder, cache=tmp_path), plain)


@pytest.mark.slow
def test_a_folder_stands_for_the_model_everyone_shares(folder):
    extractor = ActivationExtractor(folder["bert"], weights="random", random_state=3)
    with ablate_model(folder["bert"], ["hidden.1.3"]) as model:
        assert (features(folder["bert"], folder)["hidden.1.3"] == 0).all()
        assert hooks_of(model)
    assert (features(folder["bert"], folder)["hidden.1.3"] != 0).all()
    with ablate_model(extractor, ["hidden.1.3"]):
        H = extractor.transform(TEXTS).pool("mean")
        assert (H[:, 16 + 3] == 0).all()
        assert (features(folder["bert"], folder)["hidden.1.3"] != 0).all()


@pytest.mark.slow
def test_an_ablated_model_does_not_give_way_to_others(folder):
    clear_loaded_models()
    with ablate_model(folder["bert"], ["hidden.1.3"]):
        for seed in range(3):
            other = ActivationExtractor(folder["bert"], weights="random", random_state=seed)
            other.transform(TEXTS).pool("mean")
        assert (features(folder["bert"], folder)["hidden.1.3"] == 0).all()
    clear_loaded_models()


@pytest.mark.slow
def test_threads_share_the_ablation(folder, tmp_path_factory):
    model, tokenizer = load("albert", _tokenizer_folder("albert", tmp_path_factory))
    with ablate_model(model, ["hidden.2.3", "mlp.1.4"]):
        expected = _read(model, tokenizer, None)
        found = [None] * 4

        def read(i):
            found[i] = _read(model, tokenizer, None)

        threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert all(H.equals(expected) for H in found)
    assert (expected["hidden.2.3"] == 0).all()


def test_gradients_flow_through(bert, folder):
    with ablate_model(bert, ["hidden.1.3"], fill="scale", values=2.0):
        with torch.inference_mode():
            bert(input_ids=ids_of(folder))
        bert(input_ids=ids_of(folder)).last_hidden_state.sum().backward()
    assert bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


# Opening and closing


def test_the_inner_of_nested_contexts_has_the_last_word(bert, folder):
    ids = ids_of(folder)
    with ablate_model(bert, ["hidden.1.3"], fill=2.0):
        with ablate_model(bert, ["hidden.1.3"], fill="scale", values=10.0):
            with ablate_model(bert, ["hidden.1.3"], fill="translate", values=1.0):
                assert (states_of(bert, ids)[1][..., 3] == 21).all()
            assert (states_of(bert, ids)[1][..., 3] == 20).all()
        assert (states_of(bert, ids)[1][..., 3] == 2).all()
    assert hooks_of(bert) == []


def test_an_exception_inside_leaves_no_hook(bert, folder):
    ids = ids_of(folder)
    plain = run(bert, ids).last_hidden_state
    n_hooks = [len(module._forward_hooks) for module in bert.modules()]
    with pytest.raises(RuntimeError, match="inside"):
        with ablate_model(bert, ["hidden.0.1", "mlp.1.3", "hidden.2.4"]):
            raise RuntimeError("inside")
    assert hooks_of(bert) == []
    assert n_hooks == [len(module._forward_hooks) for module in bert.modules()]
    assert torch.equal(run(bert, ids).last_hidden_state, plain)


def test_weights_and_mode_are_not_touched(bert, folder):
    before = {name: value.clone() for name, value in bert.state_dict().items()}
    bert.train()
    with ablate_model(bert, ["hidden.1.3", "mlp.1.0"], fill=3.0):
        run(bert, ids_of(folder))
        assert bert.training
    assert bert.training
    assert all(torch.equal(before[name], value) for name, value in bert.state_dict().items())


def test_nothing_happens_before_entering(bert, folder):
    context = ablate_model(bert, ["hidden.1.3"])
    assert hooks_of(bert) == []
    with context:
        assert hooks_of(bert)
        bert(input_ids=ids_of(folder))
    assert hooks_of(bert) == []


def test_a_part_that_does_not_run_is_warned_about(bert, folder):
    bert.encoder.layer[1].forward = lambda state, *args, **kwargs: state
    with pytest.warns(UserWarning, match=r"not the modules that compute 'mlp.2'"):
        with ablate_model(bert, ["mlp.2.3"]):
            bert(input_ids=ids_of(folder))


# Modules


def test_modules_and_embeddings(bert, folder):
    names = ["module:encoder.layer.0.intermediate.5", "embedding.0.2"]
    component = ["embedding", "module:encoder.layer.0.intermediate"]
    with ablate_model(bert, names):
        H = features(bert, folder, component=component)
    assert (H[names] == 0).all(axis=None)
    assert (H != 0).mean(axis=None) > 0.9


def test_a_torch_model():
    module = torch.nn.Sequential(torch.nn.Embedding(128, 4), torch.nn.Linear(4, 3))

    def encode(text):
        return [ord(c) % 128 for c in text], [(i, i + 1) for i in range(len(text))]

    model = TorchModel(module, encode)
    extractor = ActivationExtractor(model, component="module:*")
    plain = extractor.transform(TEXTS).pool("mean")
    with ablate_model(model, ["module:0.1"]):
        H = extractor.transform(TEXTS).pool("mean")
    assert (H[:, 1] == 0).all()
    weight = module[1].weight.detach().numpy()
    np.testing.assert_allclose(H[:, 4:], plain[:, 4:] - plain[:, [1]] * weight[:, 1], atol=1e-6)
    with pytest.raises(ValueError, match="Name modules"):
        ablate_model(model, ["hidden.1.3"])


# Bad input


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["hidden.1.2", "x0", "x1"], r"'x0' \(2 in total\), which is not the name of a neuron. G"),
        ([3, 5], r"neuron 3 \(2 in total\), which is an index, not the name"),
        (3, "must be an array-like"),
        ([0.5, 0.25], "holds numbers, which do not say"),
        (["attention.1.h2"], "'attention.1.h2', but 'attention.1' has the heads 'h0' to 'h1'"),
        (["attention.3.h0"], r"the attention of .*, in the layers \[1, 2\], has the heads"),
        (["mlp.1.h0"], "only attention has heads"),
        (["mlp.3.*"], "'mlp.3.*', but no neuron of .* matches it; their names are like 'mlp.2.0'"),
        (["residual.*"], "there is no component 'residual'"),
        (["decoder.mlp.*"], "not an encoder-decoder"),
        (["hidden.1.*", "hidden.1.3"], "'hidden.1.3', more than once"),
        (["module:nothing.*"], "no module"),
        (np.array("hidden.1.2"), "a flat list"),
        ([["hidden.1.2"]], r"shape \(1, 1\)"),
        (["hidden.1.2", "a__hidden.1.2"], "'a__hidden.1.2', more than once"),
        (["hidden.9.2"], r"'hidden.9.2', but .* in the layers \[0, 1, 2\]"),
        (["mlp.0.2"], r"'mlp.0.2', but .* in the layers \[1, 2\]"),
        (["hidden.1.16", "hidden.1.99"], r"'hidden.1.16' \(2 in total\), but .* 'hidden.1.15'"),
        (["attention.1.h2.0"], "'attention.1.h1.7'"),
        (["attention.1.0"], "'attention.1.h0.0'"),
        (["hidden.1.h1.3"], "'hidden.1.0'"),
        (["encoder.hidden.1.3"], "'encoder.hidden.1.3', but .* not an encoder-decoder"),
        (["residual.1.3"], "there is no component 'residual'"),
        (["module:nothing.3"], "no module"),
    ],
)
def test_wrong_neurons(bert, names, message):
    with pytest.raises(ValueError, match=f"ablate_model.*{message}"):
        ablate_model(bert, names)


def test_a_prefix_is_skipped(bert, folder):
    with ablate_model(bert, ["left__hidden.1.3", "a__b__mlp.1.2"]):
        assert (states_of(bert, ids_of(folder))[1][..., 3] == 0).all()


def test_two_stacks_need_a_prefix(tmp_path_factory):
    model, _ = load("bart", _tokenizer_folder("bart", tmp_path_factory))
    with pytest.raises(ValueError, match=r"'hidden.1.3'.* two stacks"):
        ablate_model(model, ["encoder.hidden.1.2", "hidden.1.3"])
    with pytest.raises(ValueError, match=r"'decoder.hidden.3.0', but .*layers \[0, 1, 2\]"):
        ablate_model(model, ["encoder.hidden.3.0", "decoder.hidden.3.0"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "mean"}, "needs the mean"),
        ({"fill": "scale"}, "needs a factor"),
        ({"fill": "translate"}, "needs the difference"),
        ({"values": 3.0}, "fill='zero' needs no values"),
        ({"fill": "drop"}, "'fill' parameter of ablate_model must be"),
        ({"fill": np.nan}, "'fill' parameter of ablate_model must be"),
        ({"fill": True}, "'fill' parameter of ablate_model must be"),
        ({"fill": "mean", "values": False}, "'values' parameter of ablate_model must be"),
        ({"fill": "translate", "values": 1, "step": True}, "'step' parameter of ablate_model must"),
        ({"fill": "mean", "values": [1.0]}, r"each of the 2 neurons. Got shape \(1,\)"),
        ({"fill": "mean", "values": [1.0, np.nan]}, "nan for the neuron 'hidden.1.3'"),
        ({"fill": "mean", "values": pd.Series({"hidden.1.2": 1.0})}, "lacks the neuron 'hidden.1"),
        (
            {"fill": "mean", "values": pd.Series([1.0, 2.0], index=["hidden.1.2"] * 2)},
            "more than once",
        ),
        ({"fill": "translate", "values": 1.0, "step": [1, 2, 3]}, "'step' parameter"),
    ],
)
def test_wrong_fills(bert, options, message):
    with pytest.raises(ValueError, match=message):
        ablate_model(bert, ["hidden.1.2", "hidden.1.3"], **options)


def test_a_state_that_no_module_makes(tmp_path_factory):
    from transformers import SqueezeBertConfig, SqueezeBertModel

    # Its blocks see the units before the tokens.
    with torch.random.fork_rng():
        sizes = {"embedding_size": 16, "hidden_size": 16, "num_hidden_layers": 2}
        config = SqueezeBertConfig(vocab_size=64, num_attention_heads=4, **sizes)
        model = SqueezeBertModel(config)
    model.eval()
    ids = torch.tensor([[5, 6, 7]])
    message = r"'hidden.1' cannot be changed.* layers \[2\] and of other components can"
    with pytest.raises(ValueError, match=message):
        with ablate_model(model, ["hidden.1.3"]):
            pass
    assert hooks_of(model) == []
    with ablate_model(model, ["hidden.2.3"]):
        assert (run(model, ids).last_hidden_state[..., 3] == 0).all()
