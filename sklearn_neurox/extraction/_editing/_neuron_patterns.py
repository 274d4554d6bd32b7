# SPDX-License-Identifier: BSD-3-Clause
"""Expand heads and patterns, such as "attention.3.h5" and "mlp.4.*", to names of neurons."""

import fnmatch
import re

import numpy as np

from sklearn_neurox.extraction._model._available_blocks import list_blocks
from sklearn_neurox.extraction._model._block_widths import widths_of
from sklearn_neurox.extraction._model._blocks import COMPONENTS, MODULE
from sklearn_neurox.extraction._model._loading import load_config

_IS_GLOB = re.compile(r"[*?\[]")
_IS_HEAD = re.compile(r"\.h\d+$")
_PARTS = re.compile(
    r"(?:(?P<stack>encoder|decoder)\.)?(?P<component>[A-Za-z_]\w*)\.(?:(?P<layer>\d+)\.)?"
)


def expand_names(spec, names, *, caller):
    """Replace heads and patterns by the neurons that they stand for.

    Parameters
    ----------
    spec : ModelSpec

    names : ndarray of str, of shape (n_given,)
        Names of neurons; of heads, ``"attention.3.h5"``; and patterns in which ``*`` stands for any
        characters, ``?`` for one and ``[12]`` for one of several.

    caller : str
        The public function, for messages.

    Returns
    -------
    names : ndarray of str, of shape (n_neurons,)

    given : ndarray of int, of shape (n_neurons,)
        Which of the given names each comes from.

    Raises
    ------
    ValueError
        If a head or a pattern stands for no neuron.
    """
    is_short = [bool(_IS_GLOB.search(name) or _IS_HEAD.search(name)) for name in names]
    if not any(is_short):
        return names, np.arange(len(names))
    known, found = {}, []
    for name, short in zip(names, is_short, strict=True):
        found.append(_matching(spec, name, known, caller) if short else np.array([name], object))
    given = np.repeat(np.arange(len(names)), [len(own) for own in found])
    return np.concatenate(found), given


def _matching(spec, name, known, caller):
    pattern = name.rpartition("__")[2] if MODULE not in name else name[name.index(MODULE) :]
    if _IS_HEAD.search(pattern):
        pattern += ".*"
    blocks = _possible_blocks(spec, pattern, name, caller)
    new = [block for block in blocks if block not in known]
    for block, width in zip(new, widths_of(spec, new), strict=True):
        known[block] = block.neuron_names(width)
    matches = re.compile(fnmatch.translate(pattern)).match
    names = [neuron for block in blocks for neuron in known[block] if matches(neuron)]
    if not names:
        raise ValueError(
            f"{caller} was given {name!r}, but {_what_there_is(spec, name, blocks, known)}"
        )
    return np.array(names, dtype=object)


def _possible_blocks(spec, pattern, name, caller):
    """List the blocks whose neurons may match a pattern."""
    config = load_config(spec)
    stacks = ("encoder", "decoder") if config.is_encoder_decoder else (None,)
    if MODULE in pattern:
        return _list(spec, config, (pattern.rpartition(".")[0],), stacks, name, caller)
    parts = _PARTS.match(pattern)
    if parts is None:  # the component is a pattern itself
        blocks = []
        for component in COMPONENTS:
            try:
                blocks += list_blocks(spec, config, (component,), stacks)
            except ValueError:  # it has none
                continue
        return blocks
    component, stack = parts["component"], parts["stack"]
    if component not in COMPONENTS:
        raise ValueError(
            f"{caller} was given {name!r}, but there is no component {component!r}, only "
            f"{list(COMPONENTS)} and modules."
        )
    if config.is_encoder_decoder != bool(stack):
        problem = (
            "is not an encoder-decoder: its neurons have no such prefix"
            if stack
            else "has two stacks. Begin the name with 'encoder.' or 'decoder.'"
        )
        raise ValueError(f"{caller} was given {name!r}, but {spec.name} {problem}.")
    blocks = _list(spec, config, (component,), (stack,), name, caller)
    own = [block for block in blocks if str(block.layer) == parts["layer"]]
    return own or blocks


def _list(spec, config, components, stacks, name, caller):
    try:
        return list(list_blocks(spec, config, components, stacks))
    except ValueError as error:
        raise ValueError(f"{caller} was given {name!r}. {error}") from error


def _what_there_is(spec, name, blocks, known):
    last = blocks[-1] if blocks else None
    if _IS_HEAD.search(name) and last is not None:
        if last.n_heads is None:
            return "only attention has heads, such as 'attention.1.h0'."
        n_heads = max(block.n_heads for block in blocks)
        where, layers = repr(last.name), [block.layer for block in blocks]
        if len(blocks) > 1:
            where = f"the attention of {spec.name}, in the layers {layers},"
        return f"{where} has the heads 'h0' to 'h{n_heads - 1}'."
    some = f"; their names are like {known[last][0]!r}" if last is not None else ""
    return f"no neuron of {spec.name} matches it{some}."
