# SPDX-License-Identifier: BSD-3-Clause
"""Wherever numbers become numbers of a smaller dtype, none becomes infinite, no neuron zero.

Overflow is an error. A warning names a neuron that is zero only since the cast. Rounding is silent,
and so are small values beside larger ones of the same neuron.
"""

import json
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix

from sklearn_neurox.ablation import NeuronAblator
from sklearn_neurox.datasets import make_planted_neurons, make_tiny_model
from sklearn_neurox.extraction import (
    ActivationCache,
    ActivationExtractor,
    Activations,
    SparseAutoencoderEncoder,
    SubwordAggregator,
)
from sklearn_neurox.extraction._run._half_matrix import HalfMatrix
from sklearn_neurox.io import read_neurox, write_neurox
from sklearn_neurox.utils._underflow import Underflow
from sklearn_neurox.words import pair_frame, words_frame

WORDS = words_frame([["a", "b"], ["c"]])
TINY = {"float16": 1e-9, "float32": 1e-60}
HUGE = {"float16": 1e6, "float32": 1e60}


def _values(scale, dtype=np.float64):
    """Return three words of two layers of two neurons; only hidden.1.0 is near ``scale``."""
    H = np.array([[1.0, 2.0, 1.0, 0.0], [1 / 3, 0.0, -3.0, 0.0], [5.0, 0.1, 2.0, 0.0]])
    H[:, 2] *= scale
    H[0, 1] = min(scale, 1.0)  # beside a larger value of the same neuron
    return H.astype(dtype)


def _pool(H, dtype, **options):
    return Activations.from_arrays(list(H[:, np.newaxis])).pool("mean", dtype=dtype, **options)


def _read(H, dtype, path, words=WORDS):
    return read_neurox(path, words, dtype=dtype)[0].pool("last", dtype=dtype)


def _hdf5(H, dtype, folder):
    with h5py.File(folder / "a.hdf5", "w") as file:
        file["0"] = H[:2].reshape(2, 2, 2).swapaxes(0, 1)
        file["1"] = H[2:].reshape(1, 2, 2).swapaxes(0, 1)
        file["sentence_to_index"] = json.dumps({"a b": "0", "c": "1"})
    return _read(H, dtype, folder / "a.hdf5")


def _json(H, dtype, folder):
    lines, start = [], 0
    for number, tokens in enumerate(["ab", "c"]):
        features = [
            {
                "token": token,
                "layers": [
                    {"index": layer, "values": H[start + i, 2 * layer : 2 * layer + 2].tolist()}
                    for layer in range(2)
                ],
            }
            for i, token in enumerate(tokens)
        ]
        start += len(tokens)
        lines.append(json.dumps({"linex_index": number, "features": features}))
    (folder / "a.json").write_text("\n".join(lines))
    return _read(H, dtype, folder / "a.json")


def _pt(H, dtype, folder):
    rows = [list(torch.tensor(row).reshape(2, 2)) for row in H]
    torch.save([rows[:2], rows[2:]], folder / "a.pt")
    return _read(H, dtype, folder / "a.pt")


def _written(ending):
    def call(H, dtype, folder):
        path = folder / f"written{ending}"
        write_neurox(path, H, WORDS, n_layers=2, dtype=dtype)
        return read_neurox(path, WORDS)[0].pool("last")

    return call


# Each call makes the matrix of its first argument anew, in a dtype; the values are float64.
FILES = {
    "read HDF5": _hdf5,
    "read JSON": _json,
    "read .pt": _pt,
    "write HDF5": _written(".hdf5"),
    "write JSON": _written(".json"),
}
POOLED = {
    "pool": lambda H, dtype, folder: _pool(H, dtype),
    "memmap": lambda H, dtype, folder: _pool(H, dtype, memmap=folder / "a.npy"),
    "aggregator": lambda H, dtype, folder: SubwordAggregator(dtype=dtype).fit_transform(
        Activations.from_arrays(list(H[:, np.newaxis]))
    ),
}


