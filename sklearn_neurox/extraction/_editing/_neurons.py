# SPDX-License-Identifier: BSD-3-Clause
"""Map the names of neurons to the blocks and columns of a live model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sklearn_neurox.extraction._editing._neuron_patterns import expand_names
from sklearn_neurox.extraction._model._available_blocks import list_blocks
from sklearn_neurox.extraction._model._block_widths import widths_of
from sklearn_neurox.extraction._model._blocks import COMPONENTS, MODULE
from sklearn_neurox.extraction._model._loading import load_config
from sklearn_neurox.utils._names import parse_neuron_names

_PARTS = ["stack", "component", "layer"]


@dataclass(frozen=True)
class Neurons:
    """Neurons of a model, in the order they were named."""

    names: np.ndarray  # as given, or as the head or pattern that was given stands for them
    blocks: tuple  # of Block: the blocks that the neurons are in
    block: np.ndarray  # the index of each neuron's block
    unit: np.ndarray  # the column of each neuron in its block
    given: np.ndarray  # which of the given names each comes from
    own_names: np.ndarray  # without a prefix

    def __len__(self):
        return len(self.names)

    def by_block(self, places):
        """Group the neurons at ``places`` by block.

        Yields
        ------
        block : Block

        units : ndarray of int
            The columns of the neurons in the block.

        inside : ndarray of int
            The indices of these neurons in ``places``.
        """
        of_place = self.block[places]
        for number in np.unique(of_place):
            inside = np.flatnonzero(of_place == number)
            yield self.blocks[number], self.unit[places[inside]], inside


def find_neurons(spec, names, *, caller):
    """Find the neurons of a model by their names.

    Parameters
    ----------
    spec : ModelSpec

    names : array-like of str, of shape (n_neurons,)
        Names as returned by the extractor, with or without a ``prefix__``; or heads and patterns,
        see `expand_names`.

    caller : str
        The public function, for messages.

    Returns
    -------
    neurons : Neurons

    Raises
    ------
    ValueError
        If a name is not the name of a neuron (``"x0"``), a neuron is named twice, or the model does
        not have it; the message gives the first such name.
    """
    names, given = expand_names(spec, _check_list(names, caller), caller=caller)
    parts = parse_neuron_names(names)
    _refuse(names, parts["unit"].isna(), caller, "which is not the name of a neuron. " + _REMEDY)
    what = (
        "which is a column of pairs of spans. Name the neuron of the model: drop 'first.' or "
        "'other.'; a difference or product involves that neuron at both spans."
    )
    _refuse(names, parts["span"].notna(), caller, what)
    own_names = _own_names(parts)
    _refuse(names, own_names.duplicated(), caller, "more than once. Name each neuron once.")
    parts["component"] = parts["component"].astype(object)
    _check_stacks(spec, names, parts, caller)
    # The layer of a module is guessed from its path, so it cannot distinguish blocks.
    parts.loc[parts["component"].str.startswith(MODULE), "layer"] = -1
    number = parts.groupby(_PARTS, dropna=False, sort=False).ngroup().to_numpy()
    firsts = np.unique(number, return_index=True)[1]
    blocks = [_block_of(spec, names[i], parts.loc[i, _PARTS], caller) for i in firsts]
    unit = np.empty(len(names), dtype=np.intp)
    for i, (block, width) in enumerate(zip(blocks, widths_of(spec, blocks), strict=True)):
        own = np.flatnonzero(number == i)
        there = block.neuron_names(width)
        unit[own] = pd.Index(there).get_indexer(own_names[own])
        what = f"but {block.name!r} has the {width} neurons {there[0]!r} to {there[-1]!r}."
        _refuse(names[own], unit[own] < 0, caller, what)
    return Neurons(names, tuple(blocks), number, unit, given, own_names.to_numpy(dtype=object))


_REMEDY = (
    "Generated names ('x0') do not identify neurons of a model. Use names such as 'hidden.3.127' "
    "from the extraction's get_feature_names_out(): pass them to the ranker's to_frame(), or rank "
    "a DataFrame (set_output(transform='pandas'))."
)


def _check_list(names, caller):
    names = np.asarray(names, dtype=object)
    if names.ndim != 1:
        problem = f"one, {str(names)!r}" if names.ndim == 0 else f"an array of shape {names.shape}"
        raise ValueError(f"{caller} takes a flat list of neuron names, got {problem}.")
    wrong = np.array([not isinstance(name, str) for name in names], dtype=bool)
    _refuse(names, wrong, caller, "which is an index, not the name of a neuron. " + _REMEDY)
    return names


def _refuse(names, is_wrong, caller, problem):
    is_wrong = np.asarray(is_wrong, dtype=bool)
    if is_wrong.any():
        first = names[np.flatnonzero(is_wrong)[0]]
        count = f" ({is_wrong.sum()} in total)" if is_wrong.sum() > 1 else ""
        raise ValueError(f"{caller} was given the neuron {first!r}{count}, {problem}")


def _own_names(parts):
    """Return the names without prefixes, as blocks write them."""
    names = parts["neuron"].astype(object)
    without = names.str.replace(r"^.*__", "", regex=True)
    is_module = parts["component"].str.startswith(MODULE)
    return without.mask(is_module, names.str.replace(rf"^.*__(?={MODULE})", "", regex=True))


def _check_stacks(spec, names, parts, caller):
    is_module = parts["component"].str.startswith(MODULE)
    of_stack = parts["stack"].notna() & ~is_module
    if not load_config(spec).is_encoder_decoder:
        what = f"but {spec.name} is not an encoder-decoder: its neurons have no such prefix."
        _refuse(names, of_stack, caller, what)
        return
    what = (
        f"but {spec.name} has two stacks. Begin the name with 'encoder.' or 'decoder.', as the "
        "extractor does."
    )
    _refuse(names, ~of_stack & ~is_module, caller, what)
    stack = parts["component"].str.extract(rf"^{MODULE}(encoder|decoder)\.")[0]
    _refuse(names, is_module & stack.isna(), caller, what)
    parts["stack"] = parts["stack"].astype(object).where(~is_module, stack)


def _block_of(spec, name, part, caller):
    """Find the block of a neuron."""
    component = part["component"]
    stack = None if pd.isna(part["stack"]) else part["stack"]
    if component not in COMPONENTS and not component.startswith(MODULE):
        what = f"but there is no component {component!r}, only {list(COMPONENTS)} and modules."
        _refuse(np.array([name], dtype=object), [True], caller, what)
    try:
        there = list_blocks(spec, load_config(spec), (component,), (stack,))
    except ValueError as error:
        raise ValueError(f"{caller} was given the neuron {name!r}. {error}") from error
    if component.startswith(MODULE):  # the path, read as a pattern, may also match others
        return next(block for block in there if block.component == component)
    for block in there:
        if block.layer == part["layer"]:
            return block
    layers = [block.layer for block in there]
    what = f"but {spec.name} has {component} neurons in the layers {layers}."
    _refuse(np.array([name], dtype=object), [True], caller, what)
