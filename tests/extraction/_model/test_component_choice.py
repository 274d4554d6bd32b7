# SPDX-License-Identifier: BSD-3-Clause
"""The blocks of a request: layers, order, modules, shared blocks, and errors."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.ranking import LCARanker
from sklearn_neurox.selection import LayerSelector
from tests.extraction.families import FAMILIES, N_BLOCKS, OTHERS, load

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


@pytest.fixture
def of(tiny):
    """Return a function that makes an extractor of a family's live model."""

    def make(name, component, **params):
        model, tokenizer = load(name, tiny({**FAMILIES, **OTHERS}[name].tokenizer))
        return ActivationExtractor(model, tokenizer=tokenizer, component=component, **params)

    return make


def blocks(extractor, words):
    return list(extractor.transform(words)._source.block_names)


def pool(extractor, words):
    return extractor.transform(words).pool("mean")


@pytest.mark.parametrize(
    ("component", "layers", "expected"),
    [
        ("mlp", None, ["mlp.1", "mlp.2", "mlp.3"]),
        ("mlp", -1, ["mlp.3"]),
        ("attention", [3, 1], ["attention.3", "attention.1"]),
        (["hidden", "mlp"], [0], ["hidden.0"]),
        (["mlp", "hidden"], [0, 2], ["hidden.0", "mlp.2", "hidden.2"]),
        ("embedding", None, ["embedding.0"]),
        (["mlp", "embedding"], [2], ["embedding.0", "mlp.2"]),
        (
            ["module:h.*.mlp", "hidden"],
            [3],
            ["hidden.3", "module:h.0.mlp", "module:h.1.mlp", "module:h.2.mlp"],
        ),
        (["module:h.0.mlp", "module:h.*.mlp"], None, [f"module:h.{k}.mlp" for k in range(3)]),
    ],
)
def test_order_of_blocks(component, layers, expected, of, words):
    extractor = of("gpt2", component, layers=layers)
    assert blocks(extractor, words) == expected
    plan = extractor.transform(words)
    assert plan.pool("last").shape == (len(words), len(plan.get_feature_names()))
    alone = []
    for name in expected:
        component, _, layer = (name, "", "") if ":" in name else name.partition(".")
        layers = int(layer) if component in ("hidden", "mlp", "attention") else None
        alone.append(pool(of("gpt2", component, layers=layers), words))
    np.testing.assert_allclose(plan.pool("mean"), np.hstack(alone), rtol=0, atol=1e-5)


def test_one_pass_can_keep_every_layer(of, words):
    source = of("gpt2", ["mlp", "hidden"], layers=[2]).transform(words)._source.every_layer()
    assert source.block_names == (
        "hidden.0", "mlp.1", "hidden.1", "mlp.2", "hidden.2", "mlp.3", "hidden.3"
    )  # fmt: skip
    assert source.block_widths == (16, 24, 16, 24, 16, 24, 16)


def test_all_components_come_from_one_forward(of, words, count_forwards):
    pool(of("bert", ["hidden", "mlp", "attention", "embedding"]), words)
    n_batches = len(count_forwards)
    pool(of("bert", "hidden"), words)
    assert len(count_forwards) == 2 * n_batches


@pytest.mark.parametrize(
    ("component", "layers", "n_run"),
    [("mlp", [1], 1), ("attention", [2], 2), ("embedding", None, 0), (["mlp", "hidden"], [1], 1)],
)
def test_the_stack_stops_after_the_last_layer_asked_for(component, layers, n_run, of, words):
    extractor = of("llama", component, layers=layers)
    pool(extractor, words)  # after the test runs of the model
    ran = set()
    handles = [
        block.register_forward_pre_hook(lambda *_, k=k: ran.add(k))
        for k, block in enumerate(extractor.model.layers)
    ]
    pool(extractor, words)
    for handle in handles:
        handle.remove()
    assert len(ran) == n_run


