# SPDX-License-Identifier: BSD-3-Clause
"""A concept, which is one or several columns of labels or numbers, as columns of numbers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels


@dataclass
class ConceptColumn:
    """One label or number per row.

    ``classes`` are the sorted labels, which the ``values`` are indices of; None for numbers.
    """

    values: np.ndarray
    classes: np.ndarray | None

    @property
    def width(self):
        """The number of columns of `rows`."""
        return 1 if self.classes is None else len(self.classes)

    def rows(self, block):
        """Return some rows as numbers: the indicators of the classes, or the number itself."""
        values = self.values[block]
        if self.classes is None:
            return values[:, np.newaxis]
        return (values[:, np.newaxis] == np.arange(len(self.classes))).astype(np.float64)


def concept_columns(concept, target_type, *, caller, name="y"):
    """Split labels or numbers of shape (n_samples,) or (n_samples, n_columns) into columns.

    ``target_type`` is that of `ConceptEraser`, or a list with one per column.
    """
    concept = to_pandas(concept)
    if isinstance(concept, pd.DataFrame):
        columns = [concept.iloc[:, place] for place in range(concept.shape[1])]
    elif isinstance(concept, pd.Series):
        columns = [concept]
    else:
        # NumPy would turn a list of strings and numbers into strings.
        values = concept if hasattr(concept, "dtype") else np.asarray(concept, dtype=object)
        values = np.asarray(values)
        if values.ndim not in (1, 2):
            raise ValueError(
                f"The concept given to {caller} must have shape (n_samples,) or (n_samples, "
                f"n_columns). Got shape {values.shape}."
            )
        columns = [values] if values.ndim == 1 else list(values.T)
    if not columns:
        raise ValueError(f"The concept given to {caller} has no column.")
    kinds = target_type if isinstance(target_type, list) else [target_type] * len(columns)
    if len(kinds) != len(columns):
        raise ValueError(
            f"The concept given to {caller} has {len(columns)} columns, but it had {len(kinds)} in "
            "the first call of partial_fit."
        )
    return [
        _column(values, kind, caller, name) for values, kind in zip(columns, kinds, strict=True)
    ]


def check_varies(columns, weights, *, caller):
    """Raise an error if a column of the concept has only one value in rows of positive weight."""
    for place, column in enumerate(columns):
        values = column.values if weights is None else column.values[weights > 0]
        if len(values) and (values == values[0]).all():
            labels = values if column.classes is None else column.classes[values[:1]]
            where = f"column {place} of the concept" if len(columns) > 1 else "the concept"
            raise ValueError(
                f"{caller} needs at least two classes, but {where} has only 1 class: "
                f"{labels.tolist()[0]!r}. There is nothing to erase."
            )


def _column(values, kind, caller, name):
    check_no_missing_labels(values, input_name=name)
    values = np.asarray(values)
    if values.dtype == object:
        values = pd.Series(values).infer_objects().to_numpy()
    if kind == "auto":
        is_number = values.dtype.kind == "f" and (values != np.floor(values)).any()
        kind = "numbers" if is_number else "classes"
    if kind == "classes":
        classes, codes = np.unique(values, return_inverse=True)
        return ConceptColumn(codes, classes)
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{caller} reads {name} as numbers, but a value is not a number: {error}"
        ) from error
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise ValueError(f"Input {name} of {caller} contains infinity: row {row}.")
    return ConceptColumn(numbers, None)
