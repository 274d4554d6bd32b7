# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from sklearn.utils.validation import _check_sample_weight


def check_weight(sample_weight, X):
    """Validate the weights of samples.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None

    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    weight : ndarray of shape (n_samples,), float64, or None
        None where there are none.

    Raises
    ------
    ValueError
        For weights that are negative, not finite, or of another number, and if all are zero.
    """
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
