# SPDX-License-Identifier: BSD-3-Clause
"""Shares of the mass of the weights of a linear model."""

import numpy as np

# Tolerance for the rounding error of cumulative sums in double precision.
_ROUNDING = 1e-12


def needed_for_mass(scores, mass):
    """Mark the neurons that are needed to make up a fraction of the weight mass."""
    # Rounding must not admit a neuron that comes after the mass is complete.
    return (scores > 0) & (1 - scores < mass - _ROUNDING)


def hold_smallest_mass(importances, mass):
    """Mark the smallest weights in each row that together hold a fraction of its mass."""
    return np.stack([_smaller_share(row) for row in importances]) < mass - _ROUNDING


def reach_threshold(importances, threshold):
    """Mark the weights that are at least a fraction of the largest weight in their row."""
    largest = importances.max(axis=1, keepdims=True)
    return (importances >= threshold * largest) & (largest > 0)


def _smaller_share(weights):
    """Return the fraction of the mass that lies strictly below each weight."""
    values, inverse, counts = np.unique(weights, return_inverse=True, return_counts=True)
    up_to = np.cumsum(values * counts)
    below = np.append(0.0, up_to[:-1])
    return (below / (up_to[-1] or 1.0))[inverse]


def mass_scores(weights):
    """Return one minus the fraction of the mass that lies strictly above each weight."""
    # Summing over distinct values gives equal weights exactly the same score.
    values, inverse, counts = np.unique(weights, return_inverse=True, return_counts=True)
    from_above = np.cumsum((values * counts)[::-1])[::-1]
    strictly_above = np.append(from_above[1:], 0.0)
    if from_above[0] == 0:
        return np.zeros_like(weights)
    scores = 1 - (strictly_above / from_above[0])[inverse]
    scores[weights == 0] = 0.0
    return scores
