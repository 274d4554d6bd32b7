# SPDX-License-Identifier: BSD-3-Clause
import numpy as np


def unique_in_order(values):
    """Return the distinct values in order of first appearance, and the code of each value.

    Unlike `pandas.factorize`, this distinguishes strings that differ only after a NUL character.
    """
    numbers = {}
    codes = np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.intp)
    return list(numbers), codes
