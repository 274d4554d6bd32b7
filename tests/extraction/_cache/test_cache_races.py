# SPDX-License-Identifier: BSD-3-Clause
"""A model that changes while a cache fills, clocks that differ, and caches that are read-only."""

import os
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.extraction import ActivationCache, ActivationExtractor, SubwordAggregator
from sklearn_neurox.extraction._cache import _cache_folder, _shard, _shard_store
from sklearn_neurox.extraction._cache._shard_index import forget_indices
from sklearn_neurox.extraction._model import _forward

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
    # Some ablations begin and end while the model does not run.
    pytest.mark.filterwarnings("ignore:The model did not run:UserWarning"),
]


def shards_of(folder):
    return sorted(folder.glob("v4-*/*.safetensors"))


@pytest.fixture
def during(monkeypatch):
    """Do something while the model reads its n-th batch: before, within or after the forward."""
    run_hidden = _forward.run_hidden

    def install(n, act, moment):
        count = [0]

        def run(model, traits, inputs, blocks, visit):
            count[0] += 1
            if count[0] == n and moment == "before":
                act()

            def visit_and_act(block, state):
                visit(block, state)
                if count[0] == n and moment == "within" and block == 0:
                    thread = threading.Thread(target=act)
                    thread.start()
                    thread.join()

            run_hidden(model, traits, inputs, blocks, visit_and_act)
            if count[0] == n and moment == "after":
                act()

        monkeypatch.setattr(_forward, "run_hidden", run)

    return install


# Each changes what the model computes; the second function undoes it.


def _ablation(model):
    context = ablate_model(model, ["hidden.1.3", "hidden.0.2"])
    context.__enter__()
    return lambda: context.__exit__(None, None, None)


def _short_ablation(model):
    """Begins and ends within a batch."""
    _ablation(model)()
    return lambda: None


def _hook(model):
    return model.encoder.layer[0].register_forward_hook(lambda *_: None).remove


def _global_hook(model):
    return torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: None).remove


def _step(model):
    weight = model.encoder.layer[1].output.dense.weight
    with torch.no_grad():
        weight.mul_(2)

    def undo():
        with torch.no_grad():
            weight.div_(2)

    return undo


def _data(model):
    """Bypass torch's count of changes."""
    weight = model.encoder.layer[1].output.dense.weight
    weight.data.mul_(2)
    return lambda: weight.data.div_(2)


def _replaced(model):
    dense = model.encoder.layer[1].output.dense
    old = dense.weight
    dense.weight = torch.nn.Parameter(old.detach() * 2)
    return lambda: setattr(dense, "weight", old)


def _training(model):
    model.train()
    return model.eval


def _module(model):
    layer = model.encoder.layer[0].intermediate
    old = layer.dense
    layer.dense = torch.nn.Sequential(old, torch.nn.Dropout(0.0).eval())
    return lambda: setattr(layer, "dense", old)


_CHANGES = [
    _ablation, _short_ablation, _hook, _global_hook, _step, _data, _replaced, _training, _module,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "within", "after"])
