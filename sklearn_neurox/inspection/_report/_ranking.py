# SPDX-License-Identifier: BSD-3-Clause
"""The ranks, scores and weights that a fitted ranker and a fitted probe assign."""

import numpy as np

from sklearn_neurox.ranking._order import neuron_order


def read_ranking(ranker, probe, classes, is_numeric):
    """Return the order of a fitted ranker, and its arrays and those of a probe, or None, by name.

    ``rank`` and ``score`` have the shape (n_neurons,), and ``class_score``, ``class_rank`` and
    ``weight`` one row per class of the report: of NaN, or ranks of 0, for an unknown class. Arrays
    that the ranker and the probe lack are left out; a neuron without weight has the weight NaN.
    For numbers, ``weight`` has a single row, and there are no class scores.
    """
    order = np.asarray(neuron_order(ranker))
    arrays = {"rank": _ranks(order[np.newaxis])[0]}
    if getattr(ranker, "scores_", None) is not None:
        arrays["score"] = ranker.scores_
    if hasattr(ranker, "class_scores_") and not is_numeric:
        arrays["class_score"] = _rows_of(ranker.class_scores_, ranker, classes, np.nan)
        arrays["class_rank"] = _rows_of(_ranks(_class_order(ranker)), ranker, classes, 0)
    if probe is not None:
        arrays["weight"] = _weights(probe, ranker, classes, len(order), is_numeric)
    return order, arrays


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


def _weights(probe, ranker, classes, n_neurons, is_numeric):
    name = type(probe).__name__
    coef = getattr(probe, "coef_", None)
    if coef is None or hasattr(probe, "classes_") == is_numeric:
        kind = "regressor with 'coef_'" if is_numeric else "classifier with 'coef_' and 'classes_'"
        raise ValueError(
            f"The 'probe' parameter of NeuronReport must be a fitted linear {kind}, which {name} "
            "is not. For a pipeline, pass its last step."
        )
    coef = np.atleast_2d(coef.toarray() if hasattr(coef, "toarray") else coef).astype(np.float64)
    if is_numeric and len(coef) > 1:
        raise ValueError(
            f"The probe {name} predicts {len(coef)} targets, but a report shows one. Fit a probe "
            "for each."
        )
    if not is_numeric and len(probe.classes_) == 2 and len(coef) == 1:
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
    return weights if is_numeric else _rows_of(weights, probe, classes, np.nan)
