# SPDX-License-Identifier: BSD-3-Clause
"""Shifts of a column's weights that leave the objective of a multinomial lasso unchanged."""


def has_free_shift(coef):
    """Mark the columns to whose weights, of shape (n_classes, n_columns), a constant can be added.

    A constant that is added to the weights of all classes leaves the probabilities unchanged. It
    leaves the l1 norm unchanged as long as half of the weights move away from zero, and half
    toward it.
    """
    half = len(coef) / 2
    return ((coef > 0).sum(axis=0) == half) | ((coef < 0).sum(axis=0) == half)
