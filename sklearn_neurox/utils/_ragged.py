# SPDX-License-Identifier: BSD-3-Clause
"""Lists of different lengths laid end to end: list i stands at ``ptr[i]:ptr[i + 1]``."""

import numpy as np


def pointers(counts):
    """Return where each list begins, and at the end where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def ranges(first, counts):
    """Concatenate ``arange(first[i], first[i] + counts[i])`` for all i, without a loop."""
    ptr = pointers(counts)
    return np.arange(ptr[-1]) - np.repeat(ptr[:-1] - first, counts), ptr
