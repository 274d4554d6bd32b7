# SPDX-License-Identifier: BSD-3-Clause


def linear_scores(rows, coef):
    """Compute ``rows @ coef.T`` in column order, for a cache-sized block and few coefficient rows.

    The product is computed transposed, because BLAS is up to twice as fast at few rows by many
    columns as at many rows by few columns. On a GPU, row order suits what follows better.
    """
    if rows.is_cuda:
        return rows @ coef.T
    return (coef @ rows.T).T
