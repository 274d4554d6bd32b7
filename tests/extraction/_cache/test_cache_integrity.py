# SPDX-License-Identifier: BSD-3-Clause
"""The contents of a cache are checked, counted, merged and removed, and never wrong."""

import os
import resource
import warnings

import numpy as np
import pytest
from safetensors import safe_open

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction._cache._shard import Shard
from sklearn_neurox.extraction._cache._shard_index import forget_indices

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


@pytest.fixture
def filled(tiny, words, tmp_path):
    """Return a cache of several shards, and the matrix it should yield."""
    cache = ActivationCache(tmp_path / "cache")
    H = pool(tiny("bert"), words, cache)
    return cache, H


def pool(model, words, cache, strategy="mean", **parameters):
    extractor = ActivationExtractor(model, cache=cache, max_batch_tokens=20, **parameters)
    return extractor.transform(words).pool(strategy)


def shards_of(cache):
    return sorted(cache.folder.rglob("*.safetensors"))


# Damage


@pytest.mark.slow
def test_no_flipped_bit_is_ever_returned_as_data(filled, tiny, words):
    """Every region of the file is flipped, including the header and the padding."""
    cache, H = filled
    path = shards_of(cache)[0]
    stored = path.read_bytes()
    rng = np.random.default_rng(0)
    header = 8 + int.from_bytes(stored[:8], "little")
    places = [*rng.integers(0, header, 12), *rng.integers(header, len(stored), 28), 0, 7]
    for place in [*places, len(stored) - 1]:
        flipped = bytearray(stored)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.unlink()
        path.write_bytes(flipped)
        forget_indices()
        assert [str(path)] == cache.verify()["path"].tolist()
        with pytest.warns(UserWarning, match=rf"{path.name} is damaged .*computed again"):
            np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
        assert path.read_bytes() == stored  # computed again, with the same bits
    assert cache.verify().empty


@pytest.mark.slow
def test_only_the_requested_layers_are_read(filled, tiny, words):
    """Layers that are not requested are not read, so damage to them goes unnoticed."""
    cache, H = filled
    for path in shards_of(cache):
        shard = Shard(path)
        place = shard._header.blocks["hidden.2"]
        stored = bytearray(path.read_bytes())
        stored[place.start : place.stop] = bytes(place.stop - place.start)
        path.write_bytes(stored)
    forget_indices()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pool(tiny("bert"), words, cache, layers=[0, 1])
    np.testing.assert_array_equal(found, H[:, :32])
    with pytest.warns(UserWarning, match="checksum of its text .* in hidden.2 does not match"):
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)


def test_a_renamed_shard_is_not_used(filled, tiny, words):
    cache, H = filled
    path = shards_of(cache)[0]
    alien = path.with_name("0" * 32 + path.suffix)
    alien.write_bytes(path.read_bytes())
    with pytest.warns(UserWarning, match="renamed or changed"):
        np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    assert cache.verify()["problem"].str.contains("renamed or changed").tolist() == [True]
    assert cache.prune() == path.stat().st_size
    assert not alien.exists() and path.exists()
    forget_indices()
    np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)


def test_damage_that_appears_while_a_shard_is_open_is_seen_by_verify(filled):
    cache, _ = filled
    path = shards_of(cache)[0]
    assert cache.verify().empty
    with open(path, "r+b") as file:
        file.seek(-40, os.SEEK_END)
        byte = file.read(1)
        file.seek(-40, os.SEEK_END)
        file.write(bytes([byte[0] ^ 255]))
    assert cache.verify()["path"].tolist() == [str(path)]


@pytest.mark.slow
def test_a_plan_whose_shards_were_removed_is_computed_again(filled, tiny, words):
    cache, H = filled
    plan = ActivationExtractor(tiny("bert"), cache=cache, max_batch_tokens=20).transform(words)
    for path in shards_of(cache):
        path.unlink()
    np.testing.assert_array_equal(plan.pool("mean"), H)


def test_other_software_reads_the_shards(filled):
    """Shards are safetensors: states, digests, and the characters of each token."""
    cache, _ = filled
    for path in shards_of(cache):
        ours = Shard(path)
        with safe_open(path, framework="np") as theirs:
            assert {"hidden.0", "hidden.1", "hidden.2"} < set(theirs.keys())
            for block in ours.blocks:
                np.testing.assert_array_equal(theirs.get_tensor(block), ours.states([block])[0])
            assert len(theirs.get_tensor("table.key")) == len(ours)


# Housekeeping


