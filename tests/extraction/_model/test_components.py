# SPDX-License-Identifier: BSD-3-Clause
"""Components of each family: compared with plain hooks, and as parts of the block's output."""

import numpy as np
import pytest
import torch
from transformers.pytorch_utils import Conv1D

from sklearn_neurox.extraction import ActivationExtractor
from tests.extraction.families import FAMILIES, N_BLOCKS, OTHERS, TWO_STACKS, load, paths_of

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["The old dog barked loudly .", "She saw the house", "A light rain", "Dogs bark"]
STACKS = [
    (name, stack)
    for name in FAMILIES
    for stack in (("encoder", "decoder") if name in TWO_STACKS else (None,))
]


@pytest.fixture
def model_of(tiny):
    return lambda name: load(name, tiny({**FAMILIES, **OTHERS}[name].tokenizer))


def stack_of(model, stack):
    if stack is None:
        return model
    return model.get_encoder() if stack == "encoder" else model.get_decoder()


def start_of(model, ids):
    if model.config.model_type == "mbart":
        return ids[-1]
    return model.config.decoder_start_token_id


def forward(model, ids):
    """Run a text with transformers alone, with the decoder one place behind."""
    inputs = {"input_ids": torch.tensor([ids])}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[start_of(model, ids), *ids]])
    with torch.no_grad():
        return model(**inputs, output_hidden_states=True)


def watch(model, tokenizer, stack, paths, side):
    """Return the inputs or outputs of modules, as one mean over the tokens per text."""
    base, seen = stack_of(model, stack), {path: [] for path in paths}

    def listen(path):
        def hook(module, args, output):
            state = args[0] if side == "input" else output
            state = state.reshape(-1, state.shape[-1])  # one text: OPT flattens its batch
            seen[path].append(state[1:] if stack == "decoder" else state)

        return hook

    handles = [base.get_submodule(path).register_forward_hook(listen(path)) for path in paths]
    for text in TEXTS:
        forward(model, tokenizer(text)["input_ids"])
    for handle in handles:
        handle.remove()
    return [np.stack([state.mean(0).numpy() for state in seen[path]]) for path in paths]


def extract(model, tokenizer, component, *, stack=None, strategy="mean", **params):
    """Extract whole texts, including all their tokens, as a dict of block to columns."""
    extractor = ActivationExtractor(
        model,
        tokenizer=tokenizer,
        component=component,
        stack=stack,
        special_tokens=True,
        **params,
    )
    plan = extractor.transform(TEXTS)
    H = plan.pool(strategy)
    names = plan.get_feature_names()
    assert names.tolist() == extractor.get_feature_names_out().tolist()
    edges = np.cumsum(plan._source.block_widths)[:-1]
    return dict(zip(plan._source.block_names, np.split(H, edges, axis=1), strict=True))


def close(ours, theirs, tolerance=2e-5):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * max(1, np.abs(theirs).max())


@pytest.mark.parametrize(("name", "stack"), STACKS)
def test_mlp_attention_and_embedding_are_what_naive_hooks_see(name, stack, model_of):
    model, tokenizer = model_of(name)
    found = extract(model, tokenizer, ["attention", "mlp", "embedding"], stack=stack)
    down, out = paths_of(name, stack_of(model, stack))
    prefix = f"{stack}." if stack else ""
    expected = {
        **{f"{prefix}attention.{k + 1}": path for k, path in enumerate(out)},
        **{f"{prefix}mlp.{k + 1}": path for k, path in enumerate(down)},
    }
    assert set(found) == {*expected, f"{prefix}embedding.0"}
    seen = watch(model, tokenizer, stack, list(expected.values()), "input")
    for block, state in zip(expected, seen, strict=True):
        close(found[block], state)
    table = watch(model, tokenizer, stack, [FAMILIES[name].embedding], "output")[0]
    close(found[f"{prefix}embedding.0"], table)


