# SPDX-License-Identifier: BSD-3-Clause
"""Where a model makes each of its states, so that a state changed there is what comes after."""

import contextlib
import weakref
from dataclasses import dataclass

import torch

from sklearn_neurox.extraction._model._forward import (
    are_close,
    base_of,
    evaluating,
    forward_of,
    hidden_states_of,
    probe_inputs,
    traits_of,
)
from sklearn_neurox.extraction._model._hooks import ModuleDidNotRun, Tap, run_tapped
from sklearn_neurox.extraction._model._projections import block_modules

_hidden_sites: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Site:
    """A side of a module of a stack, by its path; "" is the stack itself."""

    path: str
    side: str  # "input" or "output"
    # Which of the module's calls in one forward pass, None for every one: counting needs to see
    # where a pass begins, so only what runs several times a pass is counted.
    call: int | None = None

    def tap(self, base):
        """Give the module itself."""
        return Tap(base.get_submodule(self.path), self.side, self.call or 0)


def site_of(model, block):
    """Find where a block of neurons is made.

    Parameters
    ----------
    model : PreTrainedModel or TorchModel

    block : Block

    Returns
    -------
    site : Site

    Raises
    ------
    ValueError
        For a hidden layer that no one module of the model makes.
    """
    if block.component != "hidden":
        side = "input" if block.component in ("mlp", "attention") else "output"
        is_repeated = block.component in ("mlp", "attention") and _shares_blocks(model, block.stack)
        return Site(block.path, side, block.call if is_repeated else None)
    sites = hidden_sites(model, block.stack)
    if block.layer not in sites:
        name = type(getattr(model, "module", model)).__name__
        raise ValueError(
            f"The neurons of {block.name!r} cannot be changed: no one module of {name} makes this "
            f"state. Those of the hidden layers {sorted(sites)} can, and other components."
        )
    return sites[block.layer]


def hidden_sites(model, stack):
    """Find where each hidden state of a stack is made; the result is checked, not assumed.

    Parameters
    ----------
    model : PreTrainedModel

    stack : {"encoder", "decoder"} or None

    Returns
    -------
    sites : dict of int to Site
        By layer; only those found.
    """
    # By the stack, which a model shares with the same model without its head.
    base = base_of(model, stack)
    if base not in _hidden_sites:
        traits = traits_of(model, stack)
        with evaluating(model), torch.inference_mode():
            _hidden_sites[base] = _find(model, stack, traits)
    return _hidden_sites[base]


def _find(model, stack, traits):
    base, inputs = base_of(model, stack), probe_inputs(model, stack)
    expected = hidden_states_of(base, inputs)
    candidates, blocks = _candidates(model, base, stack, traits)
    found = {}
    seen = _matching(
        forward_of(model, base, inputs),
        {(layer, site): (site.tap(base), expected[layer]) for layer, site in candidates},
    )
    for layer, site in candidates:
        if (layer, site) in seen:
            found.setdefault(layer, site)
    last = len(expected) - 1
    if last not in found:
        found[last] = _producer(model, base, inputs, blocks, expected[last])
    return found


def _matching(forward, taps):
    """List the taps that see the state they should, in the order in which they see it."""
    seen = []

    def visit(name, state):
        expected = taps[name][1]
        if isinstance(state, torch.Tensor) and are_close(state, expected):
            seen.append(name)

    with contextlib.suppress(ModuleDidNotRun):  # not all take part
        run_tapped(forward, {name: tap for name, (tap, _) in taps.items()}, visit, stop=False)
    return seen


def _candidates(model, base, stack, traits):
    """List where the states may be made, the likeliest first, and the paths of the blocks."""
    if traits.blocks is not None:
        paths = [f"{traits.blocks}.{block}" for block in range(traits.n_layers)]
        outputs = [(block + 1, Site(path, "output")) for block, path in enumerate(paths)]
        return [(0, Site(paths[0], "input")), *outputs], tuple(paths)
    blocks = block_modules(base, model.config, stack)
    calls = {
        layer: (path, call if _shares_blocks(model, stack) else None)
        for layer, (path, call) in blocks.items()
    }
    outputs = [(layer, Site(path, "output", call)) for layer, (path, call) in calls.items()]
    inputs = [(layer - 1, Site(path, "input", call)) for layer, (path, call) in calls.items()]
    return outputs + inputs, tuple(path for path, _ in blocks.values())


def _shares_blocks(model, stack):
    """Tell whether one module serves as several blocks, as in ALBERT."""
    blocks = block_modules(base_of(model, stack), model.config, stack)
    return any(call for _, call in blocks.values())


def _producer(model, base, inputs, blocks, expected):
    """Find the first module outside the blocks whose output is the last state: its final norm.

    Not the stack as a whole: some heads call its parts themselves, and poolers come before its end.
    """
    inside = tuple(f"{path}." for path in blocks)
    taps = {
        path: (Tap(module, "output"), expected)
        for path, module in base.named_modules()
        if path and path not in blocks and not path.startswith(inside)
    }
    found = _matching(forward_of(model, base, inputs), taps)
    return Site(found[0] if found else "", "output")
