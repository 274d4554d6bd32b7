# SPDX-License-Identifier: BSD-3-Clause
"""Change neurons inside a model: an activation h becomes factor * h + shift."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.ablation._changes import UnitChange
from sklearn_neurox.extraction._editing._neurons import Neurons
from sklearn_neurox.utils._constraints import FiniteNumber

FILL_CONSTRAINTS = {
    "fill": [StrOptions({"zero", "mean", "scale", "translate"}), FiniteNumber()],
    "values": [FiniteNumber(), "array-like", None],
    "step": [FiniteNumber(), "array-like"],
}
_NEEDED = {
    "mean": "the mean of each neuron, such as values=H.mean() for a DataFrame H of activations",
    "scale": "a factor, such as values=0.5, or one per neuron",
    "translate": (
        "the difference between two class means for each neuron, such as "
        "values=H[is_target].mean() - H[is_source].mean() for a DataFrame H of activations"
    ),
}


@dataclass(frozen=True)
class Fills:
    """How each neuron of a ranking is changed."""

    neurons: Neurons
    fill: object
    values: np.ndarray | None  # per neuron; for "interchange", a row for each token of the rows
    step: np.ndarray | None  # of the first changed neuron, the second, ...

    def __len__(self):
        return len(self.neurons)

    @property
    def blocks(self):
        """The blocks that are changed."""
        return self.neurons.blocks

    @property
    def read(self):
        """The names of the neurons whose states of other rows ``"interchange"`` needs."""
        return self.neurons.own_names

    def with_states(self, states):
        """Return a copy that inserts these states, one row for each token of the rows."""
        return replace(self, values=states)

    def changes(self, places=None):
        """Return the changes of the neurons at ``places``, in this order, for `editing`.

        None changes all.
        """
        places = np.arange(len(self)) if places is None else places
        changes = {}
        for block, units, inside in self.neurons.by_block(places):
            values = self.values[..., places[inside]]
            if self.step is not None:
                values = values * self.step[inside]
            changes[block] = UnitChange(self.fill, units, values, block.name)
        return changes


def check_fills(fill, values, step, neurons, *, caller):
    """Check the parameters of `ablate_model` that determine how neurons are changed."""
    if fill == "interchange":
        return Fills(neurons, fill, None, None)
    if fill not in _NEEDED:
        if values is not None:
            raise ValueError(
                f"The 'values' parameter of {caller} applies only to the fills "
                f"{', '.join(_NEEDED)}; fill={fill!r} needs no values. Omit them."
            )
        value = 0.0 if fill == "zero" else float(fill)
        return Fills(neurons, "constant", np.full(len(neurons), value), None)
    if values is None:
        raise ValueError(
            f"The 'values' parameter of {caller} is None, but fill={fill!r} needs {_NEEDED[fill]}."
        )
    values = _per_neuron(values, "values", neurons, caller)
    step = _per_neuron(step, "step", neurons, caller) if fill == "translate" else None
    return Fills(neurons, "constant" if fill == "mean" else fill, values, step)


def _per_neuron(values, parameter, neurons, caller):
    if isinstance(values, pd.Series) and parameter == "values":
        values = _by_name(values, neurons, caller)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0:
        values = np.full(len(neurons), values)
    if values.shape != (len(neurons),):
        raise ValueError(
            f"The {parameter!r} parameter of {caller} must be one number, or contain one for each "
            f"of the {len(neurons)} neurons. Got shape {values.shape}."
        )
    wrong = ~np.isfinite(values)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"The {parameter!r} parameter of {caller} is {values[first]} for the neuron "
            f"{neurons.names[first]!r} ({wrong.sum()} in total). Use finite values."
        )
    return values


def _by_name(values, neurons, caller):
    if values.index.has_duplicates:
        raise ValueError(
            f"The index of the 'values' parameter of {caller} contains "
            f"{values.index[values.index.duplicated()][0]!r} more than once."
        )
    if values.index.dtype.kind in "iu":  # a Series without names, in the order of the neurons
        return values
    missing = ~np.isin(neurons.names, values.index.to_numpy(dtype=object))
    if missing.any():
        first = neurons.names[np.flatnonzero(missing)[0]]
        raise ValueError(
            f"The 'values' parameter of {caller} is a Series whose index lacks the neuron "
            f"{first!r} ({missing.sum()} in total); it begins with {list(values.index[:3])}."
        )
    return values.loc[neurons.names]
