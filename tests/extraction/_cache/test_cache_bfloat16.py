# SPDX-License-Identifier: BSD-3-Clause
"""A cache in bfloat16: two bytes per value, read back exactly."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.utils._half_precision import narrowed, widened

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


def test_rounding_is_that_of_torch():
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 2**32, size=200_000, dtype=np.uint32).view(np.float32)
    drawn = drawn[np.isfinite(drawn)]
    ties = (np.arange(1 << 14, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    special = np.array([0.0, -0.0, 1e-45, -1e-40, 3.38e38], dtype=np.float32)
    values = np.concatenate([drawn, ties, special])
    values = values[np.abs(values) < 3.38e38][:, None]
    expected = torch.from_numpy(values).to(torch.bfloat16)
    bits = narrowed(values, "bfloat16", str)
    np.testing.assert_array_equal(bits.view(np.int16), expected.view(torch.int16).numpy())
    np.testing.assert_array_equal(widened(bits), expected.float().numpy())


def test_a_value_beyond_the_range_is_an_error():
    with pytest.raises(OverflowError, match=r"unit 1 is -3.4e\+38 .*largest bfloat16 is 3.38953e"):
        narrowed(np.array([[1.0, -3.4e38]], np.float32), "bfloat16", lambda i: f"unit {i}")


@pytest.mark.slow
def test_a_model_in_bfloat16_loses_nothing(tiny, words, tmp_path):
    plain = ActivationExtractor(tiny("llama"), dtype="bfloat16", component=["hidden", "mlp"])
    cached = ActivationExtractor(
        tiny("llama"),
        dtype="bfloat16",
        component=["hidden", "mlp"],
        cache=ActivationCache(tmp_path, dtype="bfloat16"),
    )
    for strategy in ("mean", "max"):
        expected = plain.transform(words).pool(strategy)
        for _ in range(2):
            found = cached.transform(words).pool(strategy)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)


def test_float32_is_rounded_once(tiny, words, tmp_path):
    plain = ActivationExtractor(tiny("bert")).transform(words).pool("last")
    cache = ActivationCache(tmp_path, dtype="bfloat16")
    extractor = ActivationExtractor(tiny("bert"), cache=cache)
    found = extractor.transform(words).pool("last")
    expected = torch.from_numpy(plain).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(found, expected)
    assert extractor.fill_cache(words) == 0


@pytest.mark.slow
def test_the_files_hold_two_bytes_per_value(tiny, words, tmp_path):
    sizes = {}
    for dtype in ("float32", "float16", "bfloat16"):
        cache = ActivationCache(tmp_path / dtype, dtype=dtype)
        ActivationExtractor(tiny("bert"), cache=cache).fill_cache(words)
        shards = [load_file(path) for path in (tmp_path / dtype).glob("*/*.safetensors")]
        blocks = [t for shard in shards for name, t in shard.items() if name[:6] == "hidden"]
        assert {str(block.dtype) for block in blocks} == {f"torch.{dtype}"}
        sizes[dtype] = sum(block.nbytes for block in blocks)
        assert cache.info()["dtype"].tolist() == [dtype]
    assert sizes["float32"] == 2 * sizes["bfloat16"] == 2 * sizes["float16"]


@pytest.mark.slow
def test_compacted_pruned_and_verified_like_the_others(tiny, words, tmp_path):
    cache = ActivationCache(tmp_path, dtype="bfloat16")
    extractor = ActivationExtractor(tiny("bert"), cache=cache, max_batch_tokens=8)
    expected = extractor.transform(words).pool("mean")
    assert cache.compact() > 0
    assert cache.verify().empty and cache.prune() == 0
    np.testing.assert_array_equal(extractor.transform(words).pool("mean"), expected)
    other = ActivationExtractor(tiny("bert"), cache=tmp_path)
    assert other.fill_cache(words) > 0  # dtypes are kept apart


def test_dtypes_that_a_cache_does_not_have(tmp_path):
    with pytest.raises(ValueError, match="'float32', 'float16' or 'bfloat16', got 'int8'"):
        ActivationCache(tmp_path, dtype="int8")
