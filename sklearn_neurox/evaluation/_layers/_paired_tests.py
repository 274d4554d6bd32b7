# SPDX-License-Identifier: BSD-3-Clause
"""Paired tests of all pairs of scores on the same words; Holm's correction."""

import numpy as np
import pandas as pd

from sklearn_neurox.evaluation._compare import paired_test


def compare_pairs(names, outcomes, groups, *, inflation, confidence):
    """Compare each pair of means over the same words; return one row per pair.

    ``outcomes`` is of shape (n_words, n_means); ``groups`` are codes from 0. See `paired_test` for
    ``inflation``.
    """
    first, second = np.triu_indices(len(names), k=1)
    tests = [
        paired_test(outcomes[:, i] - outcomes[:, j], groups, inflation, confidence)
        for i, j in zip(first, second, strict=True)
    ]
    columns = ["difference", "low", "high", "std_error", "p_value"]
    table = pd.DataFrame(tests, columns=columns, dtype=np.float64)
    names = pd.Series(names)
    table.insert(0, "first", names.take(first).to_numpy())
    table.insert(1, "second", names.take(second).to_numpy())
    return table.assign(p_holm=holm(table["p_value"]))


def holm(p_values):
    """Correct p-values for multiple testing with Holm's step-down method.

    Rejecting corrected values up to alpha keeps the chance of any false rejection at most alpha.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    return np.minimum(np.maximum.accumulate(steps), 1.0)[np.argsort(order)]
