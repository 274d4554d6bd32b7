# SPDX-License-Identifier: BSD-3-Clause


class RowView:
    """Selected rows of a matrix, given in ascending order and read on demand without a copy."""

    def __init__(self, X, rows):
        self.X = X
        self.rows = rows
        self.shape = (len(rows), X.shape[1])
        self.dtype = X.dtype

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        return self.X[self.rows[key]]
