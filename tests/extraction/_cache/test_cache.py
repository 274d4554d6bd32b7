# SPDX-License-Identifier: BSD-3-Clause
"""A cache folder: same bits, each text read once, no stale activations, nothing lost."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    SubwordAggregator,
    clear_loaded_models,
)

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

FAMILIES = ["bert", "canine", "gpt2", "llama", "marian"]
STRATEGIES = ["first", "last", "mean", "max"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "activations"


def pool(model, words, strategy="mean", **parameters):
    return ActivationExtractor(model, **parameters).transform(words).pool(strategy)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_cold_and_warm_reads_give_the_same_bits_as_no_cache(
    family, tiny, words, folder, count_forwards, monkeypatch
):
    path = tiny(family)
    plain = {strategy: pool(path, words, strategy) for strategy in STRATEGIES}
    np.testing.assert_array_equal(pool(path, words, cache=folder), plain["mean"])
    count_forwards.clear()
    clear_loaded_models()
    monkeypatch.setattr("sklearn_neurox.extraction._model._loading._build_model", None)
    for strategy in STRATEGIES:
        H = pool(path, words, strategy, cache=folder)
        np.testing.assert_array_equal(H, plain[strategy])
    assert count_forwards == []


@pytest.mark.slow
def test_every_layer_is_stored_whichever_was_requested_first(tiny, words, folder, count_forwards):
    plain = {layer: pool(tiny("bert"), words, layers=layer) for layer in (0, 1, 2)}
    np.testing.assert_allclose(pool(tiny("bert"), words, layers=0, cache=folder), plain[0])
    count_forwards.clear()
    for layers in ([1], [2, 0], [1, 2, 0]):
        H = pool(tiny("bert"), words, layers=layers, cache=folder)
        np.testing.assert_array_equal(H, np.hstack([plain[layer] for layer in layers]))
    assert count_forwards == []


@pytest.mark.slow
def test_only_new_texts_are_computed(tiny, words, folder, count_forwards):
    some = words[words["sentence_id"].isin([1, 4])]
    pool(tiny("bert"), some, cache=folder)
    assert sum(count_forwards) == 2
    H = pool(tiny("bert"), words, cache=folder)
    assert sum(count_forwards) == 6
    np.testing.assert_allclose(H, pool(tiny("bert"), words), rtol=0, atol=1e-5 * np.abs(H).max())
    count_forwards.clear()
    rows = np.random.default_rng(0).permutation(len(words))
    np.testing.assert_array_equal(pool(tiny("bert"), words.iloc[rows], cache=folder), H[rows])
    np.testing.assert_array_equal(pool(tiny("bert"), some, cache=folder), H[some.index])
    assert count_forwards == []


def test_an_interrupted_run_resumes_to_the_same_bits(tiny, words, folder, monkeypatch):
    from sklearn_neurox.extraction._model import _forward

    undisturbed = pool(tiny("bert"), words, max_batch_tokens=20)
    run_hidden, left = _forward.run_hidden, [2]

    def interrupted(*args):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return run_hidden(*args)

    with monkeypatch.context() as patch:
        patch.setattr(_forward, "run_hidden", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool(tiny("bert"), words, max_batch_tokens=20, cache=folder)
    shards = list(folder.rglob("*.safetensors"))
    assert shards and not list(folder.rglob("*.tmp"))
    np.testing.assert_array_equal(
        pool(tiny("bert"), words, max_batch_tokens=20, cache=folder), undisturbed
    )
    assert set(shards) < set(folder.rglob("*.safetensors"))


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "short"])
def test_a_damaged_shard_warns_and_is_computed_again(damage, tiny, words, folder, count_forwards):
    plain = pool(tiny("bert"), words, max_batch_tokens=20, cache=folder)
    shards = sorted(folder.rglob("*.safetensors"))
    assert len(shards) > 2
    stored = shards[0].read_bytes()
    content = {
        "truncated": stored[: len(stored) // 2],
        "empty": b"",
        "garbage": b"\x00" * len(stored),
        "short": stored[:-1],
    }[damage]
    shards[0].write_bytes(content)
    count_forwards.clear()
    with pytest.warns(UserWarning, match="shard .* is damaged.*computed again") as caught:
        H = pool(tiny("bert"), words, max_batch_tokens=20, cache=folder)
    assert str(shards[0]) in str(caught[0].message)
    np.testing.assert_allclose(H, plain, rtol=0, atol=1e-5 * np.abs(plain).max())
    assert 0 < sum(count_forwards) < 6
    # The new shard replaced the damaged one.
    np.testing.assert_array_equal(pool(tiny("bert"), words, max_batch_tokens=20, cache=folder), H)


def test_a_foreign_file_is_skipped_with_a_warning(tiny, words, folder):
    from safetensors.numpy import save_file

    plain = pool(tiny("bert"), words, cache=folder)
    where = next(folder.rglob("*.safetensors")).parent
    save_file({"weight": np.ones((2, 2))}, where / "0.safetensors")
    with pytest.warns(UserWarning, match="is damaged"):
        H = pool(tiny("bert"), words, cache=folder)
    np.testing.assert_array_equal(H, plain)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_threads_may_write_the_same_folder(family, tiny, words, folder):
    plain = pool(tiny(family), words, max_batch_tokens=20)
    with ThreadPoolExecutor(4) as threads:
        found = list(
            threads.map(
                lambda strategy: pool(
                    tiny(family), words, strategy, max_batch_tokens=20, cache=folder
                ),
                ["mean"] * 8,
            )
        )
    for H in found:
        np.testing.assert_allclose(H, plain, rtol=0, atol=1e-5 * np.abs(plain).max())
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.slow
def test_threads_may_share_one_cache_object(tiny, words, folder):
    cache = ActivationCache(folder)
    plain = pool(tiny("bert"), words, max_batch_tokens=20)
    with ThreadPoolExecutor(4) as threads:
        jobs = [
            threads.submit(pool, tiny("bert"), words, max_batch_tokens=20, cache=cache)
            for _ in range(8)
        ]
        for job in jobs:
            np.testing.assert_allclose(job.result(), plain, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_processes_may_write_the_same_folder(tiny, words, folder):
    from joblib import Parallel, delayed

    plain = pool(tiny("bert"), words, max_batch_tokens=20)
    found = Parallel(n_jobs=2)(
        delayed(pool)(tiny("bert"), words, max_batch_tokens=20, cache=folder) for _ in range(4)
    )
    for H in found:
        np.testing.assert_allclose(H, plain, rtol=0, atol=1e-5 * np.abs(plain).max())
    assert not list(folder.rglob("*.tmp"))
    assert len(list(folder.glob("v4-*"))) == 1


# Which model the activations belong to


@pytest.mark.slow
def test_models_do_not_share_a_folder(tiny, words, folder, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(tiny("bert"))
    AutoTokenizer.from_pretrained(tiny("bert")).save_pretrained(tmp_path / "copy")
    model.save_pretrained(tmp_path / "copy")
    requests = [
        (tiny("bert"), {}),
        (tiny("bert"), {"weights": "random"}),
        (tiny("bert"), {"weights": "random", "random_state": 1}),
        (tiny("gpt2"), {}),
        (tiny("bert", n_layers=3), {"layers": [0, 1, 2]}),
    ]
    for _ in range(2):  # cold, then warm
        for path, parameters in requests:
            plain = pool(path, words, **parameters)
            np.testing.assert_array_equal(pool(path, words, cache=folder, **parameters), plain)
    assert len(list(folder.glob("v4-*"))) == len(requests)


@pytest.mark.slow
def test_a_rewritten_model_folder_is_a_different_model(tiny, words, folder, tmp_path):
    import shutil

    from transformers import AutoModel

    path = tmp_path / "model"
    shutil.copytree(tiny("bert"), path)
    before = pool(path, words, cache=folder)
    model = AutoModel.from_pretrained(path)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.mul_(2)
    model.save_pretrained(path)
    after = pool(path, words, cache=folder)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(after, pool(path, words))


@pytest.mark.slow
def test_a_live_model_trained_between_calls_is_a_different_model(
    live, words, folder, count_forwards
):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=folder)
    before = extractor.transform(words).pool("mean")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([[2, 7, 8, 3]])).last_hidden_state[:, 0].pow(3).sum().backward()
    optimizer.step()
    count_forwards.clear()
    after = extractor.transform(words).pool("mean")
    assert sum(count_forwards) == 6
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_array_equal(
        after, ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("mean")
    )
    assert len(list(folder.glob("v4-*"))) == 2
    count_forwards.clear()
    np.testing.assert_array_equal(extractor.transform(words).pool("mean"), after)
    assert count_forwards == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["register_forward_hook", "register_forward_pre_hook"])
def test_a_hooked_model_neither_reads_nor_writes(kind, live, words, folder):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=folder)
    plain = extractor.transform(words).pool("mean")
    shards = sorted(folder.rglob("*"))

    def double(module, args, output=None):
        return (args[0] * 2, *args[1:]) if output is None else output * 2

    handle = getattr(model.encoder.layer[0].output.dense, kind)(double)
    with pytest.warns(UserWarning, match="hooks.*neither read nor written"):
        changed = extractor.transform(words).pool("mean")
    assert np.abs(changed - plain).max() > 1e-3
    assert sorted(folder.rglob("*")) == shards
    handle.remove()
    np.testing.assert_array_equal(extractor.transform(words).pool("mean"), plain)


# Other inputs


@pytest.mark.slow
def test_windows_and_pairs_and_empty_texts_are_cached(tiny, words, folder, count_forwards):
    import pandas as pd

    pairs = pd.DataFrame({"text": ["Dogs", "Dogs", "A"], "text_pair": ["bark", "bite", "b"]})
    for place, X, parameters in (
        ("windows", words, {"max_length": 9}),
        ("texts", ["Dogs bark", "", "A dog"], {"special_tokens": True}),
        ("pairs", pairs, {}),
    ):
        parameters["cache"] = folder / place
        plain = pool(tiny("bert"), X, **{**parameters, "cache": None})
        np.testing.assert_array_equal(pool(tiny("bert"), X, **parameters), plain)
        count_forwards.clear()
        np.testing.assert_array_equal(pool(tiny("bert"), X, **parameters), plain)
        assert count_forwards == []


def test_pairs_differ_from_their_joined_tokens(tiny, folder):
    """The segments are part of what a model reads, and so of the key."""
    import pandas as pd

    pair = pd.DataFrame({"text": ["Dogs bark"], "text_pair": ["A dog"]})
    joined = ["Dogs bark [SEP] A dog"]
    cold = pool(tiny("bert"), pair, cache=folder)
    with pytest.warns(UserWarning, match="special token"):
        found = pool(tiny("bert"), joined, cache=folder)
    with pytest.warns(UserWarning, match="special token"):
        plain = pool(tiny("bert"), joined)
    np.testing.assert_array_equal(found, plain)
    assert np.abs(found - cold).max() > 1e-4


@pytest.mark.slow
def test_a_text_without_tokens_is_not_computed(tiny, folder):
    texts = ["Dogs bark", "", "A dog"]
    with pytest.warns(UserWarning, match="1 of 3 rows"):
        H = pool(tiny("gpt2"), texts, cache=folder)
    with pytest.warns(UserWarning, match="1 of 3 rows"):
        np.testing.assert_array_equal(pool(tiny("gpt2"), texts, cache=folder), H)
    assert (H[1] == 0).all() and np.abs(H[[0, 2]]).max(axis=1).min() > 0


@pytest.mark.parametrize("make", [str, lambda folder: folder, ActivationCache])
def test_a_cache_can_be_given_in_three_ways(make, tiny, words, folder, count_forwards):
    H = pool(tiny("bert"), words, cache=make(folder))
    count_forwards.clear()
    np.testing.assert_array_equal(pool(tiny("bert"), words, cache=str(folder)), H)
    assert count_forwards == []


@pytest.mark.parametrize("make", [str, ActivationCache])
def test_a_tilde_is_the_home_of_the_current_user(make, tiny, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    extractor = ActivationExtractor(tiny("bert"), cache=make("~/cache"))
    assert "'~/cache'" in repr(extractor)
    assert extractor.fill_cache(words) == words["text"].nunique()
    SubwordAggregator(memmap="~/H.npy").fit_transform(extractor.transform(words))
    assert sorted(path.name for path in (tmp_path / "me").iterdir()) == ["H.npy", "cache"]
    stored = pickle.dumps(extractor)
    monkeypatch.setenv("HOME", str(tmp_path / "you"))
    assert pickle.loads(stored).fill_cache(words) == words["text"].nunique()
    assert not (tmp_path / "~").exists()


@pytest.mark.slow
def test_a_grid_search_reads_each_text_once(tiny, words, folder, count_forwards):
    pipeline = make_pipeline(
        ActivationExtractor(tiny("bert"), cache=folder),
        SubwordAggregator(),
        LogisticRegression(C=0.1, max_iter=500),
    )
    grid = {
        "subwordaggregator__strategy": STRATEGIES,
        "activationextractor__layers": [0, 1, [0, 2], None],
    }
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3), error_score="raise")
    search.fit(words, words["tag"], groups=words["text"])
    assert sum(count_forwards) == 6
    assert len(search.cv_results_["params"]) == 16
    plain = GridSearchCV(
        pipeline.set_params(activationextractor__cache=None), grid, cv=GroupKFold(3)
    ).fit(words, words["tag"], groups=words["text"])
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], atol=0.03
    )


def test_pickles_find_the_cache_again(tiny, words, folder, count_forwards):
    plan = ActivationExtractor(tiny("bert"), cache=folder).transform(words)
    H = plan.pool("mean")
    count_forwards.clear()
    for stored in (plan, ActivationExtractor(tiny("bert"), cache=ActivationCache(folder))):
        restored = pickle.loads(pickle.dumps(stored))
        plan = restored.transform(words) if hasattr(restored, "transform") else restored
        np.testing.assert_array_equal(plan.pool("mean"), H)
    assert count_forwards == []


def test_slices_of_a_plan_read_the_cache(tiny, words, folder, count_forwards):
    plan = ActivationExtractor(tiny("bert"), cache=folder).transform(words)
    H = plan.pool("mean")
    count_forwards.clear()
    rows = [30, 2, 2, 17]
    np.testing.assert_array_equal(plan[rows].pool("mean"), H[rows])
    assert count_forwards == []


def test_an_error_in_the_model_leaves_a_cache_that_works(tiny, words, folder, monkeypatch):
    def fails(*_):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("sklearn_neurox.extraction._model._forward.run_hidden", fails)
        with pytest.raises(RuntimeError, match="out of memory"):
            pool(tiny("bert"), words, cache=folder)
    np.testing.assert_array_equal(
        pool(tiny("bert"), words, cache=folder), pool(tiny("bert"), words)
    )


def test_a_folder_that_cannot_be_written_is_an_error(tiny, words, tmp_path):
    (tmp_path / "file").write_text("in the way")
    message = r"cache folder '.*file' cannot be created or written to.*cache="
    with pytest.raises(OSError, match=message):
        pool(tiny("bert"), words, cache=tmp_path / "file")


def test_shards_have_ordinary_permissions_and_no_partial_file_stays(
    tiny, words, tmp_path, monkeypatch
):
    cache = tmp_path / "cache"
    pool(tiny("bert"), words, cache=cache)
    shards = list(cache.rglob("*.safetensors"))
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert {shard.stat().st_mode for shard in shards} == {plain.stat().st_mode}
    for shard in shards:
        shard.unlink()
    monkeypatch.setattr(os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pool(tiny("bert"), words, cache=cache)
    left = [path.name for path in cache.rglob("*") if path.is_file()]
    assert left == ["sklearn-neurox-cache.txt"]
