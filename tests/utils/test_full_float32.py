# SPDX-License-Identifier: BSD-3-Clause
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from sklearn_neurox import ActivationCache, ActivationExtractor, SubwordAggregator
from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.utils._full_float32 import full_float32, lowered_float32

CUDA = torch.device("cuda")


@contextmanager
def products_in(precision):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_full_precision_holds_for_a_while_and_restores_the_setting(precision):
    with products_in(precision):
        before = lowered_float32()
        assert bool(before) == (precision != "highest")
        with full_float32(CUDA), full_float32(CUDA):
            assert "cuda" not in lowered_float32()
        assert torch.get_float32_matmul_precision() == precision
        assert torch.backends.cuda.matmul.allow_tf32 == (precision != "highest")
        assert lowered_float32() == before
        with full_float32(torch.device("cpu")):
            assert lowered_float32() == before


def test_the_setting_is_restored_when_the_last_of_several_threads_leaves():
    with products_in("high"):
        first, second = full_float32(CUDA), full_float32(CUDA)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert "cuda" not in lowered_float32()
        second.__exit__(None, None, None)
        assert lowered_float32()["cuda"] == "tf32"


@pytest.mark.slow
def test_a_cache_has_a_folder_of_its_own_for_every_precision(tmp_path):
    words, model = make_tagged_words(3, random_state=0), make_tiny_model("bert")

    def matrix():
        extract = ActivationExtractor(model, cache=tmp_path, device="cpu")
        return SubwordAggregator().fit_transform(extract.transform(words))

    first = matrix()
    with products_in("high"):
        matrix()
        assert len(ActivationCache(tmp_path).info()) == 2
    np.testing.assert_array_equal(matrix(), first)
    assert len(ActivationCache(tmp_path).info()) == 2
