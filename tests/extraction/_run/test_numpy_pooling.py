# SPDX-License-Identifier: BSD-3-Clause
"""Arrays are pooled to what NumPy computes in double precision."""

import numpy as np
import torch

from sklearn_neurox.extraction import Activations


def test_pooled_arrays_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for lengths in ([1, 2, 3, 4], [2, 2], [1], [2, 1]):
        arrays = [rng.normal(size=(n, 3)).astype(np.float32) for n in lengths]
        plan = Activations.from_arrays(arrays, feature_names=["a", "b", "c"])
        for strategy, reduce in (("mean", np.mean), ("max", np.max)):
            expected = [reduce(array, axis=0) for array in arrays]
            np.testing.assert_allclose(plan.pool(strategy), expected, rtol=1e-6)
        np.testing.assert_array_equal(plan.pool("first"), [array[0] for array in arrays])
        np.testing.assert_array_equal(plan.pool("last"), [array[-1] for array in arrays])


def test_a_mean_of_numbers_whose_sum_overflows():
    rng = np.random.default_rng(0)
    for lengths in ([5, 1, 2, 3], [7], [2, 2], [8, 4, 1]):
        arrays = [rng.uniform(2e38, 3e38, size=(n, 3)).astype(np.float32) for n in lengths]
        plan = Activations.from_arrays(arrays, feature_names=["hidden.0.0", "a", "b"])
        expected = [array.astype(np.float64).mean(axis=0) for array in arrays]
        np.testing.assert_allclose(plan.pool("mean"), expected, rtol=1e-6)


def test_tensors_of_any_precision_are_arrays():
    rows = [[[1.0, -2.5]], [[3.0, 0.5], [5.0, 1.5]]]
    expected = Activations.from_arrays(rows).pool("mean")
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        for grad in (False, True):
            tensors = [torch.tensor(row, dtype=dtype, requires_grad=grad) for row in rows]
            plan = Activations.from_arrays(tensors)
            with torch.no_grad():
                tensors[0].fill_(9)  # the activations are a copy
            np.testing.assert_array_equal(plan.pool("mean"), expected)
