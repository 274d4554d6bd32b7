# SPDX-License-Identifier: BSD-3-Clause
"""Combine the vectors of both spans of pairs."""

import numpy as np
from scipy.sparse import csr_matrix, hstack

from sklearn_neurox.utils._names import PAIR_PARTS
from sklearn_neurox.utils._row_blocks import row_blocks


def as_combinations(pair):
    """Return the parameter ``pair`` as a list of distinct combinations; raise an error otherwise.

    Raises
    ------
    ValueError
        If a combination is unknown or repeated, or if there is none.
    """
    given = [pair] if isinstance(pair, str) else list(pair)
    known = all(isinstance(each, str) and each in PAIR_PARTS for each in given)
    if not given or not known or len(set(given)) < len(given):
        raise ValueError(
            "The 'pair' parameter of SubwordAggregator must be one of "
            f"{list(PAIR_PARTS)}, or a list of different ones, got {pair!r}."
        )
    return given


def n_parts(combinations):
    """Return how many columns of a pair come from each neuron."""
    return sum(len(PAIR_PARTS[combination]) for combination in combinations)


def combine(vectors, pairs, combinations, out, name):
    """Fill the rows of a matrix with the combined vectors of pairs, block by block.

    Parameters
    ----------
    vectors : ndarray of shape (n_spans, n_neurons), dtype=float32

    pairs : ndarray of shape (n_pairs, 2)
        The numbers of both spans of each pair.

    combinations : list of {"concat", "difference", "product"}

    out : ndarray of shape (n_pairs, n_columns), dtype=float32, or HalfMatrix
        Filled in place.

    name : callable
        Returns the name of a column.

    Raises
    ------
    OverflowError
        If float32 cannot hold a difference or product.
    """
    for rows in row_blocks(out):
        first, other = vectors[pairs[rows, 0]], vectors[pairs[rows, 1]]
        column = 0
        for part in _parts(first, other, combinations, np.multiply):
            columns = slice(column, column + part.shape[1])
            if np.isinf(part).any():
                row, unit = (int(place[0]) for place in np.nonzero(np.isinf(part)))
                raise _too_large(name(column + unit), rows.start + row, np.isinf(part).sum())
            out[rows, columns] = part
            column = columns.stop


def combine_sparse(vectors, pairs, combinations, name):
    """Return the combined vectors of pairs as a CSR matrix; all arguments as in `combine`."""
    first, other = vectors[pairs[:, 0]], vectors[pairs[:, 1]]
    parts = _parts(first, other, combinations, lambda a, b: a.multiply(b))
    found = csr_matrix(hstack(list(parts), format="csr"))
    found.eliminate_zeros()
    infinite = np.flatnonzero(np.isinf(found.data))
    if len(infinite):
        row = int(np.searchsorted(found.indptr, infinite[0], side="right")) - 1
        raise _too_large(name(found.indices[infinite[0]]), row, len(infinite))
    return found


def _too_large(column, row, count):
    return OverflowError(
        f"The value of neuron {column} in row {row} is too large for float32 ({count} such "
        "values). Use pair='concat', or leave this neuron out."
    )


def _parts(first, other, combinations, multiply):
    for combination in combinations:
        if combination == "concat":
            yield first
            yield other
            continue
        with np.errstate(over="ignore"):
            part = first - other if combination == "difference" else multiply(first, other)
        yield part
