# SPDX-License-Identifier: BSD-3-Clause
"""Labels, targets and weights in the form that the solvers need."""

from dataclasses import dataclass

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from sklearn_neurox.utils._warn_user import warn_user


@dataclass
class Targets:
    """Encoded labels or targets, and their weights.

    Attributes
    ----------
    values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class indices, or targets in float64.

    weight, moment_weight : ndarray of shape (n_samples,) or None
        Weights of the losses, and weights of the column moments, which ignore class weights. Both
        have mean one; None if all weights are equal.
    """

    values: np.ndarray
    weight: np.ndarray | None
    moment_weight: np.ndarray | None


@dataclass
class ClassTargets(Targets):
    """Labels as class indices.

    Attributes
    ----------
    present : ndarray of shape (n_classes,), dtype=bool
        Whether a class has a sample of positive weight. With more than two classes, ``values``
        numbers the present classes only.
    """

    present: np.ndarray

    @property
    def is_whole(self):
        """Whether every class has a sample of positive weight."""
        return bool(self.present.all())

    @property
    def scores_can_shift(self):
        """Whether the same number may be added to the scores of all classes."""
        return len(self.present) > 2

    @property
    def loss(self):
        """The loss."""
        from sklearn_neurox.probes.solvers._losses import BinaryLoss, MultinomialLoss

        return BinaryLoss() if len(self.present) == 2 else MultinomialLoss(int(self.present.sum()))

    def attributes(self, coef, intercept):
        """Turn coefficients into the attributes of a fitted probe."""
        if self.present.all():
            return {"coef_": coef, "intercept_": intercept}
        all_coef = np.zeros((len(self.present), coef.shape[1]))
        all_coef[self.present] = coef
        all_intercept = np.full(len(self.present), -np.inf)
        all_intercept[self.present] = intercept
        return {"coef_": all_coef, "intercept_": all_intercept}


@dataclass
class NumberTargets(Targets):
    """Targets in float64, of shape (n_samples, n_outputs).

    Attributes
    ----------
    is_single : bool
        Whether y is one-dimensional.

    center : ndarray of shape (n_outputs,)
        Subtracted from the targets, so that rounding errors depend only on their spread.
    """

    is_single: bool
    center: np.ndarray

    is_whole = True
    scores_can_shift = False

    @property
    def loss(self):
        """The loss."""
        from sklearn_neurox.probes.solvers._losses import SquaredLoss

        return SquaredLoss(self.values.shape[1])

    def attributes(self, coef, intercept):
        """Turn coefficients into the attributes of a fitted probe."""
        intercept = intercept + self.center
        if self.is_single:
            return {"coef_": coef[0], "intercept_": float(intercept[0])}
        return {"coef_": coef, "intercept_": intercept}


def class_targets(codes, classes, *, class_weight, sample_weight, where=""):
    """Encode labels, given as indices into ``classes``, and their weights.

    ``sample_weight`` comes from `scaled_weight`; ``where`` completes messages (" of fold 3").
    Raise an error if fewer than two classes have a sample of positive weight.
    """
    check_class_weight(class_weight)
    n_classes = len(classes)
    weight = sample_weight
    if class_weight is not None:
        is_balanced = class_weight == "balanced"
        counts = slice(None) if weight is None else weight > 0
        names = np.arange(n_classes) if is_balanced else classes
        seen = np.unique(codes[counts])
        by_class = np.zeros(n_classes)
        by_class[seen] = compute_class_weight(
            class_weight,
            classes=names[seen],
            y=names[codes[counts]],
            sample_weight=None if weight is None else weight[counts],
        )
        weight = by_class[codes] * (1.0 if weight is None else weight)
        weight = weight / weight.mean()
    present = np.bincount(codes, weights=weight, minlength=n_classes) > 0
    if present.sum() < 2:
        kind = "" if weight is None else " of positive weight"
        raise ValueError(
            f"This solver needs samples{kind} of at least 2 classes in the data{where}, but the "
            f"data contains only one class: {classes[present].tolist()}"
        )
    if not present.all():
        reason = "have no sample" if weight is None else "have no sample of positive weight"
        warn_user(
            f"The classes {classes[~present].tolist()} {reason} in the data{where} and are never "
            "predicted."
        )
    if n_classes > 2:
        # The code of a sample without weight does not matter.
        codes = np.where(present, np.cumsum(present) - 1, 0)[codes]
    return ClassTargets(codes, weight, sample_weight, present)


def check_class_weight(class_weight):
    """Raise an error if a class weight is negative or not finite."""
    if not isinstance(class_weight, dict):
        return
    for label, weight in class_weight.items():
        if not 0 <= weight < np.inf:
            raise ValueError(
                f"class_weight must contain finite, non-negative weights, but the weight of "
                f"{label!r} is {weight!r}."
            )


def number_targets(y, sample_weight, center):
    """Center targets of shape (n_samples,) or (n_samples, n_outputs)."""
    values = y.reshape(len(y), -1) - center
    return NumberTargets(values, sample_weight, sample_weight, y.ndim == 1, center)


def center_of(y, sample_weight, *, fit_intercept):
    """Return the mean of every target, or zeros without an intercept to absorb them."""
    values = y.reshape(len(y), -1)
    if fit_intercept:
        return np.average(values, axis=0, weights=sample_weight)
    return np.zeros(values.shape[1])


def scaled_weight(weight, rows=slice(None)):
    """Scale the valid weights of some rows to mean one; None if all are equal."""
    if weight is None:
        return None
    weight = weight[rows]
    if (weight == weight[0]).all() and weight[0] > 0:
        return None
    if not weight.any():
        raise ValueError("All sample weights are zero. Give some sample a positive weight.")
    return weight / weight.mean()
