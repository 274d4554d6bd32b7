# SPDX-License-Identifier: BSD-3-Clause
"""What filling a cache would read and store, without running anything."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
from sklearn_neurox.extraction import _extractor as module
from sklearn_neurox.extraction._model import _loading

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

TEXTS = ["Dogs bark", "She saw the light .", "A light rain", "Dogs bark"]


def stored_bytes(folder):
    """Count the bytes of all states in a cache, from the files alone."""
    total = 0
    for path in Path(folder).glob("*/*.safetensors"):
        with safe_open(path, "np") as file:
            names = [name for name in file.keys() if not name.startswith("table.")]  # noqa: SIM118
            for name in names:
                tensor = file.get_slice(name)
                size = {"F32": 4, "F16": 2, "BF16": 2}[tensor.get_dtype()]
                total += int(np.prod(tensor.get_shape())) * size
    return total


# How the extractor differs from the default, and the cache.
CASES = [
    ({}, {}),
    ({"layers": [1]}, {"layers": "all"}),
    ({"layers": [1]}, {"layers": "asked"}),
    ({"component": ["mlp", "hidden"]}, {"dtype": "float16"}),
    ({"component": ["attention", "embedding"], "layers": [-1]}, {"dtype": "bfloat16"}),
    ({"max_length": 5}, {}),
    ({"weights": "random"}, {}),
]


@pytest.mark.slow
def test_the_counts_are_those_of_the_run(tiny, tmp_path, count_forwards):
    for number, (params, options) in enumerate(CASES):
        cache = ActivationCache(tmp_path / str(number), **options)
        extractor = ActivationExtractor(tiny("llama"), cache=cache, **params)
        size = extractor.fill_cache(TEXTS, dry_run=True)
        assert not count_forwards and not cache.folder.exists()
        assert isinstance(size, pd.Series) and size.dtype == np.int64
        assert extractor.fill_cache(TEXTS) == size["texts"] == 3
        assert stored_bytes(cache.folder) == size["bytes"], (params, options)
        if "max_length" not in params:
            assert cache.info()["tokens"].tolist() == [size["tokens"]]
        assert extractor.fill_cache(TEXTS, dry_run=True).tolist() == [0, 0, 0]
        count_forwards.clear()


@pytest.mark.slow
def test_what_is_stored_is_not_counted(tiny, tmp_path):
    def make(**params):
        return ActivationExtractor(tiny("llama"), cache=tmp_path, **params)

    make(component="mlp").fill_cache(TEXTS)
    before = stored_bytes(tmp_path)
    both = make(component=["hidden", "mlp"])
    size = both.fill_cache([*TEXTS, "A new text"], dry_run=True)
    assert size["texts"] == 4
    assert both.fill_cache([*TEXTS, "A new text"]) == 4
    assert stored_bytes(tmp_path) - before == size["bytes"]


def test_the_model_is_not_loaded(tiny, tmp_path, monkeypatch):
    def loaded(*_):
        raise AssertionError("loaded")

    monkeypatch.setattr(_loading, "_build_model", loaded)
    extractor = ActivationExtractor(tiny("gpt2", n_layers=1), cache=tmp_path, component="mlp")
    assert extractor.fill_cache(TEXTS, dry_run=True)["texts"] == 3


@pytest.mark.slow
def test_a_corpus_in_portions_counts_each_text_once(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PORTION", 2)
    extractor = ActivationExtractor(tiny("bert"), cache=tmp_path)
    expected = extractor.fill_cache(TEXTS, dry_run=True)
    assert extractor.fill_cache(iter(TEXTS), dry_run=True).equals(expected)
    assert extractor.fill_cache(iter(()), dry_run=True).tolist() == [0, 0, 0]
    assert extractor.fill_cache(iter(TEXTS)) == 3


def test_without_a_cache_there_is_nothing_to_count(tiny):
    with pytest.raises(ValueError, match="set it with cache="):
        ActivationExtractor(tiny("bert")).fill_cache(TEXTS, dry_run=True)