@pytest.mark.parametrize("change", _CHANGES, ids=lambda change: change.__name__)
def test_what_a_changed_model_read_is_not_stored(change, moment, live, words, tmp_path, during):
    """Whatever is in the folder of the model as it was, is right: the shards before the change."""
    model, tokenizer = live("bert")
    model.eval()
    plain = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("mean")
    extractor = ActivationExtractor(
        model, tokenizer=tokenizer, cache=tmp_path / "cache", max_batch_tokens=20
    )
    undo = []
    during(2, lambda: undo.append(change(model)), moment)
    with pytest.raises(RuntimeError, match=r"while the cache folder .* was being filled"):
        extractor.fill_cache(words)
    assert len(undo) == 1 and len(shards_of(tmp_path / "cache")) == 1
    undo[0]()
    extractor.transform(words).pool("mean")
    for path in shards_of(tmp_path / "cache"):  # the change is undone, so all must be right
        assert path.parent.name == ActivationCache(tmp_path / "cache").info()["fingerprint"][0]
    np.testing.assert_allclose(extractor.transform(words).pool("mean"), plain, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_a_change_while_pooling_is_followed(live, words, tmp_path, during):
    """Ablation: without the cache from then on. Other weights: into another folder."""
    model, tokenizer = live("bert")
    for change, n_folders in ((_ablation, 1), (_step, 2)):
        cache = tmp_path / change.__name__
        extractor = ActivationExtractor(
            model, tokenizer=tokenizer, cache=cache, max_batch_tokens=20
        )
        undo = []
        during(2, lambda change=change, undo=undo: undo.append(change(model)), "within")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = extractor.transform(words).pool("mean")
        assert any("neither read nor written" in str(w.message) for w in caught) == (n_folders == 1)
        changed = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("mean")
        np.testing.assert_allclose(found, changed, rtol=0, atol=2e-5)
        undo[0]()
        plain = ActivationExtractor(model, tokenizer=tokenizer).transform(words).pool("mean")
        assert np.abs(plain - found).max() > 1e-3
        np.testing.assert_allclose(
            extractor.transform(words).pool("mean"), plain, rtol=0, atol=2e-5
        )
        assert len(ActivationCache(cache).info()) == n_folders


@pytest.mark.slow
def test_a_model_folder_rewritten_while_the_cache_fills(tiny, words, tmp_path, during):
    import shutil

    path = tmp_path / "model"
    shutil.copytree(tiny("bert"), path)
    extractor = ActivationExtractor(path, cache=tmp_path / "cache", max_batch_tokens=20)

    def rewrite():
        from transformers import AutoModel

        model = AutoModel.from_pretrained(path)
        _step(model)
        model.save_pretrained(path)

    during(2, rewrite, "within")
    with pytest.raises(RuntimeError, match="weights of the model were changed"):
        extractor.fill_cache(words)
    found = extractor.transform(words).pool("mean")
    plain = ActivationExtractor(path).transform(words).pool("mean")
    np.testing.assert_allclose(found, plain, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_an_ablation_in_another_thread_does_not_reach_the_cache(live, texts, tmp_path):
    model, tokenizer = live("bert")
    plain = ActivationExtractor(model, tokenizer=tokenizer).transform(texts).pool("mean")
    stop = threading.Event()

    def ablate():
        while not stop.is_set():
            with ablate_model(model, ["hidden.1.3", "hidden.0.2"]):
                time.sleep(0.002)
            time.sleep(0.01)

    thread = threading.Thread(target=ablate)
    thread.start()
    try:
        for _ in range(40):
            extractor = ActivationExtractor(
                model, tokenizer=tokenizer, cache=tmp_path, max_batch_tokens=60
            )
            try:
                extractor.fill_cache(texts)
                break
            except (RuntimeError, ValueError) as error:
                assert "hooks" in str(error) or "was changed" in str(error)
    finally:
        stop.set()
        thread.join()
    np.testing.assert_allclose(extractor.transform(texts).pool("mean"), plain, rtol=0, atol=2e-5)


# Removed while it is filled, and clocks


@pytest.mark.parametrize("what", ["temporary", "folder", "everything"])
def test_a_writer_whose_file_vanishes_writes_again(what, tiny, words, tmp_path, monkeypatch):
    import shutil

    folder, removed = tmp_path / "cache", []
    write_whole = _shard.write_whole

    def write_slowly(path, write, **options):
        def write_and_lose(name):
            write(name)
            if len(removed) < 2:
                removed.append(name)
                if what == "temporary":
                    os.unlink(name)
                else:
                    shutil.rmtree(path.parent if what == "folder" else folder)

        write_whole(path, write_and_lose, **options)

    monkeypatch.setattr(_shard, "write_whole", write_slowly)
    extractor = ActivationExtractor(tiny("bert"), cache=folder)
    assert extractor.fill_cache(words) == 6 and len(removed) == 2
    assert extractor.fill_cache(words) == 0 and ActivationCache(folder).verify().empty
    assert (folder / "sklearn-neurox-cache.txt").exists() and not list(folder.rglob("*.tmp"))
    removed.clear()
    monkeypatch.setattr(_shard_store, "_MAX_TRIES", 2)
    with pytest.raises(OSError, match="cannot be created or written to"):
        extractor.fill_cache(["A new text"])


def test_ages_are_told_by_the_folders_clock(tiny, words, tmp_path, monkeypatch):
    """The clock of the file server, not of this machine, which may be years ahead or behind."""
    cache = ActivationCache(tmp_path)
    ActivationExtractor(tiny("bert"), cache=cache).fill_cache(words)
    shard = shards_of(tmp_path)[0]
    young, old = (shard.with_name(f".{shard.name}.{n * 32}.tmp") for n in "ab")
    for path in (young, old):
        path.write_bytes(b"")
    os.utime(old, (time.time() - 4000,) * 2)
    for ahead in (1e9, -1e9):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: 1.8e9 + ahead)
        cache.prune()
        assert young.exists() and not old.exists()
    # A server whose own clock is two hours ahead: a file that is being written is young there.
    os.utime(young, (1e9, 1e9))
    monkeypatch.setattr(_cache_folder, "_clock_of", lambda folder: 1e9 + 60)
    assert cache.prune() == 0 and young.exists()
    monkeypatch.setattr(_cache_folder, "_clock_of", lambda folder: 1e9 + 4000)
    cache.prune()
    assert not young.exists() and not list(tmp_path.rglob("*.tmp"))


# Read-only


@pytest.fixture
def read_only(monkeypatch):
    """Make a folder read-only, as root may write everywhere."""

    def protect(folder):
        real = os.access
        monkeypatch.setattr(
            os, "access",
            lambda path, mode, **kw: not (mode & os.W_OK and str(path).startswith(str(folder)))
            and real(path, mode, **kw),
        )  # fmt: skip

    return protect


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["first", "last", "mean", "max", "cls"])
@pytest.mark.parametrize("max_length", [None, 9])
def test_a_read_only_cache_is_supplemented_in_memory(
    strategy, max_length, tiny, words, tmp_path, read_only, count_forwards
):
    make = lambda **kw: ActivationExtractor(tiny("bert"), max_length=max_length, **kw)  # noqa: E731
    X = words["text"].unique().tolist() if strategy == "cls" else words
    some = words["text"].unique()[[1, 3, 5]].tolist()
    make(cache=tmp_path).fill_cache(some)
    plain = make().transform(X).pool(strategy)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    read_only(tmp_path)
    for _ in range(2):
        count_forwards.clear()
        with pytest.warns(UserWarning, match=r"is read-only and lacks 3 of 6 texts.*cache="):
            found = make(cache=tmp_path).transform(X).pool(strategy)
        np.testing.assert_allclose(found, plain, rtol=0, atol=2e-5)
    assert max_length or sum(count_forwards) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        count_forwards.clear()
        make(cache=tmp_path).transform(some).pool("mean")
        assert make(cache=tmp_path).fill_cache(some) == 0 and count_forwards == []
    with pytest.raises(PermissionError, match="cannot be created or written to"):
        make(cache=tmp_path).fill_cache(X)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == files