def _raises(call, *arguments):
    """Return whether a call raises an error about a number, and what it warns about."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = call(*arguments)
        except (ValueError, OverflowError) as error:
            found = error
    return found, [str(warning.message) for warning in caught]


def test_ordinary_rounding_is_silent(tmp_path):
    for dtype in ("float32", "float16"):
        for name, call in {**FILES, **POOLED}.items():
            found, messages = _raises(call, _values(1.0), dtype, tmp_path)
            assert not messages, (name, dtype)
            same = found.astype(dtype) == _values(1.0).astype(dtype)
            assert same.all(), (name, dtype)


def test_overflow_is_an_error(tmp_path):
    for dtype, value in HUGE.items():
        for name, call in {**FILES, **POOLED}.items():
            found, messages = _raises(call, _values(value), dtype, tmp_path)
            assert isinstance(found, (ValueError, OverflowError)), (name, dtype, messages)
            assert re.search(r"[13]e\+(0?6|60)|[13]000000", str(found)), (name, str(found))
            assert re.search("Use|Rescale|again", str(found)), (name, str(found))
            assert not messages, (name, dtype, messages)


def test_a_neuron_that_becomes_zero_is_a_warning(tmp_path):
    for dtype, value in TINY.items():
        calls = {**FILES, **(POOLED if dtype == "float16" else {})}
        for name, call in calls.items():
            found, messages = _raises(call, _values(value), dtype, tmp_path)
            np.testing.assert_array_equal(found.astype(dtype), _values(value).astype(dtype))
            assert len(messages) == 1, (name, dtype, messages)
            (text,) = messages
            assert "1 of 4 neurons become 0 in all rows" in text, (name, dtype)
            assert f"its largest value is {3 * value:.3g}" in text, (name, dtype, text)
            assert re.search("neuron 0 of layer 1|hidden.1.0|x2", text), (name, dtype, text)
            assert re.search(r"To keep them, (use dtype='float32'|rescale them)", text), text


def test_only_the_layers_that_are_read_are_named(tmp_path):
    _raises(_hdf5, _values(1e-60), "float32", tmp_path)
    for layers, n_messages in (([0], 0), ([1], 1), ([1, 0], 1)):
        activations, _ = read_neurox(tmp_path / "a.hdf5", WORDS, layers=layers)
        _, messages = _raises(activations.pool, "last")
        assert len(messages) == n_messages
        assert all("The first is neuron 0 of layer 1;" in text for text in messages)


def test_arrays_of_any_dtype_are_held_to_float32():
    for dtype in (np.float64, np.longdouble, object):
        for value in (1e-60, 1e60):
            with pytest.raises(ValueError, match=r"which float32 cannot hold"):
                Activations.from_arrays([_values(value).astype(dtype)])
    many = Activations.from_arrays([np.array([[2**53 + 1, 7]])]).pool("last")
    np.testing.assert_array_equal(many, np.array([[2.0**53, 7]], np.float32))


def test_a_value_that_vanishes_in_one_block_of_rows_only_is_silent():
    H = np.full((2000, 600), 1e-9, np.float32)
    H[-1] = 1
    _, messages = _raises(_pool, H, "float16")
    assert messages == []


def test_the_columns_found_are_those_of_the_definition():
    rng = np.random.RandomState(0)
    for _ in range(20):
        H = rng.choice([0.0, 1e-9, 1e-3], size=(6, 8), p=[0.3, 0.6, 0.1]).astype(np.float32)
        halves = H.astype(np.float16)
        expected = [j for j in range(8) if any(H[:, j]) and not any(halves[:, j])]
        whole, one, two = Underflow(8), Underflow(8), Underflow(8)
        for start in range(0, 8, 4):
            own = slice(start, start + 4)
            whole.look(H[:, own], halves[:, own], start)
            one.look(H[:3, own], halves[:3, own], start)
            two.look(H[3:, own], halves[3:, own], start)
        one.merge(two)
        assert whole.columns().tolist() == one.columns().tolist() == expected
        np.testing.assert_array_equal(one.largest[expected], H[:, expected].max(axis=0))


# A running model


@pytest.fixture(scope="module")
def scaled():
    """Return a function that makes an extractor whose last layer is scaled."""
    from transformers import AutoModel, AutoTokenizer

    path = make_tiny_model("bert", hidden_size=8, n_heads=1)
    tokenizer = AutoTokenizer.from_pretrained(path)

    def make(scale, *, double=False, unit=3, **params):
        model = AutoModel.from_pretrained(path)
        model = model.double() if double else model
        norm = model.encoder.layer[-1].output.LayerNorm
        with torch.no_grad():
            norm.weight[unit] *= scale
            norm.bias[unit] *= scale
        return ActivationExtractor(model, tokenizer=tokenizer, layers=[2], **params)

    return make


def test_a_model_of_double_precision(scaled):
    for strategy in ("last", "mean", "max"):
        found, messages = _raises(scaled(1e-60, double=True).transform(WORDS).pool, strategy)
        assert not found[:, 3].any() and found[:, 2].all()
        assert len(messages) == 1
        assert re.search(
            r"float64: 1 of 8 neurons become 0.*The first is hidden\.2\.3", messages[0]
        )
    error, _ = _raises(scaled(1e60, double=True).transform(WORDS).pool, "last")
    assert "exceeds float32" in str(error)
    _, messages = _raises(scaled(1.0, double=True).transform(WORDS).pool, "last")
    assert messages == []


def test_a_matrix_of_half_precision(scaled):
    for strategy in ("last", "mean", "max"):
        pool = scaled(1e-9).transform(WORDS).pool
        _, messages = _raises(lambda pool=pool, of=strategy: pool(of, dtype="float16"))
        assert len(messages) == 1
        assert re.search(r"1 of 8 .*The first is hidden\.2\.3;.*use dtype='float32'", messages[0])
        pool = scaled(1e9).transform(WORDS).pool
        error, _ = _raises(lambda pool=pool, of=strategy: pool(of, dtype="float16"))
        assert isinstance(error, OverflowError) and "The neuron hidden.2.3 is" in str(error)
    pairs = pair_frame(WORDS, rows=([0], [1]))
    _, messages = _raises(lambda: scaled(1e-9).transform(pairs).pool("last", dtype="float16"))
    assert len(messages) == 1 and "2 of 16 neurons" in messages[0]
    assert "The first is first.hidden.2.3;" in messages[0]


def test_a_cache_of_half_precision(scaled, tmp_path):
    for pooled in (None, "last"):
        cache = ActivationCache(tmp_path / f"{pooled}", dtype="float16", pooled=pooled)
        extractor = scaled(1e-9, cache=cache)
        _, messages = _raises(lambda e=extractor: SubwordAggregator("last").fit_transform(
            e.transform(WORDS)
        ))  # fmt: skip
        assert len(messages) == 1, pooled
        assert re.search(r"The cache folder .* of 24 .*hidden\.2\.3;.*'bfloat16'", messages[0])
        _, messages = _raises(lambda e=extractor: e.transform(WORDS).pool("last"))
        assert messages == []  # said once, when it is stored


@pytest.mark.slow
def test_processes_that_fill_a_cache_report_together(tmp_path):
    from transformers import AutoModel

    path = make_tiny_model("bert", hidden_size=8, n_heads=1, path=tmp_path / "model")
    model = AutoModel.from_pretrained(path)
    with torch.no_grad():
        norm = model.encoder.layer[-1].output.LayerNorm
        norm.weight[3] *= 1e-9
        norm.bias[3] *= 1e-9
    model.save_pretrained(path)
    words = words_frame([["a", "b"]] + [["c"] * n for n in range(1, 9)])
    cache = ActivationCache(tmp_path / "cache", dtype="float16")
    extractor = ActivationExtractor(path, cache=cache, n_jobs=2, max_batch_tokens=8)
    _, messages = _raises(extractor.transform(words).pool, "last")
    assert len(messages) == 1 and "hidden.2.3" in messages[0]


def test_pairs_and_sparse_codes():
    H = _values(1e-9, np.float32)
    sae = {"W_enc": np.eye(4), "b_enc": np.zeros(4), "W_dec": np.eye(4), "b_dec": np.zeros(4)}
    names = [f"hidden.1.{unit}" for unit in range(4)]
    codes = SparseAutoencoderEncoder(sae).fit_transform(
        Activations.from_arrays(list(H[:, np.newaxis]), feature_names=names)
    )
    found, messages = _raises(lambda: codes.pool("last", dtype="float16"))
    np.testing.assert_array_equal(found, np.maximum(H, 0).astype(np.float16))
    assert len(messages) == 1 and "The first is sae.1.2;" in messages[0]


# Other places


def test_planted_neurons_are_finite():
    with pytest.raises(ValueError, match=r"float16 cannot hold the value .*Lower effect"):
        make_planted_neurons(50, effect=1e6, dtype=np.float16, random_state=0)
    assert np.isfinite(
        make_planted_neurons(50, effect=1e3, dtype=np.float16, random_state=0).X
    ).all()


def test_fills_that_half_precision_cannot_hold():
    half = np.ones((2, 2), dtype=np.float16)
    for fill in ("mean", "resample"):
        ablator = NeuronAblator([0], fill=fill).fit(np.full((4, 2), 1e6, dtype=np.float32))
        with pytest.raises(OverflowError, match=r"fills neurons with 1e\+06, which float16"):
            ablator.transform(half)
        assert np.isfinite(ablator.transform(half.astype(np.float32))).all()
        assert np.isfinite(ablator.transform(csr_matrix(half.astype(np.float32))).data).all()


def test_integer_labels_stay_exact_beside_missing_ones():
    large = 2**53 + 1
    for labels in ([large, None], [large, np.nan], [-large, None]):
        column = words_frame([["a", "b"]], {"id": [labels]})["id"]
        assert column[0] == labels[0] and pd.isna(column[1])
    assert words_frame([["a", "b"]], {"id": [[7, None]]})["id"].dtype == float
    assert words_frame([["a", "b"]], {"id": [[2.0**60, 0.5]]})["id"].tolist() == [2.0**60, 0.5]


def test_weights_of_a_sae_that_its_dtype_cannot_hold():
    names = ["hidden.1.0", "hidden.1.1"]
    tokens = Activations.from_arrays([[[1.0, 2.0]]], feature_names=names)
    eye = np.eye(2, dtype=np.float32)
    sae = {"W_enc": eye, "b_enc": np.zeros(2), "W_dec": eye, "b_dec": np.zeros(2)}
    for name, value in (("b_enc", -1e39), ("threshold", 1e39)):
        own = sae | {name: np.array([0.0, value])}
        with pytest.raises(ValueError, match=rf"weights '{name}' .* reach .*e\+39, which float32"):
            SparseAutoencoderEncoder(own).fit_transform(tokens).pool("last")


def test_several_threads_fill_a_matrix():
    rng = np.random.RandomState(0)
    H = rng.choice([0.0, 1e-9, 1.0], size=(4000, 50), p=[0.5, 0.4995, 0.0005]).astype(np.float32)
    H[:, :5] = 1e-9
    half = HalfMatrix(np.empty(H.shape, dtype=np.float16), str)
    blocks = np.array_split(np.arange(len(H)), 64)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda rows: half.__setitem__((rows, slice(0, 50)), H[rows]), blocks))
    np.testing.assert_array_equal(half.values, H.astype(np.float16))
    expected = np.flatnonzero(H.any(axis=0) & ~H.astype(np.float16).any(axis=0))
    assert half.underflow.columns().tolist() == expected.tolist()
