# SPDX-License-Identifier: BSD-3-Clause
"""Change the states of a model along directions, or by an eraser."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_neurox.ablation._changes import (
    Coordinates,
    Erasure,
    RelativeTranslation,
    Translation,
)
from sklearn_neurox.ablation._directions import Directions, align_directions, as_directions
from sklearn_neurox.extraction._editing._neurons import find_neurons
from sklearn_neurox.extraction._model._block_widths import widths_of
from sklearn_neurox.extraction._model._blocks import Block


class _Part(NamedTuple):
    """The directions of one block."""

    block: Block
    names: np.ndarray  # of its neurons
    rows: np.ndarray  # which directions they are
    directions: Directions


@dataclass(frozen=True)
class DirectionFills:
    """How the states of some blocks are changed along directions."""

    parts: tuple  # of _Part
    labels: list
    fill: object
    values: np.ndarray | None  # per direction, or a row of them for each token of the rows
    step: np.ndarray | None
    relative: bool = False  # whether a translation is relative to the norm of each state

    def __len__(self):
        return len(self.labels)

    @property
    def blocks(self):
        """The blocks that are changed."""
        return tuple(part.block for part in self.parts)

    @property
    def read(self):
        """The names of the neurons whose states of other rows ``"interchange"`` needs."""
        return np.concatenate([part.names for part in self.parts])

    def with_states(self, states):
        """Return a copy that inserts the coordinates of these states, one row per token."""
        values = np.zeros((len(states), len(self)))
        first = 0
        for part in self.parts:
            own = states[:, first : first + len(part.names)]
            values[:, part.rows] = own @ _unit(part.directions.matrix).T
            first += len(part.names)
        return replace(self, values=values)

    def changes(self, places=None):
        """Return the changes along the directions at ``places``, for `editing`; None takes all."""
        chosen = np.arange(len(self)) if places is None else np.asarray(places)
        changes = {}
        for part in self.parts:
            own = np.isin(part.rows, chosen)
            if own.any() or not len(part.rows):
                changes[part.block] = self._change(part, own)
        return changes

    def _change(self, part, own):
        directions, name = part.directions, part.block.name
        rows, matrix = part.rows[own], directions.matrix[own]
        if directions.readouts is not None:
            return Erasure(matrix, directions.readouts[own], directions.center, name)
        if self.fill == "translate":
            kind = RelativeTranslation if self.relative else Translation
            return kind(self.step[rows] @ (_unit(matrix) if self.relative else matrix), name)
        kind = self.fill if self.fill in ("scale", "interchange") else "constant"
        return Coordinates(kind, _unit(matrix), self.values[..., rows], name)


def is_direction(what):
    """Return whether ``what`` holds directions, rather than names of neurons."""
    if isinstance(what, (pd.DataFrame, type)) or hasattr(what, "fit"):
        return True
    return isinstance(what, pd.Series) and pd.api.types.is_numeric_dtype(what.dtype)


def check_directions(spec, source, fill, values, step, *, caller, parameter):
    """Check directions against a model, and how the states are to be changed along them.

    Parameters
    ----------
    spec : ModelSpec

    source : Series, DataFrame or estimator
        See `as_directions`.

    fill, values, step : object
        The parameters of `ablate_model`.

    caller, parameter : str
        The function and its parameter with the directions, for messages.

    Returns
    -------
    fills : DirectionFills
    """
    directions = as_directions(source, caller=caller, parameter=parameter)
    where = f"The {parameter!r} parameter of {caller}"
    if directions.readouts is not None:
        _check_unscaled(source, where)
    parts = _split(spec, directions, caller, parameter)
    labels = directions.labels
    fills = DirectionFills(parts, labels, fill, None, None)
    if directions.readouts is not None:
        if fill != "zero" or values is not None:
            raise ValueError(
                f"{where} is an eraser, which knows what states become. Leave out 'fill' and "
                f"'values'; got fill={fill!r}. To change states along its directions in another "
                "way, pass pd.DataFrame(eraser.directions_, columns=eraser.feature_names_in_)."
            )
        return fills
    if fill == "interchange":
        return fills
    if fill == "translate":
        if values is not None:
            raise ValueError(
                f"The 'values' parameter of {caller} does not apply to directions with "
                "fill='translate', which adds 'step' times the direction. Omit them."
            )
        return replace(fills, step=_per_direction(step, "step", labels, caller))
    return replace(fills, values=_targets(fills, fill, values, caller))


def _targets(fills, fill, values, caller):
    """Return the coordinates that states get, or for ``"scale"`` the factors."""
    labels = fills.labels
    if fill not in ("mean", "scale"):
        if values is not None:
            raise ValueError(
                f"The 'values' parameter of {caller} applies only to the fills mean and scale, "
                f"along directions; fill={fill!r} needs no values. Omit them."
            )
        targets = np.full(len(labels), 0.0 if fill == "zero" else float(fill))
    elif values is None:
        needed = "the mean of each neuron, such as values=H.mean() for a DataFrame H of activations"
        needed = needed if fill == "mean" else "a factor, such as values=0.5, or one per direction"
        raise ValueError(
            f"The 'values' parameter of {caller} is None, but fill={fill!r} needs {needed}."
        )
    elif isinstance(values, pd.Series) and fill == "mean":
        return _mean_coordinates(fills, values, caller)
    else:
        targets = _per_direction(values, "values", labels, caller)
    if fill not in ("zero", "scale"):
        _check_consistent(fills, targets, caller)
    return targets


def _mean_coordinates(fills, means, caller):
    targets = np.zeros(len(fills))
    for part in fills.parts:
        places = pd.Index(means.index).get_indexer(part.names)
        if means.index.has_duplicates or (places < 0).any():
            raise ValueError(
                f"The 'values' parameter of {caller} is a Series that must have each neuron of "
                f"{part.block.name!r} once in its index, as the directions do, but lacks or "
                f"repeats some; it begins with {list(means.index[:3])}."
            )
        own = means.to_numpy(dtype=np.float64)[places]
        _check_finite_values(own, part.names, "values", caller)
        targets[part.rows] = _unit(part.directions.matrix) @ own
    return targets


def _check_consistent(fills, targets, caller):
    """Raise an error if dependent directions cannot have the coordinates that they should."""
    for part in fills.parts:
        directions, wanted = _unit(part.directions.matrix), targets[part.rows]
        reached = directions @ (np.linalg.pinv(directions, rcond=1e-6) @ wanted)
        if not np.allclose(reached, wanted, rtol=1e-4, atol=1e-6 * abs(wanted).max(initial=0)):
            raise ValueError(
                f"The {len(wanted)} directions of {part.block.name!r} depend on each other, as the "
                "coefficients of all classes of a probe may, so their coordinates cannot become "
                f"any values. Pass {caller} fewer directions, or fill='zero'."
            )


def _per_direction(values, parameter, labels, caller):
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 0:
        values = np.full(len(labels), values)
    if values.shape != (len(labels),):
        raise ValueError(
            f"The {parameter!r} parameter of {caller} must be one number, or contain one for each "
            f"of the {len(labels)} directions. Got shape {values.shape}."
        )
    _check_finite_values(values, labels, parameter, caller)
    return values


def _check_finite_values(values, names, parameter, caller):
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ValueError(
            f"The {parameter!r} parameter of {caller} is {values[wrong[0]]} for "
            f"{names[wrong[0]]!r} ({len(wrong)} in total). Use finite values."
        )


def _split(spec, directions, caller, parameter):
    """Return the directions by block; each must lie in one."""
    neurons = find_neurons(spec, directions.names, caller=caller)
    weights = abs(directions.matrix)
    if directions.readouts is not None:
        weights = weights + abs(directions.readouts)
    acts = np.column_stack(
        [weights[:, neurons.block == n].any(axis=1) for n in range(len(neurons.blocks))]
    )
    widths = widths_of(spec, neurons.blocks)
    parts = []
    for n, (block, width) in enumerate(zip(neurons.blocks, widths, strict=True)):
        own, rows = np.flatnonzero(neurons.block == n), np.flatnonzero(acts[:, n])
        names = block.neuron_names(width)
        part = Directions(
            neurons.own_names[own],
            directions.matrix[np.ix_(rows, own)],
            [directions.labels[row] for row in rows],
            None if directions.readouts is None else directions.readouts[np.ix_(rows, own)],
            None if directions.center is None else directions.center[own],
        )
        of = f"block {block.name}"
        part = align_directions(part, names, caller=caller, parameter=parameter, of=of)
        parts.append(_Part(block, names, rows, part))
    several = np.flatnonzero(acts.sum(axis=1) > 1)
    if len(several):
        first = int(several[0])
        names = [block.name for block, act in zip(neurons.blocks, acts[first], strict=True) if act]
        raise ValueError(
            f"The {parameter!r} parameter of {caller} has a direction ({directions.labels[first]!r}"
            f") that spans {len(names)} blocks, {names[0]!r} to {names[-1]!r}, which a model "
            "computes one after the other. Fit one probe or eraser per block, on its columns alone."
        )
    return tuple(part for part in parts if len(part.rows) or len(parts) == 1)


def _unit(matrix):
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def _check_unscaled(eraser, where):
    """Raise an error if an eraser was fitted on standardized columns, which no model computes."""
    moments = getattr(eraser, "_moments", None)
    if moments is None or len(eraser.mean_) < 2:
        return
    scatter = moments["scatter"]
    variances = (scatter if scatter.ndim == 1 else np.diag(scatter)) / moments["count"]
    is_standard = np.isclose(variances, 1, atol=1e-4) | (variances == 0)
    if variances.any() and is_standard.all() and (abs(eraser.mean_) < 1e-4).all():
        raise ValueError(
            f"{where} was fitted on standardized columns: all have mean 0 and variance 1, which "
            "the states of the model do not. Fit the eraser on the activations themselves; LEACE "
            "does not depend on their scales."
        )
