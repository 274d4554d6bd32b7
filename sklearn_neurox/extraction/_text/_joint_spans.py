# SPDX-License-Identifier: BSD-3-Clause
"""Place both spans of each pair in one model input."""

import numpy as np

from sklearn_neurox.extraction._text._alignment import Alignment
from sklearn_neurox.extraction._text._checks import report_filled
from sklearn_neurox.extraction._text._windows import make_sequences
from sklearn_neurox.utils._ragged import pointers, ranges


def place_jointly(rows, encodings, alignment, limit, *, causal, missing):
    """Lay out the model inputs, and place all tokens of a row in one of them.

    Of the windows of a long text, a pair is in the one that gives both spans together the most
    context. A row is in none if one of its spans has no token, or if no window has all its tokens.

    Parameters
    ----------
    rows : Rows
        Pairs, or rows of one span.

    encodings : Encodings

    alignment : Alignment
        The tokens of all spans: of pairs, of the first spans, then of the other ones.

    limit : int
        The maximum number of tokens per input.

    causal : bool
        Whether a token sees only the tokens before it.

    missing : {"zero", "nan", "error"}
        Whether rows that no window holds are an error, or get a warning.

    Returns
    -------
    sequences : Sequences

    first_sequence : ndarray of shape (n_texts,)
        The first input of each text.

    sequence : ndarray of shape (n_rows,)
        The input of each row, -1 for none.

    spans : list of (ndarray, ndarray)
        The positions of the tokens of the first (and of the other) spans, and pointers to them.
    """
    n_rows = len(rows) // 2 if rows.are_pairs else len(rows)
    counts = alignment.counts.reshape(-1, n_rows)
    begin = alignment.ptr[:-1].reshape(-1, n_rows)
    # Row after row, the tokens of its spans.
    places, ptr = ranges(begin.T.ravel(), counts.T.ravel())
    joint = Alignment(alignment.tokens[places], ptr[:: len(counts)])
    sequences, placement, first_sequence = make_sequences(encodings, joint, limit, causal=causal)
    row = np.repeat(np.arange(n_rows), joint.counts)
    low, high = np.full(n_rows, len(sequences)), np.full(n_rows, -1)
    np.minimum.at(low, row, placement.sequence)
    np.maximum.at(high, row, placement.sequence)
    has_tokens = (counts > 0).all(axis=0)
    apart = has_tokens & (low != high)
    if apart.any():
        first = int(apart.argmax())
        what = "pairs have their spans" if rows.are_pairs else "rows have their tokens"
        report_filled(
            f"{apart.sum()} of {n_rows} {what} too far apart for any window of {limit} tokens (the "
            f"first is row {first})",
            missing,
        )
    sequence = np.where(has_tokens & ~apart, low, -1)
    spans = []
    for side in range(len(counts)):
        own, own_ptr = ranges(ptr[:-1][side :: len(counts)], counts[side])
        spans.append((placement.position[own], own_ptr))
    return sequences, first_sequence, sequence, spans


def positions_in_text(encodings, alignment):
    """Return the position of each token of an alignment in its text."""
    text = np.searchsorted(encodings.ptr, alignment.tokens, side="right") - 1
    return alignment.tokens - encodings.ptr[text], pointers(alignment.counts)