@pytest.mark.parametrize("name", ["albert", "albert-groups"])
def test_shared_blocks_are_told_apart_by_their_turn(name, of, words):
    extractor = of(name, ["hidden", "mlp", "attention"])
    assert blocks(extractor, words) == [
        "hidden.0",
        *(f"{component}.{k}" for k in (1, 2, 3) for component in ("hidden", "mlp", "attention")),
    ]
    model, tokenizer = extractor.model, extractor.tokenizer
    seen = {"ffn_output": [], "attention.dense": []}
    groups = [group.albert_layers[0] for group in model.encoder.albert_layer_groups]
    handles = [
        group.get_submodule(path).register_forward_pre_hook(
            lambda _, args, path=path: seen[path].append(args[0][0].mean(0).numpy())
        )
        for group in groups
        for path in seen
    ]
    text = words["text"].iloc[0]
    with torch.no_grad():
        model(torch.tensor([tokenizer(text)["input_ids"]]))
    for handle in handles:
        handle.remove()
    for component, path in (("mlp", "ffn_output"), ("attention", "attention.dense")):
        found = pool(of(name, component, special_tokens=True), [text])[0]
        np.testing.assert_allclose(found, np.concatenate(seen[path]), rtol=0, atol=1e-5)
    if name == "albert":
        with pytest.raises(ValueError, match=r"albert_layers.0.ffn'.*runs more than once"):
            pool(of(name, "module:*.ffn"), words)


@pytest.mark.slow
def test_canine_has_them_where_it_has_one_state_a_character(tiny, words):
    from transformers import AutoModel, AutoTokenizer

    path = tiny("canine")
    extractor = ActivationExtractor(path, component=["hidden", "mlp", "attention"])
    names = ["hidden.0"]
    for k in (1, 5, 6):  # two deep blocks read groups of characters and have none
        names += [f"{c}.{k}" for c in ("hidden", "mlp", "attention") if k != 5 or c == "hidden"]
    assert blocks(extractor, words) == names
    model, tokenizer = AutoModel.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    seen = []
    for part in (model.initial_char_encoder, model.final_char_encoder):
        part.layer[0].output.dense.register_forward_pre_hook(
            lambda _, args: seen.append(args[0][0, 1:-1].mean(0).numpy())
        )
    with torch.no_grad():
        model(torch.tensor([tokenizer("Dogs bark")["input_ids"]]))
    found = pool(ActivationExtractor(path, component="mlp"), ["Dogs bark"])[0]
    np.testing.assert_allclose(found, np.concatenate(seen), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"component='embedding'.*HashBucketCodepointEmbedder_0"):
        pool(ActivationExtractor(path, component="embedding"), words)


def test_a_mixture_of_experts_has_attention_and_no_one_mlp(of, words):
    assert np.isfinite(pool(of("mixtral", "attention"), words)).all()
    with pytest.raises(ValueError, match=r"component='mlp'.*mixture of experts.*layers.0.mlp"):
        pool(of("mixtral", "mlp"), words)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "t5"])
@pytest.mark.parametrize(
    ("component", "layers"),
    [
        ("mlp", [-1, 1]),
        ("attention", [2]),
        ("embedding", None),
        (["mlp", "hidden", "embedding"], [2, 1]),
        (np.array(["attention", "hidden"]), None),
    ],
)
def test_a_cache_keeps_components_apart(name, component, layers, of, words, tmp_path):
    kept = of(name, "hidden", cache=tmp_path)  # another component of the same texts
    np.testing.assert_array_equal(pool(kept, words), pool(of(name, "hidden"), words))
    plain = of(name, component, layers=layers)
    expected, names = pool(plain, words), plain.get_feature_names_out()
    cached = of(name, component, layers=layers, cache=tmp_path)
    for _ in range(2):  # cold, warm
        plan = cached.fit(words).transform(words)
        np.testing.assert_array_equal(plan.pool("mean"), expected)
        np.testing.assert_array_equal(plan.get_feature_names(), names)
        np.testing.assert_array_equal(cached.get_feature_names_out(), names)
    assert cached.fill_cache(words) == 0


