# SPDX-License-Identifier: BSD-3-Clause
"""Which model inputs run together."""

import numpy as np

# More padding than this wastes more time than a fuller batch saves.
_MAX_PADDING = 0.10


def plan_batches(lengths, batch_tokens, *, pad=True):
    """Group model inputs of similar length into batches.

    Parameters
    ----------
    lengths : ndarray of shape (n_sequences,)
        Tokens of each input. Empty inputs are left out.

    batch_tokens : int
        Tokens a batch may hold, padding included. A longer input makes a batch of its own.

    pad : bool, default=True
        False puts only inputs of equal length together, for models that padding disturbs.

    Returns
    -------
    batches : list of ndarray
        Indices of inputs; longest first, so that running out of memory happens at once.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    batches, start, used = [], 0, 0
    for stop, sequence in enumerate(order):
        longest = lengths[order[start]]
        room = (stop - start + 1) * longest
        padding = room - used - lengths[sequence]
        allowed = _MAX_PADDING * room if pad else 0
        if stop > start and (room > batch_tokens or padding > allowed):
            batches.append(order[start:stop])
            start, used = stop, 0
        used += lengths[sequence]
    if start < len(order):
        batches.append(order[start:])
    return batches
