# SPDX-License-Identifier: BSD-3-Clause
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.evaluation import cka
from sklearn_neurox.ranking import RandomRanker
from sklearn_neurox.utils import _finite, _row_blocks
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._optional import require
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._validation import check_activations


@pytest.mark.parametrize("shape", [(1, 1), (10, 3), (100_000, 7), (3, 2_000_000), (5, 0)])
def test_blocks_cover_every_row_once(shape):
    X = np.empty(shape, dtype=np.float16)
    rows = np.concatenate([np.arange(shape[0])[block] for block in row_blocks(X)])
    assert rows.tolist() == list(range(shape[0]))


@pytest.mark.parametrize(
    "labels",
    [
        ["a", None, "b", None],
        np.array(["a", np.nan, "b", np.nan], dtype=object),
        np.array([1.0, np.nan, 2.0, np.nan]),
        pd.Series(["a", pd.NA, "b", pd.NA], dtype="string"),
        pd.Series(["a", None, "b", None], dtype="category"),
        pd.Series([1, None, 2, None], dtype="Int64"),
        np.array([[1.0, 2.0], [1.0, np.nan], [0.0, 0.0], [np.nan, np.nan]]),
    ],
)
def test_missing_labels_of_every_kind(labels):
    with pytest.raises(ValueError, match="2 of 4 labels are missing, the first at row 1"):
        check_no_missing_labels(labels)


@pytest.mark.parametrize("labels", [["a", "b"], [1, 2], np.array([1.0, 2.0]), pd.Series(["a"])])
def test_complete_labels_pass(labels):
    check_no_missing_labels(labels)


@pytest.mark.parametrize(
    "tensor", [torch.ones(3, 2, dtype=torch.bfloat16), torch.ones(3, 2, requires_grad=True)]
)
def test_the_error_for_unreadable_tensors_says_what_to_call(tensor):
    advice = r"\.detach\(\)\.cpu\(\)\.float\(\)\.numpy\(\)"
    with pytest.raises(TypeError, match=rf"^RandomRanker.*{tensor.dtype}.*{advice}"):
        RandomRanker().fit(tensor)
    with pytest.raises(TypeError, match=f"^cka.*{advice}"):
        cka(tensor, tensor)


def test_a_tensor_that_numpy_can_read_is_a_matrix():
    X, names = check_activations(torch.ones(3, 2, dtype=torch.float16), caller="it")
    assert X.dtype == np.float16 and names is None


def test_the_function_that_checks_is_named():
    with pytest.raises(ValueError, match="dim <= 2 is required by top_words"):
        check_activations(np.ones((2, 2, 2)), caller="top_words")


def test_the_error_for_a_missing_package_names_caller_extra_and_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(ImportError, match=r'It needs.*pip install "sklearn-neurox\[progress\]"'):
        require("rich", caller="It", extra="progress")
    assert require("json", caller="It", extra="progress").dumps([]) == "[]"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_first_value_that_is_not_finite_is_named(n_threads, dtype, monkeypatch):
    monkeypatch.setattr(_finite, "_BYTES_PER_THREAD", 1000)
    monkeypatch.setattr(_row_blocks, "_BLOCK_BYTES", 400)
    monkeypatch.setattr(_finite, "_openmp_effective_n_threads", lambda: n_threads)
    whole = np.zeros((1000, 5), dtype=dtype)
    check_activations(whole, caller="f")
    for rows, kind in [([0, 999], "NaN"), ([999], "NaN"), ([333, 334], "infinity")]:
        X = whole.copy()
        X[rows, 3] = np.nan if kind == "NaN" else np.inf
        X[rows[1:], 1] = -np.inf
        with pytest.raises(ValueError, match=f"contains {kind}: column 3, row {rows[0]} is"):
            check_activations(X, caller="f")