def test_a_warm_embedding_has_no_layers_either(of, words, tmp_path):
    extractor = of("gpt2", "embedding", cache=tmp_path)
    pool(extractor, words)
    with pytest.raises(ValueError, match="have no layers"):
        extractor.set_params(layers=[0]).transform(words)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"component": "neurons"}, r"'neurons' is not a component.*'mlp'.*module:<glob>"),
        ({"component": []}, "'component'.*at least one"),
        ({"component": ["mlp", "mlp"]}, "'component'.*distinct"),
        ({"component": "module:"}, "'component'.*'module:' is not a component"),
        ({"component": ["mlp", 3]}, "'component'.*3 is not a component"),
        ({"component": "mlp", "layers": [0]}, r"no layer 0; .* layers \[1, 2, 3\] for these"),
        ({"component": ["mlp", "attention"], "layers": [0, 1]}, "there is no layer 0"),
        ({"component": "embedding", "layers": [0]}, "have no layers"),
        ({"component": "module:h.0", "layers": [1]}, "have no layers"),
        ({"component": "module:nothing.*"}, r"module:nothing.*no module path of.*'h\.\*\.mlp'"),
        ({"component": ["hidden", "module:x"]}, "'module:x'"),
        ({"component": "module:wpe"}, r"'wpe'.*not return one state per token: \(1, 1"),
        ({"component": "module:h"}, "'h': it does not run"),
        ({"component": "hidden", "stack": "decoder"}, "'stack'.*not an encoder-decoder"),
        ({"component": "hidden", "stack": "middle"}, "'stack' parameter"),
    ],
)
def test_what_cannot_be_read_is_said(params, message, of, words):
    with pytest.raises(ValueError, match=message):
        pool(of("gpt2", **params), words)


def test_heads_that_do_not_divide_the_units(of, words):
    extractor = of("llama", "attention")
    config = extractor.model.config
    before, config.num_attention_heads = config.num_attention_heads, 5
    try:
        with pytest.raises(ValueError, match="divide the 16 attention units"):
            pool(extractor, words)
    finally:
        config.num_attention_heads = before


@pytest.mark.slow
def test_threads_with_different_components_share_a_model(of, words):
    components = ["mlp", "attention", "embedding", ["hidden", "mlp"], "module:encoder.layer.1"]
    serial = [pool(of("bert", component), words) for component in components]
    start = Barrier(len(components))

    def at_once(component):
        start.wait(timeout=30)
        return pool(of("bert", component, max_batch_tokens=20), words)

    with ThreadPoolExecutor(len(components)) as threads:
        parallel = list(threads.map(at_once, components * 3))
    for found, expected in zip(parallel, serial * 3, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert hooks_of(of("bert", "mlp").model) == []


def hooks_of(model):
    return [
        hook
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
        if not hook.__module__.startswith("transformers.")
    ]


@pytest.mark.parametrize("component", ["mlp", "attention", "module:h.2", ["hidden", "embedding"]])
def test_an_exception_inside_the_forward_leaves_no_hook(component, of, words):
    extractor = of("gpt2", component)
    expected = pool(extractor, words)

    def fail(*_):
        raise RuntimeError("in the middle")

    handle = extractor.model.h[1].register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        pool(extractor, words)
    handle.remove()
    assert hooks_of(extractor.model) == []
    np.testing.assert_array_equal(pool(extractor, words), expected)


def test_plans_and_clones_of_components_are_small_and_whole(tiny, words):
    component = ["mlp", "module:encoder.layer.0"]
    extractor = clone(ActivationExtractor(tiny("bert"), component=component))
    plan = extractor.transform(words)
    restored = pickle.loads(pickle.dumps(plan[[3, 1]]))
    np.testing.assert_allclose(restored.pool("last"), plan.pool("last")[[3, 1]], rtol=0, atol=1e-5)
    assert repr(plan).endswith(f"{2 * 32 + 16} neurons>")


@pytest.mark.slow
def test_names_are_understood_downstream(of, words):
    component = ["hidden", "attention", "module:layers.*.mlp"]
    features = make_pipeline(of("llama", component), SubwordAggregator()).set_output(
        transform="pandas"
    )
    H = features.fit_transform(words)
    kept = LayerSelector(2).set_output(transform="pandas").fit_transform(H)
    assert kept.shape[1] == 16 + 16 + 16
    assert {name.rsplit(".", 1)[0] for name in kept.columns if "attention" not in name} == {
        "hidden.2",
        "module:layers.1.mlp",
    }
    ranked = LCARanker().fit(H, words["tag"]).to_frame()
    row = ranked[ranked["neuron"] == f"attention.{N_BLOCKS}.h3.2"].iloc[0]
    assert (row["layer"], row["unit"]) == (N_BLOCKS, 2)
