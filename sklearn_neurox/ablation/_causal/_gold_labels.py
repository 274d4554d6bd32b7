# SPDX-License-Identifier: BSD-3-Clause
"""Erase a concept, but give the label of each word back: the selectivity control."""

from dataclasses import dataclass

import numpy as np

from sklearn_neurox.ablation._changes import Erasure
from sklearn_neurox.extraction._editing._neurons import find_neurons
from sklearn_neurox.utils._unique_in_order import unique_in_order

_CALLER = "causal_effect"


@dataclass(frozen=True)
class GoldLabels:
    """The class of each word, as an index of the classes of an eraser."""

    words: object  # DataFrame
    codes: np.ndarray


@dataclass(frozen=True)
class GoldFills:
    """The change of an eraser, and what it removes from each class on average, to give back."""

    part: object  # of DirectionFills
    removed: np.ndarray  # of shape (n_classes, n_units)
    gold: GoldLabels

    @property
    def block(self):
        """The block that is erased."""
        return self.part.block

    def changes(self, shares):
        """Return the change, for `editing`.

        Parameters
        ----------
        shares : ndarray of shape (n_slots, n_classes)
            How much each class counts at the tokens of each slot.
        """
        matrix, readouts, center = (
            getattr(self.part.directions, name) for name in ("matrix", "readouts", "center")
        )
        restored = shares @ self.removed
        return {self.block: _RestoringErasure(matrix, readouts, center, restored, self.block.name)}


class _RestoringErasure(Erasure):
    """Erases, and adds the row of a table that the slot of each token names."""

    def __init__(self, directions, readouts, center, restored, name):
        super().__init__(directions, readouts, center, name)
        self.arrays["restored"] = restored

    def change(self, state, slots, directions, readouts, center, restored):
        """Return the erased state plus what its label gives back."""
        erased = super().change(state, slots, directions, readouts, center)
        return erased + restored[slots]


def find_gold(eraser, words, y, carries):
    """Return the labels of the words if the eraser was fitted on these, or None.

    They may be y, or whether y is the positive label.
    """
    classes = getattr(eraser, "_classes", None)
    if classes is None or len(classes) != 1 or classes[0] is None:
        return None
    number = {label: code for code, label in enumerate(np.asarray(classes[0]).tolist())}
    for labels in (y, carries):
        listed = np.asarray(labels, dtype=object).tolist()
        kinds, codes = unique_in_order(np.array(listed, dtype=object))
        known = [number.get(kind) if _alike(kind, number) else None for kind in kinds]
        if None not in known:
            return GoldLabels(words, np.array(known)[codes])
    return None


def _alike(label, classes):
    """Return whether a label is of the type of the classes: True is not the class 1."""
    return any(isinstance(label, bool) == isinstance(one, bool) for one in classes)


def gold_fills(spec, eraser, part, gold):
    """Return the eraser's change, which gives each class the mean of what it removes from it."""
    moments = eraser._moments
    counts = moments["count"] * moments["mean_z"]
    differences = moments["cross"].T / np.where(counts > 0, counts, 1)[:, np.newaxis]
    # The eraser's columns may stand in another order than the block's.
    unit = find_neurons(spec, eraser.feature_names_in_, caller=_CALLER).unit
    of_class = np.zeros((len(differences), len(part.names)))
    of_class[:, unit] = differences
    removed = of_class @ part.directions.readouts.T @ part.directions.matrix
    return GoldFills(part, removed, gold)
