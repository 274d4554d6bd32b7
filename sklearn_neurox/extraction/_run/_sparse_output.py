# SPDX-License-Identifier: BSD-3-Clause
"""CSR matrices as results."""

from scipy.sparse import csr_array
from sklearn import get_config


def check_sparse(is_empty, dtype, memmap, missing):
    """Raise an error if other parameters contradict a CSR matrix.

    ``is_empty`` says which rows have no subwords.
    """
    problem = None
    if dtype != "float32":
        problem = f"CSR matrices are of float32, but dtype={dtype!r}"
    elif memmap is not None:
        problem = f"a file of the matrix (memmap={str(memmap)!r}) is never CSR"
    if problem is not None:
        raise ValueError(
            f"SubwordAggregator: {problem}. Omit the parameter, or use sparse_output=False."
        )
    n_empty = int(is_empty.sum())
    if missing == "nan" and n_empty:
        first = int(is_empty.argmax())
        raise ValueError(
            f"{n_empty} rows have no subwords (the first is row {first}), and missing='nan' "
            "would fill every column of them, which no sparse matrix can hold. Use "
            "missing='zero', or drop the rows whose n_subwords is 0."
        )


def in_configured_form(H):
    """Return a CSR matrix, or an array if scikit-learn is configured for sparse arrays."""
    return csr_array(H) if get_config().get("sparse_interface") == "sparray" else H
