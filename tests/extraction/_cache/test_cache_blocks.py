# SPDX-License-Identifier: BSD-3-Clause
"""What is stored is keyed by block: no list, order, glob or stack makes the model read it again."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, clear_loaded_models
from sklearn_neurox.extraction._cache import _identity
from sklearn_neurox.extraction._run._extraction_request import ExtractionRequest

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

# What is read first, and what needs no reading afterwards: family, parameters, then others.
_NOTHING_NEW = [
    ("bert", {"component": ["hidden", "mlp"]}, [
        {"component": "mlp"}, {"component": "hidden"}, {"component": ["mlp", "hidden"]},
        {"component": ["mlp"], "layers": [2]}, {"component": "hidden", "layers": [2, 0]},
    ]),
    ("gpt2", {"component": ["attention", "embedding", "mlp", "hidden"]}, [
        {"component": "embedding"}, {"component": ["hidden", "attention"], "layers": -1},
        {"component": ["mlp", "embedding"]},
    ]),
    ("gpt2", {"component": "module:h.*.mlp"}, [
        {"component": "module:h.?.mlp"}, {"component": "module:h.0.mlp"},
        {"component": ["module:h.1.mlp", "module:h.0.*lp"]},
    ]),
    ("t5", {"stack": "both", "component": ["hidden", "mlp"]}, [
        {"stack": "encoder"}, {"stack": "decoder"}, {"component": "mlp"},
        {"stack": "decoder", "component": ["mlp", "hidden"], "layers": [1]},
    ]),
    ("marian", {"stack": "both"}, [{"stack": "decoder"}, {}, {"stack": "encoder", "layers": 0}]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("family", "first", "others"), _NOTHING_NEW)
def test_the_model_reads_nothing_again(family, first, others, of, words, tmp_path, count_forwards):
    of(family, cache=tmp_path, **first).fill_cache(words)
    for other in others:
        expected = of(family, **other).transform(words)
        H = expected.pool("mean")
        count_forwards.clear()
        cached = of(family, cache=tmp_path, **other)
        assert cached.fill_cache(words) == 0, other
        found = cached.transform(words)
        np.testing.assert_allclose(found.pool("mean"), H, rtol=0, atol=2e-5)
        assert found.get_feature_names().tolist() == expected.get_feature_names().tolist()
        assert count_forwards == [], other
    assert len(ActivationCache(tmp_path).info()) == 1


# What is read one after the other, and which blocks each must add.
_ADDED = [
    ("bert", [
        ({"component": "hidden"}, [f"hidden.{k}" for k in range(4)]),
        ({"component": ["mlp", "hidden"]}, ["mlp.1", "mlp.2", "mlp.3"]),
        ({"component": ["embedding", "mlp"]}, ["embedding.0"]),
    ]),
    ("t5", [
        ({"stack": "decoder"}, ["decoder.hidden.0", "decoder.hidden.1", "decoder.hidden.2"]),
        ({"stack": "both"}, [f"encoder.hidden.{k}" for k in range(4)]),
        ({}, []),
    ]),
    ("gpt2", [
        ({"component": "module:h.0.mlp"}, ["module:h.0.mlp"]),
        ({"component": "module:h.*.mlp"}, ["module:h.1.mlp", "module:h.2.mlp"]),
    ]),
]  # fmt: skip


def blocks_in(folder):
    found = []
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, framework="np") as file:
            keys = file.get_tensor("table.key").tolist()
            names = [name for name in file.keys() if not name.startswith("table.")]  # noqa: SIM118
        found += [(name, bytes(key)) for name in names for key in keys]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("family", "steps"), _ADDED)
def test_each_block_of_a_text_is_stored_once(family, steps, of, words, tmp_path):
    seen = set()
    for parameters, added in steps:
        plain = of(family, **parameters).transform(words).pool("last")
        found = of(family, cache=tmp_path, **parameters).transform(words).pool("last")
        np.testing.assert_allclose(found, plain, rtol=0, atol=2e-5)
        stored = blocks_in(tmp_path)
        assert len(stored) == len(set(stored))
        assert sorted({name for name, _ in set(stored) - seen}) == added
        seen = set(stored)


@pytest.mark.slow
def test_old_and_new_texts_lack_different_blocks(tiny, words, tmp_path, count_forwards):
    some = words[words["sentence_id"] < 3]
    ActivationExtractor(tiny("bert"), cache=tmp_path).fill_cache(some)
    extractor = ActivationExtractor(tiny("bert"), component=["hidden", "mlp"])
    plain = extractor.transform(words).pool("mean")
    count_forwards.clear()
    extractor.set_params(cache=tmp_path, max_batch_tokens=20)
    assert extractor.fill_cache(words) == 6 and sum(count_forwards) == 6
    stored = blocks_in(tmp_path)
    assert len(stored) == len(set(stored)) == 6 * 5
    np.testing.assert_allclose(extractor.transform(words).pool("mean"), plain, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_an_interrupted_request_for_more_blocks_resumes_to_the_same_bits(tiny, words, tmp_path):
    some = words[words["sentence_id"] < 3]
    parameters = {"component": ["hidden", "mlp"], "max_batch_tokens": 20}
    results, names = [], []
    for name in ("whole", "cut"):
        ActivationExtractor(tiny("bert"), cache=tmp_path / name, max_batch_tokens=20).fill_cache(
            some
        )
        before = set((tmp_path / name).rglob("*.safetensors"))
        extractor = ActivationExtractor(tiny("bert"), cache=tmp_path / name, **parameters)
        extractor.fill_cache(words)
        if name == "cut":
            for path in sorted(set((tmp_path / name).rglob("*.safetensors")) - before)[::2]:
                path.unlink()
            assert 0 < extractor.fill_cache(words) < 6
        results.append(extractor.transform(words).pool("mean"))
        names.append(sorted(path.name for path in (tmp_path / name).rglob("*.safetensors")))
    np.testing.assert_array_equal(*results)
    assert names[0] == names[1]


@pytest.mark.slow
def test_compaction_keeps_every_component(tiny, words, tmp_path, count_forwards):
    cache = ActivationCache(tmp_path)
    for component in ("hidden", "mlp", ["hidden", "mlp"]):
        extractor = ActivationExtractor(tiny("bert"), component=component, cache=cache)
        for text in words["text"].unique():
            extractor.fill_cache([text])
    cache.compact()
    assert cache.info()["shards"].tolist() == [2]
    count_forwards.clear()
    clear_loaded_models()
    assert extractor.fill_cache(words) == 0 and count_forwards == []
    plain = ActivationExtractor(tiny("bert"), component=["hidden", "mlp"]).transform(words)
    found = extractor.transform(words).pool("mean")
    np.testing.assert_allclose(found, plain.pool("mean"), rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("order", [["both", "encoder", "decoder"], ["decoder", "both", "encoder"]])
def test_stacks_that_cut_texts_differently_do_not_share_windows(
    order, of, words, tmp_path, count_forwards
):
    """The decoder's start token takes a position, so it may have to cut where the encoder need not.

    Texts that no stack cuts are shared; windows are not.
    """

    def make(stack, **params):
        extractor = of("bart", stack=stack, **params)
        extractor.tokenizer.model_max_length = 10**30
        return extractor

    room = make("both").model.config.max_position_embeddings
    long = " ".join(["dog"] * (room - 4))
    texts = [long, f"{long} {long}", "A light rain"]
    inputs = [len(make(stack).transform(texts)._source.sequences) for stack in order]
    assert len(set(inputs)) > 1
    plain = {stack: make(stack).transform(texts).pool("last") for stack in order}
    for stack in [*order, *order]:
        found = make(stack, cache=tmp_path).transform(texts)
        np.testing.assert_allclose(found.pool("last"), plain[stack], rtol=0, atol=2e-5)
    count_forwards.clear()
    for stack in order:
        assert make(stack, cache=tmp_path).fill_cache(texts) == 0
    assert count_forwards == []
    assert ActivationCache(tmp_path).verify().empty


def test_a_warm_read_of_other_components_needs_no_model(tiny, words, tmp_path, monkeypatch):
    path = tiny("bert")
    expected = ActivationExtractor(path, component="mlp", layers=1).transform(words).pool("last")
    ActivationExtractor(path, component=["hidden", "mlp"], cache=tmp_path).fill_cache(words)
    clear_loaded_models()
    monkeypatch.setattr("sklearn_neurox.extraction._model._loading.fetch", None)
    extractor = ActivationExtractor(path, component="mlp", layers=1, cache=tmp_path)
    found = extractor.fit(words).transform(words).pool("last")
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    assert extractor.get_feature_names_out()[0] == "mlp.1.0"


@pytest.mark.slow
def test_pairs_and_targets_are_keyed_by_block_too(of, tmp_path, count_forwards):
    pairs = pd.DataFrame({"text": ["Dogs", "Dogs", "A"], "text_pair": ["bark", "bite", "b"]})
    of("bert", component=["mlp", "hidden"], cache=tmp_path / "a").fill_cache(pairs)
    targets = pd.DataFrame({"text": ["Dogs bark", "A dog"], "target": ["It", "It"]})
    both = of("t5", stack="decoder", component=["mlp", "hidden"], cache=tmp_path / "b")
    both.fill_cache(targets)
    count_forwards.clear()
    assert of("bert", component="mlp", cache=tmp_path / "a").fill_cache(pairs) == 0
    assert of("t5", stack="decoder", cache=tmp_path / "b").fill_cache(targets) == 0
    assert count_forwards == []


def test_every_parameter_of_a_request_is_in_the_key_or_known_to_be_incidental():
    names = {each.name for each in fields(ExtractionRequest)}
    assert names >= _identity._INCIDENTAL
    keyed = {"add_special_tokens", "split_special_tokens", "max_length"}
    assert keyed <= set(_identity._PARAMETERS) == names - _identity._INCIDENTAL
