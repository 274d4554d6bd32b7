# SPDX-License-Identifier: BSD-3-Clause
"""Neurons, heads and layers: what an ablation changes as a whole."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_neurox.ablation._direction_fills import is_direction
from sklearn_neurox.extraction._editing._neurons import Neurons, find_neurons
from sklearn_neurox.extraction._model._available_blocks import list_blocks
from sklearn_neurox.extraction._model._block_widths import widths_of
from sklearn_neurox.extraction._model._loading import load_config

_CALLER = "causal_effect"


@dataclass(frozen=True)
class Units:
    """Neurons of a model, divided into units."""

    neurons: Neurons
    names: np.ndarray  # of the units, in the order in which their first neurons are named
    unit: np.ndarray  # of each neuron

    def __len__(self):
        return len(self.names)

    def places(self, units):
        """Return the places of the neurons of some units, in the order of the units."""
        if len(self.names) == len(self.unit):
            return np.asarray(units, dtype=np.intp)
        return np.concatenate([np.flatnonzero(self.unit == unit) for unit in units])


def divide(spec, neurons, by):
    """Divide neurons into single neurons, heads or layers.

    Raises
    ------
    ValueError
        If a neuron has no head, or if some neurons of a head or layer are missing.
    """
    if by == "neuron":
        return Units(neurons, neurons.names, np.arange(len(neurons)))
    widths = np.array(widths_of(spec, neurons.blocks))
    headless = [place for place, block in enumerate(neurons.blocks) if not block.n_heads]
    if by == "head" and headless:
        first = neurons.names[np.flatnonzero(neurons.block == headless[0])[0]]
        raise ValueError(
            f"The 'by' parameter of {_CALLER} is 'head', but the neuron {first!r} belongs to no "
            "head. Name neurons of the component 'attention', such as 'attention.3.h5.17', or use "
            "by='layer'."
        )
    n_heads = np.array([block.n_heads if by == "head" else 1 for block in neurons.blocks])
    width = widths // n_heads
    head = neurons.unit // width[neurons.block]
    keys = pd.MultiIndex.from_arrays([neurons.block, head])
    unit, firsts = pd.factorize(keys)
    block, head = (firsts.get_level_values(level).to_numpy() for level in (0, 1))
    of_head = [f".h{number}" if by == "head" else "" for number in head]
    names = np.array(
        [neurons.blocks[b].name + suffix for b, suffix in zip(block, of_head, strict=True)],
        dtype=object,
    )
    _check_whole(names, np.bincount(unit), width[block], by)
    return Units(neurons, names, unit)


def _check_whole(names, sizes, widths, by):
    partial = np.flatnonzero(sizes < widths)
    if len(partial):
        first = partial[0]
        raise ValueError(
            f"The 'by' parameter of {_CALLER} is {by!r}, but 'neurons' has only {sizes[first]} of "
            f"the {widths[first]} neurons of {names[first]!r} ({len(partial)} such {by}s). Name "
            f"all of them, or pass groups of neurons: a dict of lists of names."
        )


def read_groups(spec, groups):
    """Find the neurons of named groups.

    Returns
    -------
    names : dict of object to ndarray of str
        The names of the neurons of each group, as the model writes them.

    Raises
    ------
    ValueError
        If there is no group, a group is empty, or two groups share a neuron.
    """
    if not groups:
        raise ValueError(f"The 'neurons' parameter of {_CALLER} has no groups: it is empty.")
    owner, names = {}, {}
    for group, listed in groups.items():
        if isinstance(listed, str):
            listed = [listed]
        elif is_direction(listed) or (len(listed) and np.asarray(listed).dtype.kind in "fc"):
            raise ValueError(
                f"The group {group!r} in the 'neurons' parameter of {_CALLER} holds numbers, not "
                "names of neurons. Pass directions as a DataFrame, with neurons as columns and a "
                "direction per row."
            )
        listed = np.array(listed, dtype=object)
        names[group] = find_neurons(spec, listed, caller=_CALLER).own_names
        if not len(names[group]):
            raise ValueError(
                f"The group {group!r} in the 'neurons' parameter of {_CALLER} has no neurons."
            )
        shared = [name for name in names[group] if name in owner]
        if shared:
            raise ValueError(
                f"The groups {owner[shared[0]]!r} and {group!r} in the 'neurons' parameter of "
                f"{_CALLER} overlap: both have the neuron {shared[0]!r} ({len(shared)} in total). "
                "Leave it out of one of them, or measure them in separate calls."
            )
        owner.update(dict.fromkeys(names[group], group))
    return names


def with_controls(spec, names, by):
    """Find neurons by their names, and all others among which units of the same kind can be drawn.

    These are the other neurons or heads of the same layers, or the other layers of the component.

    Returns
    -------
    neurons : Neurons
    """
    found = find_neurons(spec, names, caller=_CALLER)
    blocks = found.blocks
    if by == "layer":
        kinds = dict.fromkeys((block.component, block.stack) for block in blocks)
        config = load_config(spec)
        alike = [list_blocks(spec, config, (kind,), (stack,)) for kind, stack in kinds]
        blocks = tuple(dict.fromkeys([*blocks, *(block for own in alike for block in own)]))
    widths = widths_of(spec, blocks)
    everything = [block.neuron_names(width) for block, width in zip(blocks, widths, strict=True)]
    return find_neurons(spec, np.concatenate(everything), caller=_CALLER)


def kinds_of(units, by):
    """Return a number for each unit, equal for those that can stand in for one another."""
    block = np.empty(len(units), dtype=np.intp)
    block[units.unit] = units.neurons.block
    if by != "layer":
        return block
    kinds = [(one.component, one.stack) for one in units.neurons.blocks]
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    return np.array([numbers[kind] for kind in kinds])[block]
