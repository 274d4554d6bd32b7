# SPDX-License-Identifier: BSD-3-Clause
"""The check of the rows given to evaluators."""

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._validation import check_equal_lengths, check_row_order


def matching_rows(caller, **rows):
    """Convert tables of other libraries, and check that they have the same rows, in order."""
    rows = {name: to_pandas(values) for name, values in rows.items()}
    check_equal_lengths(caller, **rows)
    check_row_order(**rows)
    return rows.values()
