# SPDX-License-Identifier: BSD-3-Clause
"""Predictions from low-precision matrices equal those computed in double precision."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeRegressor,
    LowRankProbeClassifier,
    MeanDifferenceProbeClassifier,
)


@pytest.mark.parametrize(
    "probe",
    [
        ElasticNetProbeClassifier(1e-2, standardize=True, random_state=0),
        ElasticNetProbeRegressor(1e-2, standardize=True, random_state=0),
        LowRankProbeClassifier(1e-2),
        MeanDifferenceProbeClassifier(),
        MeanDifferenceProbeClassifier(0.1),
    ],
    ids=lambda probe: type(probe).__name__,
)
@pytest.mark.parametrize(
    ("offset", "dtype"), [(1e6, np.float32), (1e3, np.float16), (1e6, np.float64)]
)
def test_columns_far_from_zero(probe, offset, dtype):
    rng = np.random.RandomState(0)
    X = (rng.normal(size=(200, 12)) + offset * np.append(1, np.zeros(11))).astype(dtype)
    exact = X.astype(np.float64)
    scores = (exact - exact.mean(axis=0)) @ np.append(3, rng.normal(size=11))
    probe.fit(X, scores if isinstance(probe, ElasticNetProbeRegressor) else scores > 0)
    method = getattr(probe, "decision_function", None) or probe.predict
    expected = exact @ np.ravel(probe.coef_) + np.ravel(probe.intercept_)
    matrices = [X] if dtype == np.float16 else [X, csr_array(X)]
    for matrix in matrices:
        np.testing.assert_allclose(method(matrix), expected, atol=1e-6 * np.abs(expected).max())
