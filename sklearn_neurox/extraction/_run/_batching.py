# SPDX-License-Identifier: BSD-3-Clause
"""Plan batches of model inputs, and split those that do not fit into memory."""

import numpy as np

from sklearn_neurox.utils._torch import is_out_of_memory, release_memory

# With a larger share of padding than this, a fuller batch costs more time than it saves.
_MAX_PADDING = 0.10


def plan_batches(lengths, max_batch_tokens, *, pad=True):
    """Group model inputs of similar length into batches.

    Parameters
    ----------
    lengths : ndarray of shape (n_sequences,)
        Tokens per input. Empty inputs are left out.

    max_batch_tokens : int
        The maximum number of tokens per batch, including padding. A longer input gets a batch of
        its own.

    pad : bool, default=True
        False batches only inputs of equal length, for models without support for padding.

    Returns
    -------
    batches : list of ndarray
        Indices of inputs, the longest first, so that running out of memory shows at once.
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
    """Run a batch, in halves if it does not fit into memory.

    Parameters
    ----------
    run : callable
        Called with inputs of the batch and the set of steps already done for them; it adds each
        step that need not be repeated after running out of memory.

    batch : ndarray
        Indices of inputs.

    done : iterable, default=()
        The steps already done for the whole batch.
    """
    done = set(done)
    try:
        run(batch, done)
        return
    except (RuntimeError, MemoryError) as error:
        if len(batch) == 1 or not is_out_of_memory(error):
            raise
    # Outside the except block, whose traceback would keep the activations alive.
    release_memory()
    middle = (len(batch) + 1) // 2
    for half in (batch[:middle], batch[middle:]):
        run_in_halves(run, half, done)
