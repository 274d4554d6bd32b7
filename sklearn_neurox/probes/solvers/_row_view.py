# SPDX-License-Identifier: BSD-3-Clause


class RowView:
    """Some rows of a matrix, read when they are asked for; a fold of it needs no copy.

    Parameters
    ----------
    X : ndarray of shape (n_samples_of_all, n_features)

    rows : ndarray of shape (n_samples,)
        Ascending.
    """

    def __init__(self, X, rows):
        self.X = X
        self.rows = rows
        self.shape = (len(rows), X.shape[1])
        self.dtype = X.dtype

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        return self.X[self.rows[key]]