def test_info_counts_sentences_tokens_layers_and_bytes(filled, tiny, words, tmp_path):
    cache, _ = filled
    pool(tiny("gpt2"), words[:11], cache)
    info = cache.info().sort_values("sentences", ignore_index=True)
    assert info["sentences"].tolist() == [2, 6] and info["layers"].tolist() == [3, 3]
    assert info["model"].tolist() == [os.path.basename(tiny(f)) for f in ("gpt2", "bert")]
    plan = ActivationExtractor(tiny("bert")).transform(words)
    assert info["tokens"][1] == plan._source.sequences.lengths.sum()
    assert info["bytes"].sum() == sum(path.stat().st_size for path in shards_of(cache))
    assert info["shards"].sum() == len(shards_of(cache))
    assert set(info["dtype"]) == {"float32"}
    assert ActivationCache(tmp_path / "nowhere").info().empty
    assert ActivationCache(tmp_path / "nowhere").verify().empty


def test_compaction_loses_nothing(filled, tiny, words, count_forwards):
    cache, H = filled
    before = cache.info()
    n_shards = len(shards_of(cache))
    count_forwards.clear()
    assert cache.compact() == n_shards - 1
    assert len(shards_of(cache)) == 1 and cache.verify().empty
    same = ["fingerprint", "model", "sentences", "tokens", "layers"]
    assert cache.info()[same].equals(before[same])
    np.testing.assert_array_equal(pool(tiny("bert"), words, cache), H)
    assert cache.compact() == 0
    assert count_forwards == []


def test_compaction_may_happen_under_an_open_plan(filled, tiny, words, count_forwards):
    cache, H = filled
    extractor = ActivationExtractor(tiny("bert"), cache=cache, max_batch_tokens=20)
    plan = extractor.transform(words)
    count_forwards.clear()
    assert cache.compact() > 0
    np.testing.assert_array_equal(plan.pool("mean"), H)
    assert count_forwards == []


def test_compaction_keeps_shards_within_the_limit_and_drops_duplicates(tiny, words, tmp_path):
    cache = ActivationCache(tmp_path / "cache")
    pool(tiny("bert"), words, cache)
    size = max(path.stat().st_size for path in shards_of(cache))
    n_shards = len(shards_of(cache))
    assert 0 < cache.compact(max_bytes=3 * size) < n_shards - 1
    assert all(path.stat().st_size <= 3 * size for path in shards_of(cache))
    # The same sentences again, as another request with different batches.
    other = ActivationCache(tmp_path / "other")
    ActivationExtractor(tiny("bert"), cache=other).fill_cache(words[:11])
    for path in shards_of(other):
        (cache.folder / path.parent.name / path.name).write_bytes(path.read_bytes())
    assert cache.info()["sentences"].tolist() == [6]
    cache.compact()
    assert cache.info()["sentences"].tolist() == [6]
    entries = [len(Shard(path)) for path in shards_of(cache)]
    assert sum(entries) == 6
    assert cache.verify().empty


@pytest.mark.slow
def test_an_interrupted_request_resumes_to_the_same_bits_after_a_compaction(tiny, words, tmp_path):
    whole, cut = ActivationCache(tmp_path / "whole"), ActivationCache(tmp_path / "cut")
    H = pool(tiny("bert"), words, whole)
    pool(tiny("bert"), words, cut)
    for path in shards_of(cut)[::2]:
        path.unlink()
    cut.compact()
    np.testing.assert_array_equal(pool(tiny("bert"), words, cut), H)


@pytest.mark.slow
def test_prune_frees_models_and_leftovers(filled, tiny, words):
    cache, _ = filled
    pool(tiny("gpt2"), words, cache)
    info = cache.info().set_index("model")
    gpt2 = info.loc[os.path.basename(tiny("gpt2"))]
    with pytest.raises(ValueError, match="holds no fingerprint 'nonsense'"):
        cache.prune([gpt2["fingerprint"], "nonsense"])
    assert len(cache.info()) == 2
    assert cache.prune([gpt2["fingerprint"]]) == gpt2["bytes"]
    assert cache.info()["model"].tolist() == [os.path.basename(tiny("bert"))]
    shard = shards_of(cache)[0]
    old, young = (shard.with_name(f".{shard.name}.{n * 32}.tmp") for n in "ab")
    for path in (old, young):
        path.write_bytes(shard.read_bytes()[:100])
    os.utime(old, (0, 0))
    assert cache.prune() == 100
    assert young.exists() and not old.exists()
    # The next run removes leftovers, too.
    os.utime(young, (0, 0))
    pool(tiny("bert"), ["A new sentence"], cache)
    assert not young.exists()


def test_parameters_are_checked(tmp_path):
    with pytest.raises(ValueError, match="layers must be 'all' or 'asked'"):
        ActivationCache(tmp_path, layers="some")
    with pytest.raises(ValueError, match="dtype must be 'float32', 'float16' or 'bfloat16'"):
        ActivationCache(tmp_path, dtype="int8")
    assert repr(ActivationCache("a", dtype="float16")) == "ActivationCache('a', dtype='float16')"


