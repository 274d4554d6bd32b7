# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of a neuron inside a model: h becomes factor * h + shift."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.utils._constraints import FiniteNumber

FILL_CONSTRAINTS = {
    "fill": [StrOptions({"zero", "mean", "scale", "translate"}), FiniteNumber()],
    "values": [FiniteNumber(), "array-like", None],
    "step": [FiniteNumber(), "array-like"],
}
_NEEDED = {
    "mean": "the mean of each neuron, such as values=H.mean() of a DataFrame H of activations",
    "scale": "the factor, such as values=0.5, or one for each neuron",
    "translate": (
        "the way from one class mean to the other for each neuron, such as "
        "values=H[is_target].mean() - H[is_source].mean() of a DataFrame H of activations"
    ),
}


@dataclass(frozen=True)
class Fills:
    """One fill for each neuron of a ranking."""

    fill: object
    values: np.ndarray | None  # of each neuron
    step: np.ndarray | None  # of the first changed, the second, ...

    def changes(self, neurons, places):
        """Make the changes that `editing` takes.

        Parameters
        ----------
        neurons : Neurons

        places : ndarray of int
            Which of them to change, in this order.

        Returns
        -------
        changes : dict of Block to callable
        """
        changes = {}
        for block, units, inside in neurons.by_block(places):
            values = None if self.values is None else self.values[places[inside]]
            if self.step is not None:
                values = values * self.step[inside]
            changes[block] = _Change(self.fill, units, values, block.name)
        return changes


def check_fills(fill, values, step, neurons, *, caller):
    """Check the parameters that say what becomes of neurons.

    Parameters
    ----------
    fill, values, step : object
        The parameters; see `ablate_model`.

    neurons : Neurons

    caller : str
        The public function, for messages.

    Returns
    -------
    fills : Fills

    Raises
    ------
    ValueError
        For values that are missing, superfluous, not finite, or not one for each neuron.
    """
    if fill not in _NEEDED:
        if values is not None:
            raise ValueError(
                f"The 'values' parameter of {caller} is for the fills {', '.join(_NEEDED)}; "
                f"fill={fill!r} says all. Leave it None."
            )
        value = 0.0 if fill == "zero" else float(fill)
        return Fills("constant", np.full(len(neurons), value), None)
    if values is None:
        raise ValueError(
            f"The 'values' parameter of {caller} is None, but fill={fill!r} needs {_NEEDED[fill]}."
        )
    values = _per_neuron(values, "values", neurons, caller)
    step = _per_neuron(step, "step", neurons, caller) if fill == "translate" else None
    return Fills("constant" if fill == "mean" else fill, values, step)


def _per_neuron(values, parameter, neurons, caller):
    if isinstance(values, pd.Series) and parameter == "values":
        values = _by_name(values, neurons, caller)
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0:
        values = np.full(len(neurons), values)
    if values.shape != (len(neurons),):
        raise ValueError(
            f"The {parameter!r} parameter of {caller} must be a number or hold one for each of "
            f"the {len(neurons)} neurons, got shape {values.shape}."
        )
    wrong = ~np.isfinite(values)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"The {parameter!r} parameter of {caller} is {values[first]} for the neuron "
            f"{neurons.names[first]!r} ({wrong.sum()} such)."
        )
    return values


def _by_name(values, neurons, caller):
    if values.index.has_duplicates:
        raise ValueError(
            f"The 'values' parameter of {caller} has "
            f"{values.index[values.index.duplicated()][0]!r} more than once in its index."
        )
    if values.index.dtype.kind in "iu":  # a Series without names, in the order of the neurons
        return values
    missing = ~np.isin(neurons.names, values.index.to_numpy(dtype=object))
    if missing.any():
        first = neurons.names[np.flatnonzero(missing)[0]]
        raise ValueError(
            f"The 'values' parameter of {caller} is a Series, but its index lacks the neuron "
            f"{first!r} ({missing.sum()} such); it begins with {list(values.index[:3])}."
        )
    return values.loc[neurons.names]


class _Change:
    """A change of some units of a state, which is itself left alone."""

    def __init__(self, fill, units, values, name):
        self.fill, self.name = fill, name
        self.units, self.values = units, values
        self._tensors = {}

    def __call__(self, state):
        units, values = self._on(state)
        changed = state.clone()
        if self.fill == "constant":
            changed[..., units] = values
        elif self.fill == "scale":
            changed[..., units] = state[..., units] * values
        else:
            changed[..., units] = state[..., units] + values
        return changed

    def _on(self, state):
        key = state.device, state.dtype
        if key not in self._tensors:
            self._tensors[key] = self._to_tensors(state)
        return self._tensors[key]

    def _to_tensors(self, state):
        import torch

        from sklearn_neurox.utils._torch import to_tensor

        # Made where nothing is trained, they could not be used where something is.
        with torch.inference_mode(False):
            values = to_tensor(self.values).to(state.dtype)
            units = to_tensor(self.units, device=state.device)
            if bool(torch.isfinite(values).all()):
                return units, values.to(state.device)
        raise OverflowError(
            f"A neuron of {self.name!r} is to become, or to be changed by, "
            f"{abs(self.values).max():.6g}, which {state.dtype} cannot hold."
        )
