# SPDX-License-Identifier: BSD-3-Clause
"""Which model inputs run together."""

import numpy as np

from sklearn_neurox.utils._torch import is_out_of_memory, release_memory

# More padding than this wastes more time than a fuller batch saves.
_MAX_PADDING = 0.10


def plan_batches(lengths, max_batch_tokens, *, pad=True):
    """Group model inputs of similar length into batches.

    Parameters
    ----------
    lengths : ndarray of shape (n_sequences,)
        Tokens of each input. Empty inputs are left out.

    max_batch_tokens : int
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
        if stop > start and (room > max_batch_tokens or padding > allowed):
            batches.append(order[start:stop])
            start, used = stop, 0
        used += lengths[sequence]
    if start < len(order):
        batches.append(order[start:])
    return batches


def run_in_halves(run, batch, done=()):
    """Run a batch, in halves where the memory is too small for it.

    Parameters
    ----------
    run : callable
        Called with some of the batch, and the set of what is done for them already, to which it
        adds what need not be done again after running out of memory.

    batch : ndarray
        Indices of inputs.

    done : iterable, default=()
        What is done for all of them.
    """
    done = set(done)
    try:
        run(batch, done)
        return
    except (RuntimeError, MemoryError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    # Outside the handler, whose traceback would keep the activations alive.
    release_memory()
    middle = (len(batch) + 1) // 2
    for half in (batch[:middle], batch[middle:]):
        run_in_halves(run, half, done)