# What is stored


@pytest.mark.slow
def test_only_the_requested_layers_are_stored_with_layers_asked(
    tiny, words, tmp_path, count_forwards
):
    cache = ActivationCache(tmp_path / "cache", layers="asked")
    plain = {layer: pool(tiny("bert"), words, None, layers=layer) for layer in range(3)}
    count_forwards.clear()
    np.testing.assert_array_equal(pool(tiny("bert"), words, cache, layers=1), plain[1])
    assert cache.info()["layers"].tolist() == [1] and sum(count_forwards) == 6
    np.testing.assert_array_equal(pool(tiny("bert"), words, cache, layers=[-1]), plain[2])
    assert sum(count_forwards) == 12
    H = pool(tiny("bert"), words, cache, layers=[2, 1])
    np.testing.assert_array_equal(H, np.hstack([plain[2], plain[1]]))
    assert sum(count_forwards) == 12 and cache.info()["sentences"].tolist() == [6]
    # Shards with different blocks are not merged.
    cache.compact()
    assert len(shards_of(cache)) == 2
    H = pool(tiny("bert"), words, cache, layers=[2, 1])
    np.testing.assert_array_equal(H, np.hstack([plain[2], plain[1]]))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["first", "last", "mean", "max"])
def test_half_precision_takes_half_the_bytes_and_keeps_three_digits(
    strategy, tiny, words, tmp_path, count_forwards
):
    half = ActivationCache(tmp_path / "half", dtype="float16")
    H = pool(tiny("bert"), words, half, strategy)
    plain = pool(tiny("bert"), words, None, strategy)
    assert H.dtype == np.float32
    np.testing.assert_allclose(H, plain, rtol=2e-3, atol=2e-3)
    assert np.abs(H - plain).max() > 0
    assert half.info()["dtype"].tolist() == ["float16"]
    full = ActivationCache(tmp_path / "half")  # another fingerprint
    np.testing.assert_array_equal(pool(tiny("bert"), words, full, strategy), plain)
    shard = Shard(shards_of(half)[0])
    assert {states.dtype.itemsize for states in shard.states(shard.blocks)} <= {2, 4}
    count_forwards.clear()
    np.testing.assert_array_equal(pool(tiny("bert"), words, half, strategy), H)
    assert count_forwards == []


def test_a_value_beyond_half_precision_is_an_error_that_names_the_neuron(live, words, tmp_path):
    import torch

    model, tokenizer = live("bert")
    with torch.no_grad():
        model.encoder.layer[0].output.LayerNorm.bias[5] = 1e5
    extractor = ActivationExtractor(
        model, tokenizer=tokenizer, cache=ActivationCache(tmp_path, dtype="float16")
    )
    with pytest.raises(OverflowError, match=r"neuron hidden\.1\.5 is 1\d+.*float16.*65504"):
        extractor.transform(words).pool("last")
    assert not shards_of(ActivationCache(tmp_path))


# A full disk


@pytest.mark.slow
def test_a_full_disk_is_an_error_and_the_cache_stays_valid(tiny, words, tmp_path, run_fresh):
    """Simulated by a small limit on the size of files, in a separate process."""
    folder = tmp_path / "cache"
    pool(tiny("bert"), words[:11], ActivationCache(folder))
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "from sklearn_neurox.extraction import ActivationExtractor\n"
        "extractor = ActivationExtractor(sys.argv[1], cache=sys.argv[2])\n"
        "try:\n"
        "    extractor.transform(['A sentence that is new to it']).pool('last')\n"
        "except OSError as error:\n"
        "    print(error.errno, error)\n"
    )
    printed = run_fresh(script, tiny("bert"), str(folder))
    assert "cannot be created or written to" in printed and "Free some space" in printed
    assert str(folder) in printed
    assert not list(folder.rglob("*.tmp"))
    cache = ActivationCache(folder)
    assert cache.verify().empty and cache.info()["sentences"].tolist() == [2]
    np.testing.assert_allclose(
        pool(tiny("bert"), words, cache), pool(tiny("bert"), words, None), rtol=0, atol=2e-5
    )


def test_a_request_too_large_for_the_disk_is_refused_before_the_model_runs(
    tiny, words, tmp_path, monkeypatch, count_forwards
):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 0, 1000))
    count_forwards.clear()
    with pytest.raises(OSError, match=r"needs .* GB for these sentences, but its disk has 0\.00"):
        pool(tiny("bert"), words, tmp_path / "cache")
    assert count_forwards == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)  # this process is not affected


def test_the_size_is_announced(tiny, words, tmp_path, capfd):
    ActivationExtractor(tiny("bert"), cache=tmp_path, verbose=1).transform(words).pool("last")
    assert "GB to the cache" in capfd.readouterr().err
