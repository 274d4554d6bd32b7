# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from sklearn_neurox.utils._moments import column_deviations, column_means, column_variances


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_moments_over_many_blocks(dtype):
    X = (np.random.RandomState(0).randn(30_000, 40) * 3 + 500).astype(dtype)
    exact = X.astype(np.longdouble)
    means = column_means(X)
    np.testing.assert_allclose(means, exact.mean(axis=0).astype(float), rtol=1e-13)
    np.testing.assert_allclose(
        column_deviations(X, means), exact.std(axis=0).astype(float), rtol=1e-12
    )


def test_constant_column_is_exactly_constant():
    X = np.full((1003, 1), 0.1)
    assert column_means(X)[0] == 0.1
    assert column_deviations(X, column_means(X))[0] == 0


def test_the_column_whose_moments_overflow_is_named():
    for column in range(3):
        X = np.ones((4, 3))
        X[::2, column], X[1::2, column] = 1e200, -1e200
        for matrix in (X, csr_matrix(X)):
            with pytest.raises(ValueError, match=f"column {column} of X are too large: the var"):
                column_variances(matrix, column_means(matrix))
