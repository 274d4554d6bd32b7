# SPDX-License-Identifier: BSD-3-Clause
"""Sparse matrices: which are taken, and in which form."""

import numpy as np
from scipy.sparse import issparse


def refuse_sparse(X, why, *, caller):
    """Raise an error if X is sparse, which ``why`` says that a method cannot take."""
    if issparse(X):
        raise TypeError(
            f"Sparse data was passed for X, but {caller} takes a dense array: {why}. If a few "
            "columns suffice, choose them first, for example with ProbelessRanker(n_neurons=500), "
            "and call toarray()."
        )


def dtypes_for(X):
    """Return the dtypes in which a matrix is taken as it is."""
    # SciPy does not multiply sparse matrices of float16.
    return [np.float64, np.float32] if issparse(X) else [np.float64, np.float32, np.float16]


def canonical(X):
    """Return a CSR matrix that stores every entry once, sorted by column; X itself if it does."""
    if X.has_canonical_format:
        return X
    X = X.copy()
    X.sum_duplicates()
    return X


def place_of(X, entry):
    """Return the row and the column of a stored entry of a CSR matrix."""
    return int(np.searchsorted(X.indptr, entry, side="right")) - 1, int(X.indices[entry])
