# SPDX-License-Identifier: BSD-3-Clause
"""Filling a cache: with one process or many, killed or out of memory, always the same bits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    SubwordAggregator,
)
from sklearn_neurox.extraction._cache._shard import Shard
from sklearn_neurox.extraction._model import _forward

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    pytest.mark.usefixtures("one_thread"),
]


def shards_of(folder):
    return sorted(folder.rglob("*.safetensors"))


def pool(model, texts, cache=None, **parameters):
    parameters = {"max_batch_tokens": 60, **parameters}
    return ActivationExtractor(model, cache=cache, **parameters).transform(texts).pool("mean")


# How many texts the model reads


@pytest.mark.slow
def test_fill_cache_counts_the_texts_the_model_read(tiny, texts, tmp_path, count_forwards):
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path, layers=1)
    assert extractor.fill_cache(texts[:20] + texts[:5]) == 20
    assert extractor.fill_cache(texts[:20]) == 0
    assert extractor.fill_cache(texts[10:30]) == 10
    assert sum(count_forwards) == 30
    assert ActivationCache(tmp_path).info()[["sentences", "layers"]].values.tolist() == [[30, 3]]


def test_fill_cache_needs_a_cache(tiny, texts):
    with pytest.raises(ValueError, match="needs a folder: set it with cache="):
        ActivationExtractor(tiny("bert")).fill_cache(texts)


@pytest.mark.slow
def test_a_generator_is_processed_in_portions(tiny, texts, tmp_path, count_forwards, monkeypatch):
    from sklearn_neurox.extraction import _extractor

    monkeypatch.setattr(_extractor, "_PORTION", 16)
    taken, ahead = [], []

    def read():
        for text in [*texts, *texts[:7]]:
            taken.append(text)
            ahead.append(len(taken) - sum(count_forwards))
            yield text

    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path)
    assert extractor.fill_cache(read()) == len(texts)
    assert max(ahead) <= 16 + 7  # each portion is computed before the next is taken
    assert extractor.fill_cache(iter(texts)) == 0
    assert extractor.fill_cache(iter([])) == 0

    class Corpus:
        def __iter__(self):
            return iter(["Dogs", "bark"])

    assert extractor.fill_cache(Corpus()) == 2


def test_empty_texts_are_kept_too(tiny, tmp_path, count_forwards):
    extractor = ActivationExtractor(tiny("gpt2"), cache=tmp_path)
    with pytest.warns(UserWarning, match="drops all"):
        assert extractor.fill_cache(["", "Dogs bark"]) == 2
    with pytest.warns(UserWarning, match="drops all"):
        assert extractor.fill_cache(["", "Dogs bark"]) == 0
    assert sum(count_forwards) == 1


@pytest.mark.slow
def test_a_search_with_five_folds_reads_each_sentence_once(tiny, words, tmp_path, count_forwards):
    pipeline = make_pipeline(
        ActivationExtractor(tiny("bert"), cache=tmp_path),
        SubwordAggregator(),
        RidgeClassifier(),
    )
    grid = {
        "activationextractor__layers": [0, None],
        "subwordaggregator__strategy": ["first", "last", "mean"],
        "ridgeclassifier__alpha": [1.0, 10.0],
    }
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(5), error_score="raise")
    search.fit(words, words["tag"], groups=words["text"])
    assert sum(count_forwards) == words["text"].nunique()
    count_forwards.clear()
    again = GridSearchCV(pipeline, grid, cv=GroupKFold(5), error_score="raise")
    again.fit(words, words["tag"], groups=words["text"])
    assert count_forwards == []
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


@pytest.mark.slow
def test_a_search_in_processes_on_a_cold_cache_is_right(tiny, words, tmp_path):
    """Several processes may compute the same text at once: wasted work, but never wrong results."""
    pipeline = make_pipeline(
        ActivationExtractor(tiny("bert")), SubwordAggregator(), NearestCentroid()
    )
    grid = {"activationextractor__layers": [0, 1, 2, None]}

    def search(n_jobs, cache):
        pipeline.set_params(activationextractor__cache=cache)
        found = GridSearchCV(pipeline, grid, cv=GroupKFold(3), n_jobs=n_jobs, error_score="raise")
        found.fit(words, words["tag"], groups=words["text"])
        return found.cv_results_["mean_test_score"]

    np.testing.assert_array_equal(search(2, tmp_path), search(None, None))
    cache = ActivationCache(tmp_path)
    assert cache.verify().empty
    assert cache.info()["sentences"].tolist() == [words["text"].nunique()]
    assert ActivationExtractor(tiny("bert"), cache=cache).fill_cache(words) == 0


# Many processes


@pytest.mark.slow
def test_workers_write_the_same_shards_as_a_single_process(tiny, texts, tmp_path, capfd):
    import joblib

    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path / "one", max_batch_tokens=60)
    extractor.fill_cache(texts)
    extractor.set_params(cache=tmp_path / "two", verbose=1)
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert extractor.fill_cache(texts) == len(texts)
    names = [[p.name for p in shards_of(tmp_path / name)] for name in ("one", "two")]
    assert names[0] == names[1]
    assert "100%" in capfd.readouterr().err


@pytest.mark.slow
def test_processes_share_the_work_and_give_the_same_bits_as_one(tiny, texts, tmp_path):
    expected = pool(tiny("bert"), texts)
    extractor = ActivationExtractor(
        tiny("bert"), cache=tmp_path / "cache", n_jobs=2, max_batch_tokens=60
    )
    assert extractor.fill_cache(texts[:50]) == 50
    assert extractor.fill_cache(texts) == len(texts) - 50
    np.testing.assert_allclose(extractor.transform(texts).pool("mean"), expected, atol=2e-5)
    one, two = tmp_path / "one", tmp_path / "two"
    pool(tiny("bert"), texts, one)
    extractor.set_params(cache=two).fill_cache(texts)
    assert [p.name for p in shards_of(one)] == [p.name for p in shards_of(two)]


@pytest.mark.slow
def test_the_process_that_distributes_the_work_loads_no_model(tiny, texts, tmp_path, monkeypatch):
    from sklearn_neurox.extraction import clear_loaded_models

    clear_loaded_models()
    monkeypatch.setattr("sklearn_neurox.extraction._model._loading._build_model", None)
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path, n_jobs=2)
    assert extractor.fill_cache(texts[:30]) == 30


def test_a_live_model_stays_in_its_process(live, texts, tmp_path, count_forwards):
    model, tokenizer = live("bert")
    extractor = ActivationExtractor(model, tokenizer=tokenizer, cache=tmp_path, n_jobs=2)
    assert extractor.fill_cache(texts[:10]) == 10
    assert sum(count_forwards) == 10


@pytest.mark.parametrize(("device", "name", "expected"), [
    (None, "LokyProcess-5", "cuda:1"), ("auto", "MainProcess", "cuda:0"),
    ("cuda", "LokyProcess-2", "cuda:2"), ("cpu", "LokyProcess-2", "cpu"),
    ("cuda:3", "LokyProcess-2", "cuda:3"),
])  # fmt: skip
def test_each_worker_takes_its_own_gpu(device, name, expected, monkeypatch):
    import multiprocessing

    from sklearn_neurox.extraction._cache import _filling

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(multiprocessing.current_process(), "_name", name)
    assert _filling._own_device(device) == expected
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert _filling._own_device(device) == device


@pytest.mark.parametrize(("name", "expected"), [(0, "cuda:0"), (3, "cuda:1"), ("node-5", "cuda:1")])
def test_each_worker_of_a_cluster_takes_its_own_gpu(name, expected, monkeypatch):
    """All processes of a cluster have the same name, without a number."""
    import distributed

    from sklearn_neurox.extraction._cache import _filling

    class Worker:
        pass

    worker = Worker()
    worker.name = name
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert _filling._own_device("cuda") == "cuda:0"  # not a worker
    monkeypatch.setattr(distributed, "get_worker", lambda: worker)
    assert _filling._own_device("cuda") == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_fills_the_cache(tiny, texts, tmp_path):
    """Worker processes of a real scheduler, each writing its own shards."""
    import joblib
    from distributed import Client, LocalCluster

    expected = pool(tiny("bert"), texts, tmp_path / "one")
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path / "cluster", max_batch_tokens=60)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        assert extractor.fill_cache(texts) == len(texts)
    one, many = shards_of(tmp_path / "one"), shards_of(tmp_path / "cluster")
    assert [p.name for p in one] == [p.name for p in many]
    np.testing.assert_array_equal(extractor.transform(texts).pool("mean"), expected)


# Out of memory


@pytest.fixture
def small_memory(monkeypatch):
    """Make batches above a size fail in the second block, like a GPU that runs out of memory."""
    run_hidden = _forward.run_hidden

    def limit(n, error=torch.OutOfMemoryError, late=False):
        def run(model, traits_by_stack, inputs, blocks, visit):
            def visit_or_fail(block, state):
                if len(inputs["input_ids"]) > n and (not late or block == len(blocks) - 1):
                    raise error("CUDA out of memory. Tried to allocate 2.00 GiB")
                visit(block, state)

            run_hidden(model, traits_by_stack, inputs, blocks, visit_or_fail)

        monkeypatch.setattr(_forward, "run_hidden", run)

    return limit


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
@pytest.mark.parametrize("n", [1, 3])
def test_a_batch_too_large_for_the_memory_is_halved(
    n, error, late, tiny, words, tmp_path, small_memory
):
    plain = {
        (strategy, size): ActivationExtractor(tiny("bert"), max_length=size)
        .transform(words).pool(strategy) for strategy in ("mean", "max") for size in (9, None)
    }  # fmt: skip
    small_memory(n, error, late)
    for (strategy, size), H in plain.items():
        extractor = ActivationExtractor(tiny("bert"), max_length=size)
        found = extractor.transform(words).pool(strategy)
        np.testing.assert_allclose(found, H, rtol=0, atol=2e-5)
        cached = extractor.set_params(cache=tmp_path).transform(words).pool(strategy)
        np.testing.assert_allclose(cached, H, rtol=0, atol=2e-5)
    notes = {Shard(path).note for path in shards_of(tmp_path)}
    assert "not in one piece, which was too large for the memory" in notes


def test_one_text_too_large_for_the_memory_is_an_error(tiny, words, tmp_path, small_memory):
    small_memory(0)
    with pytest.raises(torch.OutOfMemoryError):
        pool(tiny("bert"), words, tmp_path)
    assert not shards_of(tmp_path)
