# SPDX-License-Identifier: BSD-3-Clause
"""How many bits held-out labels cost, given the probabilities that a probe predicts for them."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

from sklearn_neurox.evaluation._fits import fit_on_rows, take_rows
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels

# Probability that is mixed in for each class: a label that the probe rules out costs 52 bits, and a
# label that it is certain of costs almost nothing.
_FLOOR = np.finfo(np.float64).eps


class LabeledRows(NamedTuple):
    """Rows and their labels, which are encoded by all classes that can occur."""

    X: object
    y: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    groups: np.ndarray | None


def labeled_rows(X, y, classes, groups, *, caller):
    """Check the labels of rows, and encode them."""
    check_no_missing_labels(y)
    check_class_labels(y)
    labels = column_or_1d(np.asarray(y))
    known = np.unique(labels if classes is None else np.asarray(classes))
    if len(known) < 2:
        raise ValueError(
            f"{caller} needs at least two classes, got {known.tolist()}: labels that are all the "
            "same carry no information."
        )
    codes = np.searchsorted(known, labels)
    wrong = known[np.minimum(codes, len(known) - 1)] != labels
    if wrong.any():
        raise ValueError(
            f"y has the label {labels[wrong].tolist()[0]!r} at row {int(wrong.argmax())}, which "
            f"is not in 'classes' ({wrong.sum()} such rows). Add it to 'classes', or drop the rows."
        )
    return LabeledRows(X, labels, codes, known, None if groups is None else np.asarray(groups))


def check_has_probabilities(estimator, caller):
    """Raise an error if a probe cannot predict probabilities."""
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{caller} needs class probabilities, but {type(estimator).__name__} has no "
            "'predict_proba'. Use a probe that has it, or wrap this one in "
            "CalibratedClassifierCV."
        )


def label_costs(estimator, rows, train, test, *, note):
    """Return the bits of the labels of the test rows, and whether a training row has each label.

    Parameters
    ----------
    estimator : classifier instance or None
        The probe, fitted to a clone; None predicts the frequencies of the training labels.

    rows : LabeledRows

    train, test : ndarray of int
        Row numbers.

    note : str
        Added to an error that the fit of the probe raises.

    Notes
    -----
    The probabilities sum to 1 over all K classes. If u classes do not occur among the n training
    labels, they share the probability u / (n + K), by Laplace's rule, and those of the probe are
    scaled down accordingly. No probe is fitted if all training labels are the same.
    """
    counts = np.bincount(rows.codes[train], minlength=len(rows.classes))
    seen = np.flatnonzero(counts)
    column = pd.Index(seen).get_indexer(rows.codes[test])  # -1 if no training row has the label
    is_seen = column >= 0
    if estimator is None or len(seen) == 1:
        chosen = (counts[seen] / len(train))[np.maximum(column, 0)]
    else:
        proba = _probabilities(estimator, rows, train, test, rows.classes[seen], note)
        chosen = np.take_along_axis(proba, np.maximum(column, 0)[:, None], axis=1)[:, 0]
    n_unseen, n_classes = len(rows.classes) - len(seen), len(rows.classes)
    escape = n_unseen / (len(train) + n_classes)
    chosen = np.where(is_seen, (1 - escape) * chosen, escape / max(1, n_unseen))
    return -np.log2((1 - n_classes * _FLOOR) * chosen + _FLOOR), is_seen


def _probabilities(estimator, rows, train, test, classes, note):
    try:
        probe = fit_on_rows(estimator, rows.X, rows.y, rows.groups, train)
    except ValueError as error:
        error.add_note(note)
        raise
    proba = np.asarray(probe.predict_proba(take_rows(rows.X, test)), dtype=np.float64)
    if not np.array_equal(probe.classes_, classes):
        raise ValueError(
            f"The probe was fitted to the classes {classes.tolist()}, but has the classes "
            f"{np.asarray(probe.classes_).tolist()}."
        )
    if not np.isfinite(proba).all() or (proba < 0).any():
        raise ValueError(
            f"{type(estimator).__name__}, fitted to {len(train)} rows, predicted probabilities "
            "that are negative or not finite, which cannot encode labels."
        )
    # Probabilities in single precision sum to 1 only roughly, which is not a valid code.
    return proba / proba.sum(axis=1, keepdims=True)
