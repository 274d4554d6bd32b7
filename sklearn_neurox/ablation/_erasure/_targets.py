# SPDX-License-Identifier: BSD-3-Clause
"""The named labels and numbers that `erasure_table` probes."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_regressor

from sklearn_neurox.ablation._erasure._concept import concept_columns


class Target(NamedTuple):
    name: str
    values: np.ndarray
    is_number: bool
    is_erased: bool


def read_targets(concept, others, probe, *, caller):
    """List the columns of the concept and of the others, as classes or as numbers."""
    kind = "auto"
    if probe is not None:
        kind = "numbers" if is_regressor(probe) else "classes"
    targets = _targets(concept, "concept", kind, True, caller)
    if others is not None:
        targets += _targets(others, "other", kind, False, caller)
    names = pd.Index([target.name for target in targets])
    if names.has_duplicates:
        raise ValueError(
            f"{caller} has several targets named {names[names.duplicated()][0]!r}. Rename them."
        )
    return targets


def _targets(values, default, kind, is_erased, caller):
    """Split labels and numbers into named columns."""
    if isinstance(values, dict):
        named = list(values.items())
    elif isinstance(values, pd.DataFrame):
        named = [(name, values.iloc[:, place]) for place, name in enumerate(values.columns)]
    elif isinstance(values, pd.Series):
        named = [(default if values.name is None else values.name, values)]
    else:
        values = np.asarray(values)
        columns = [values] if values.ndim == 1 else list(values.T)
        places = [""] if len(columns) == 1 else [f" {place}" for place in range(len(columns))]
        named = [(default + place, column) for place, column in zip(places, columns, strict=True)]
    return [_target(str(name), column, kind, is_erased, caller) for name, column in named]


def _target(name, values, kind, is_erased, caller):
    columns = concept_columns(values, kind, caller=caller, name=name)
    if len(columns) > 1:
        raise ValueError(f"The target {name!r} of {caller} has {len(columns)} columns, not one.")
    is_number = columns[0].classes is None
    values = columns[0].values if is_number else columns[0].classes[columns[0].values]
    return Target(name, values, is_number, is_erased)
