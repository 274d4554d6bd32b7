# SPDX-License-Identifier: BSD-3-Clause
"""Submatrices equal plain indexing and are copied only if necessary."""

import numpy as np
import pytest

from sklearn_neurox.utils._submatrix import submatrix

X = np.arange(60, dtype=np.float16).reshape(6, 10)


@pytest.mark.parametrize("rows", [slice(1, 5), np.array([4, 0, 2])])
@pytest.mark.parametrize("columns", [[3, 4, 5], [7], [1, 8, 9], [4, 3], [2, 5, 4]])
def test_equals_indexing_twice(rows, columns):
    part = submatrix(X, rows, np.array(columns))
    np.testing.assert_array_equal(part, X[rows][:, columns])
    assert part.dtype == X.dtype


def test_consecutive_columns_are_a_view():
    assert np.shares_memory(submatrix(X, slice(None), np.array([3, 4, 5])), X)
