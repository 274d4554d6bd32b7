# SPDX-License-Identifier: BSD-3-Clause
"""Concatenated lists of different lengths: list i is at ``ptr[i]:ptr[i + 1]``."""

import numpy as np


def pointers(counts):
    """Return the start of every list and the end of the last one."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def ranges(first, counts):
    """Concatenate ``arange(first[i], first[i] + counts[i])`` for all i; also return pointers."""
    ptr = pointers(counts)
    return np.arange(ptr[-1]) - np.repeat(ptr[:-1] - first, counts), ptr