@pytest.mark.slow
def test_an_empty_or_absent_read_only_cache_is_supplemented(tiny, words, tmp_path, read_only):
    plain = ActivationExtractor(tiny("bert")).transform(words)
    (tmp_path / "empty").mkdir()
    read_only(tmp_path)
    for name in ("empty", "absent"):
        extractor = ActivationExtractor(tiny("bert"), cache=tmp_path / name)
        with pytest.warns(UserWarning, match="lacks 6 of 6 texts"):
            plan = extractor.transform(words)
            H = SubwordAggregator("mean", dtype="float16").fit_transform(plan[::3])
        np.testing.assert_allclose(H, plain[::3].pool("mean"), rtol=0, atol=2e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_write_that_is_denied_only_then_is_supplemented_too(tiny, words, tmp_path, monkeypatch):
    """As on a network folder that maps users."""
    import errno

    plain = ActivationExtractor(tiny("bert")).transform(words).pool("last")

    def denied(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(_shard_store, "write_shard", denied)
    with pytest.warns(UserWarning, match="read-only and lacks 6 of 6 texts"):
        found = ActivationExtractor(tiny("bert"), cache=tmp_path).transform(words).pool("last")
    np.testing.assert_allclose(found, plain, rtol=0, atol=2e-5)


def test_damage_in_a_read_only_cache_is_computed_in_memory(tiny, words, tmp_path, read_only):
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path, max_batch_tokens=20)
    H = extractor.fill_cache(words) and extractor.transform(words).pool("mean")
    path = shards_of(tmp_path)[1]
    stored = bytearray(path.read_bytes())
    low = len(stored) // 2
    stored[low] ^= 255
    path.write_bytes(stored)
    forget_indices()
    read_only(tmp_path)
    with pytest.warns(UserWarning) as caught:
        np.testing.assert_allclose(extractor.transform(words).pool("mean"), H, rtol=0, atol=2e-5)
    messages = " ".join(str(warning.message) for warning in caught)
    assert "is damaged" in messages and "read-only and lacks" in messages
