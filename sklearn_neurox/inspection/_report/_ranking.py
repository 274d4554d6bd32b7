# SPDX-License-Identifier: BSD-3-Clause
"""The ranks, scores and weights that a fitted ranker and a fitted probe assign."""

from typing import NamedTuple

import numpy as np

from sklearn_neurox.ranking._order import neuron_order


class Ranking(NamedTuple):
    """Ranks, scores and weights, with one row per class of the report."""

    order: np.ndarray  # (n_neurons,)
    ranks: np.ndarray  # (n_neurons,)
    scores: np.ndarray | None  # (n_neurons,)
    class_scores: np.ndarray | None  # (n_classes, n_neurons), NaN for an unknown class
    class_ranks: np.ndarray | None  # (n_classes, n_neurons), 0 for an unknown class
    weights: np.ndarray | None  # (n_classes, n_neurons), NaN also for a neuron without weight


def read_ranking(ranker, probe, classes):
    """Read a fitted ranker and a fitted probe, or None, for the classes of the report."""
    order = np.asarray(neuron_order(ranker))
    scores = getattr(ranker, "scores_", None)
    class_scores = class_ranks = None
    if hasattr(ranker, "class_scores_"):
        class_scores = _rows_of(ranker.class_scores_, ranker, classes, np.nan)
        class_ranks = _rows_of(_ranks(_class_order(ranker)), ranker, classes, 0)
    weights = None if probe is None else _weights(probe, ranker, classes, len(order))
    return Ranking(order, _ranks(order[np.newaxis])[0], scores, class_scores, class_ranks, weights)


def _class_order(ranker):
    if hasattr(ranker, "class_order_"):
        return np.asarray(ranker.class_order_)
    return np.argsort(-np.asarray(ranker.class_scores_), axis=1, kind="stable")


def _ranks(orders):
    ranks = np.empty(orders.shape, dtype=np.int64)
    np.put_along_axis(ranks, orders, np.arange(1, orders.shape[1] + 1)[np.newaxis], axis=1)
    return ranks


def _rows_of(values, estimator, classes, missing):
    values = np.asarray(values)
    rows = np.full((len(classes), values.shape[1]), missing, dtype=values.dtype)
    places = {label: i for i, label in enumerate(classes)}
    for label, row in zip(np.asarray(estimator.classes_).tolist(), values, strict=True):
        rows[places[label]] = row
    return rows


def _weights(probe, ranker, classes, n_neurons):
    name = type(probe).__name__
    coef = getattr(probe, "coef_", None)
    if coef is None or not hasattr(probe, "classes_"):
        raise ValueError(
            f"The 'probe' parameter of NeuronReport must be a fitted linear classifier with "
            f"'coef_' and 'classes_', which {name} lacks. For a pipeline, pass its last step."
        )
    coef = np.atleast_2d(coef.toarray() if hasattr(coef, "toarray") else coef).astype(np.float64)
    if len(probe.classes_) == 2 and len(coef) == 1:
        # For two classes, the single row is for the second class and its negative for the first.
        coef = np.concatenate([-coef, coef])
    columns = np.arange(n_neurons)
    if coef.shape[1] != n_neurons and hasattr(ranker, "get_support"):
        columns = ranker.get_support(indices=True)
    if coef.shape[1] != len(columns):
        raise ValueError(
            f"The probe {name} was fitted on {coef.shape[1]} columns, but there are {n_neurons} "
            "neurons. It must be fitted on all of them, or on those that the ranker selects."
        )
    weights = np.full((len(coef), n_neurons), np.nan)
    weights[:, columns] = coef
    return _rows_of(weights, probe, classes, np.nan)
