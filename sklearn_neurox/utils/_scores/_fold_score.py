# SPDX-License-Identifier: BSD-3-Clause
"""Scores of folds whose rows lack a class.

scikit-learn's scorers expose their metric, its arguments and the response method only as private
attributes. Other scorers are called as they are.
"""

from copy import copy
from inspect import signature

import numpy as np


def score_fold(scorer, probe, X, y, *, where, sample_weight=None):
    """Score a probe on test rows, which may lack some of its classes.

    ``where`` begins the message if the scorer fails, such as "Fold 2 of ablation_curve"; the
    message also names the classes that the training or the test rows lack.
    """
    given = {} if sample_weight is None else {"sample_weight": sample_weight}
    classes = flat_classes(probe)
    try:
        return with_classes(scorer, classes)(probe, X, y, **given)
    except ValueError as error:
        raise ValueError(
            f"{where} cannot be scored{_lacking(classes, y)}. The scorer's error: {error}"
        ) from error


def with_classes(scorer, classes):
    """Return a scorer that knows the classes, if its metric reads a column per class.

    Such a metric otherwise takes the classes of the test rows for those of the probe. Other
    scorers are returned as they are, because the classes would change what they average over.
    """
    metric, given = getattr(scorer, "_score_func", None), getattr(scorer, "_kwargs", {})
    if classes is None or metric is None or "labels" in given:
        return scorer
    needed = scorer._response_method
    parameters = signature(metric).parameters
    if "predict" in ([needed] if isinstance(needed, str) else needed) or "labels" not in parameters:
        return scorer
    scorer = copy(scorer)
    scorer._kwargs = {**given, "labels": classes}
    if len(classes) == 2 and "pos_label" in parameters:
        # The column that scikit-learn reads for two classes.
        scorer._kwargs.setdefault("pos_label", classes[1])
    return scorer


def flat_classes(probe):
    """Return the classes of a classifier with one output, or None."""
    classes = getattr(probe, "classes_", None)
    is_flat = isinstance(classes, np.ndarray) and classes.ndim == 1
    return classes if is_flat else None


def _lacking(classes, y):
    """Name the classes that the training rows or the test rows lack, for a message."""
    if classes is None:
        return ""
    labels = np.unique(np.asarray(y))
    untrained = np.setdiff1d(labels, classes).tolist()
    untested = np.setdiff1d(classes, labels).tolist()
    parts = []
    if untrained:
        parts.append(f"the classes {untrained} have test rows but no training row")
    if untested:
        parts.append(f"the classes {untested} have no test row")
    if not parts:
        return ""
    return f": {' and '.join(parts)}. Use stratified folds, or drop the rarest classes"
