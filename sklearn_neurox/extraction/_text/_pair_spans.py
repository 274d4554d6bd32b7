# SPDX-License-Identifier: BSD-3-Clause
"""The distinct spans of pairs, each of which is pooled once."""

import numpy as np

from sklearn_neurox.extraction._text._alignment import Alignment
from sklearn_neurox.utils._ragged import ranges


def distinct_spans(rows, alignment):
    """Find the spans that occur in pairs, and the two of each pair.

    Parameters
    ----------
    rows : Rows
        The first spans of all pairs, then the other ones.

    alignment : Alignment
        Their tokens.

    Returns
    -------
    alignment : Alignment
        The tokens of each distinct span.

    pairs : ndarray of shape (n_pairs, 2)
        The numbers of both spans of each pair.
    """
    columns = [rows.text_of_row, rows.start, rows.end]
    if rows.token_index is not None:
        columns.append(rows.token_index)
    keys = np.stack(columns, axis=1)
    _, chosen, codes = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    places, ptr = ranges(alignment.ptr[:-1][chosen], alignment.counts[chosen])
    return Alignment(alignment.tokens[places], ptr), codes.reshape(2, -1).T
