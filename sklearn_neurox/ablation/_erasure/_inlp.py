# SPDX-License-Identifier: BSD-3-Clause
"""Iterative nullspace projection: fit a probe, project out its coefficients, and repeat."""

import numpy as np
from sklearn.base import clone

from sklearn_neurox.ablation._erasure._ridge_probe import ridge_probe
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._row_blocks import row_blocks

# Share of the rows on which the probes are scored.
_HELD_OUT = 0.2
# Directions below this share of the largest coefficients are rounding errors of the solver.
_LEAST_SIZE = 1e-4
_LEAST_DEVIATION = 1e-5


def inlp_subspace(X, moments, columns, weights, *, estimator, n_directions):
    """Remove the coefficients of probes until none beats chance on held-out rows.

    The probes see projected and standardized columns, but the directions are orthonormal in units
    of X. Returns the directions, and the number of rounds in which some were removed.
    """
    n_features = X.shape[1]
    most = n_features if n_directions is None else n_directions
    directions, n_rounds = np.zeros((0, n_features)), 0
    splits = [_split(column) for column in columns]
    values = np.empty(X.shape, dtype=np.result_type(X.dtype, np.float32))
    scale = moments.deviations()
    while len(directions) < most:
        units = _project(X, moments.mean, scale, directions, values)
        found = [
            _coefficients(values, column, split, weights, estimator)
            for column, split in zip(columns, splits, strict=True)
        ]
        new = np.vstack([rows for rows in found if rows is not None] or [directions[:0]]) / units
        # Twice, because the first projection leaves rounding errors.
        for _ in range(2):
            new = new - (new @ directions.T) @ directions
        _, sizes, basis = np.linalg.svd(new, full_matrices=False)
        basis = basis[sizes > _LEAST_SIZE * sizes.max(initial=0)][: most - len(directions)]
        if not len(basis):
            break
        directions, n_rounds = np.vstack([directions, basis]), n_rounds + 1
    return directions, n_rounds


def _split(column):
    """Hold out the last rows of every class, or the last rows if the concept is a number."""
    size = len(column.values)
    held_out = np.zeros(size, dtype=bool)
    groups = [np.arange(size)]
    if column.classes is not None:
        order = np.argsort(column.values, kind="stable")
        groups = np.split(order, np.cumsum(np.bincount(column.values))[:-1])
    for rows in groups:
        n_rows = max(int(len(rows) * _HELD_OUT), int(len(rows) > 1))
        held_out[rows[len(rows) - n_rows :]] = True
    return held_out


def _project(X, mean, scale, directions, values):
    """Fill ``values`` with projected, standardized rows, and return the units of its columns."""
    total = np.zeros(X.shape[1])
    for block in row_blocks(X):
        rows = X[block] - mean
        rows -= (rows @ directions.T) @ directions
        rows /= scale
        values[block] = rows
        total += np.square(rows, out=rows).sum(axis=0)
    deviations = np.sqrt(total / len(X))
    # What is left of a column that is projected out is due to rounding.
    deviations[deviations < _LEAST_DEVIATION] = 1.0
    for block in row_blocks(X):
        values[block] /= deviations
    return scale * deviations


def _coefficients(values, column, held_out, weights, estimator):
    """Fit a probe and return its coefficients; None if it is at chance on the held-out rows.

    Held-out rows must have no part in the directions: those that have look as if nothing were left.
    """
    is_number = column.classes is None
    target = column.values if is_number else column.classes[column.values]
    train, given = ~held_out, None if weights is None else weights[~held_out]
    probe = ridge_probe(is_number=is_number) if estimator is None else clone(estimator)
    fit_with_groups(probe, values[train], target[train], None, given)
    predicted = probe.predict(values[held_out])
    weights = np.ones(len(target)) if weights is None else weights
    is_chance = _is_r2_at_chance if is_number else _is_accuracy_at_chance
    if is_chance(predicted, target[held_out], weights[held_out], target[train], weights[train]):
        return None
    return np.atleast_2d(probe.coef_)


def _is_accuracy_at_chance(predicted, target, weight, trained, trained_weight):
    """Compare with always predicting the most frequent label, up to one standard error."""
    total = weight.sum()
    if not total:
        return True
    classes, codes = np.unique(trained, return_inverse=True)
    majority = classes[np.bincount(codes, trained_weight).argmax()]
    chance = weight @ (target == majority) / total
    error = np.sqrt(chance * (1 - chance) / total)
    return weight @ (predicted == target) / total <= chance + error


def _is_r2_at_chance(predicted, target, weight, trained, trained_weight):
    """Compare with always predicting the mean."""
    mean = np.average(trained, weights=trained_weight)
    return weight @ np.square(target - predicted) >= weight @ np.square(target - mean)