@pytest.mark.parametrize(("name", "stack"), STACKS)
def test_components_through_the_projections_are_what_these_give(name, stack, model_of):
    """Check the heads through the output matrix, mlp through the down projection, and their sum."""
    model, tokenizer = model_of(name)
    down, out = paths_of(name, stack_of(model, stack))
    prefix = f"{stack}." if stack else ""
    component = ["hidden", "mlp", "attention"] + [f"module:{prefix}{path}" for path in down + out]
    found = extract(model, tokenizer, component, stack=stack)
    added = {}
    for k, (down_path, out_path) in enumerate(zip(down, out, strict=True), start=1):
        base = stack_of(model, stack)
        given = through(base.get_submodule(down_path), found[f"{prefix}mlp.{k}"])
        close(given, found[f"module:{prefix}{down_path}"])
        gathered = through(base.get_submodule(out_path), found[f"{prefix}attention.{k}"])
        close(gathered, found[f"module:{prefix}{out_path}"])
        added[k] = given, gathered
    # The last hidden layer includes the final norm, if there is one.
    if not FAMILIES[name].is_pre_norm or stack == "decoder":
        return
    for k in range(1, N_BLOCKS):
        step = found[f"{prefix}hidden.{k}"] - found[f"{prefix}hidden.{k - 1}"]
        close(sum(added[k]), step)


def through(module, H):
    weight = module.weight.detach().numpy()
    weight = weight if isinstance(module, Conv1D) else weight.T
    bias = 0 if module.bias is None else module.bias.detach().numpy()
    return H @ weight + bias


@pytest.mark.parametrize("name", ["t5", "mbart"])
def test_a_decoder_adds_its_cross_attention_too(name, model_of):
    model, tokenizer = model_of(name)
    cross = "*.EncDecAttention.o" if name == "t5" else "*.encoder_attn.out_proj"
    component = ["hidden", "mlp", "attention", f"module:decoder.{cross}"]
    found = extract(model, tokenizer, component, stack="decoder")
    base = model.get_decoder()
    down, out = (paths[0] for paths in paths_of(name, base))
    path = next(block for block in found if block.startswith("module:decoder"))
    total = (
        through(base.get_submodule(down), found["decoder.mlp.1"])
        + through(base.get_submodule(out), found["decoder.attention.1"])
        + found[path]
    )
    close(total, found["decoder.hidden.1"] - found["decoder.hidden.0"])


@pytest.mark.parametrize(("name", "stack"), [*STACKS, *((name, None) for name in OTHERS)])
def test_hidden_states_are_those_of_transformers(name, stack, model_of):
    model, tokenizer = model_of(name)
    outputs = [forward(model, tokenizer(text)["input_ids"]) for text in TEXTS]
    attribute = f"{stack}_hidden_states" if stack else "hidden_states"
    states = [getattr(output, attribute) for output in outputs]
    prefix = f"{stack}." if stack else ""
    for strategy, pick in (
        ("first", lambda state: state[0]),
        ("last", lambda state: state[-1]),
        ("mean", lambda state: state.mean(0)),
    ):
        found = extract(model, tokenizer, "hidden", stack=stack, strategy=strategy)
        assert list(found) == [f"{prefix}hidden.{layer}" for layer in range(len(states[0]))]
        for layer, block in enumerate(found):
            own = [state[layer][0][1:] if stack == "decoder" else state[layer][0]
                   for state in states]  # fmt: skip
            close(found[block], np.stack([pick(state).numpy() for state in own]))


@pytest.mark.parametrize(("name", "stack"), STACKS)
def test_names_need_no_weights(name, stack, model_of, tmp_path, monkeypatch):
    """Names from the config of a folder equal those of the live model."""
    from sklearn_neurox.extraction._model import _loading

    model, tokenizer = model_of(name)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    component = ["hidden", "attention", "mlp", "embedding"]
    live = ActivationExtractor(model, tokenizer=tokenizer, component=component, stack=stack)
    monkeypatch.setattr(_loading, "_build_model", None)
    state = torch.get_rng_state()
    stored = ActivationExtractor(tmp_path, component=component, stack=stack)
    names = stored.get_feature_names_out()
    assert names.tolist() == live.get_feature_names_out().tolist()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_with_one_list_of_modules_for_each_part(tiny):
    """XLM's feed-forward layers are no part of its list of attentions."""
    from transformers import AutoTokenizer, XLMConfig, XLMModel

    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = XLMConfig(
            vocab_size=len(tokenizer),
            pad_index=tokenizer.pad_token_id,
            emb_dim=16,
            n_layers=3,
            n_heads=2,
        )
        model = XLMModel(config).eval()
    for component, path in (("attention", "attentions.{}.out_lin"), ("mlp", "ffns.{}.lin2")):
        found = extract(model, tokenizer, component)
        assert list(found) == [f"{component}.{layer}" for layer in (1, 2, 3)]
        expected = watch(model, tokenizer, None, [path.format(n) for n in range(3)], "input")
        for states, own in zip(expected, found.values(), strict=True):
            np.testing.assert_allclose(own, states, rtol=0, atol=1e-5)
