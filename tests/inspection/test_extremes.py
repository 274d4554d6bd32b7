# SPDX-License-Identifier: BSD-3-Clause
"""The extreme values of each row are those that sorting puts first."""

import numpy as np

from sklearn_neurox.inspection._extremes import find_extremes


def test_extremes_are_those_of_a_sorted_row():
    rng = np.random.default_rng(0)
    for n_columns in (1, 2, 3, 7, 40, 3000):
        values = rng.permuted(np.tile(np.arange(n_columns) - n_columns / 3, (6, 1)), axis=1)
        for n in (1, 2, 5, 60):
            keys = {"positive": -values, "negative": values, "absolute": -np.abs(values)}
            for sign, key in keys.items():
                rows, columns, signs, ranks = find_extremes(values, n, sign)
                expected = np.argsort(key, axis=1, kind="stable")[:, :n]
                np.testing.assert_array_equal(columns.reshape(6, -1), expected, err_msg=sign)
                np.testing.assert_array_equal(rows, np.repeat(np.arange(6), expected.shape[1]))
                np.testing.assert_array_equal(ranks, np.tile(range(1, expected.shape[1] + 1), 6))
                is_up = values[rows, columns] >= 0 if sign == "absolute" else sign == "positive"
                np.testing.assert_array_equal(
                    signs,
                    np.where(is_up, "+", "-")
                    if sign == "absolute"
                    else np.repeat("+" if is_up else "-", len(rows)),
                )
