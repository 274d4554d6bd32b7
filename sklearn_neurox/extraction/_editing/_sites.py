# SPDX-License-Identifier: BSD-3-Clause
"""Find where a model computes each of its states, so that changes there take effect."""

import contextlib
import weakref
from dataclasses import dataclass, replace

import torch

from sklearn_neurox.extraction._model import _families
from sklearn_neurox.extraction._model._first_look import traits_of, with_embedding
from sklearn_neurox.extraction._model._forward import (
    are_close,
    base_of,
    evaluating,
    forward_of,
    hidden_place,
    hidden_states_of,
    probe_inputs,
    run_once,
)
from sklearn_neurox.extraction._model._hooks import ModuleDidNotRun, Tap, run_tapped
from sklearn_neurox.extraction._model._projections import block_modules
from sklearn_neurox.extraction._model._remembered import remembered

_hidden_sites: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Site:
    """One side of a module of a stack, given by its path; "" is the stack itself."""

    path: str
    side: str  # "input" or "output"
    # Which of the module's calls in one forward pass; None means all. Counting requires detecting
    # the start of a pass, so calls are counted only for modules that run several times per pass.
    call: int | None = None
    time_first: bool = False  # whether its states have the tokens before the texts

    def tap(self, base):
        """Return the tap that reads the site."""
        return Tap(base.get_submodule(self.path), self.side, self.call or 0)


def site_of(model, block):
    """Return the site where a block of neurons is computed, if a single module does."""
    if block.component != "hidden":
        if block.component not in ("mlp", "attention", "embedding"):
            return Site(block.path, "output")
        side = "output" if block.component == "embedding" else "input"
        call = block.call if side == "input" and _shares_blocks(model, block.stack) else None
        time_first = block.component in traits_of(model, block.stack).time_first
        return Site(block.path, side, call, time_first)
    sites = hidden_sites(model, block.stack)
    if block.layer not in sites:
        name = type(getattr(model, "module", model)).__name__
        raise ValueError(
            f"The neurons of {block.name!r} cannot be changed, because no single module of {name} "
            f"computes this state. Neurons of the hidden layers {sorted(sites)} and of other "
            "components can be changed."
        )
    return sites[block.layer]


def hidden_sites(model, stack):
    """Return the site of each hidden state of a stack by layer, verified by a test run.

    Layers whose site was not found are missing.
    """
    # Remembered by the stack, which a model with a head shares with the model without it.
    known = remembered(_hidden_sites, base_of(model, stack), run_once)
    if stack not in known:
        traits = traits_of(model, stack)
        with evaluating(model), torch.inference_mode():
            known[stack] = _find(model, stack, traits)
    return known[stack]


def _find(model, stack, traits):
    base, inputs = base_of(model, stack), probe_inputs(model, stack)
    expected = hidden_states_of(model, stack, inputs)
    if traits.lags:
        expected = with_embedding(model, stack, inputs, expected)
    candidates, blocks = _candidates(model, base, stack, traits)
    found = {}
    seen = _matching(
        forward_of(model, stack, inputs),
        {(layer, site): (site.tap(base), expected[layer]) for layer, site in candidates},
        pads=_families.pads_itself(model.config),
    )
    for layer, site in candidates:
        if (layer, site) in seen:
            found.setdefault(layer, replace(site, time_first=seen[layer, site]))
    last = len(expected) - 1
    if last not in found:
        found[last] = _producer(model, stack, inputs, blocks, expected[last])
    return found


def _matching(forward, taps, *, pads=False):
    """Return the taps that see the expected states, in the order in which they see them.

    The values are whether a tap sees the tokens before the texts.
    """
    seen = {}

    def visit(name, state):
        expected = taps[name][1]
        if isinstance(state, torch.Tensor) and state.ndim == 3:
            state = state[:, : expected.shape[1]] if pads else state
            # Of one text and several tokens, so that the shapes tell which comes first.
            if are_close(state, expected):
                seen[name] = False
            elif are_close(state.transpose(0, 1), expected):
                seen[name] = True

    with contextlib.suppress(ModuleDidNotRun):  # not all candidates run
        run_tapped(forward, {name: tap for name, (tap, _) in taps.items()}, visit, stop=False)
    return seen


def _candidates(model, base, stack, traits):
    """Return candidate sites of the states, the most likely first, and the paths of the blocks."""
    if traits.blocks is not None:
        paths = [f"{traits.blocks}.{block}" for block in range(traits.n_layers)]
        places = [Site(*hidden_place(traits, layer)) for layer in range(traits.n_layers)]
        return [*enumerate(places), (traits.n_layers, Site(paths[-1], "output"))], tuple(paths)
    blocks = block_modules(base, model.config, stack)
    shares = _shares_blocks(model, stack)
    calls = [(layer, path, call if shares else None) for layer, (path, call) in blocks.items()]
    outputs = [(layer, Site(path, "output", call)) for layer, path, call in calls]
    inputs = [(layer - 1, Site(path, "input", call)) for layer, path, call in calls]
    return outputs + inputs, tuple(path for path, _ in blocks.values())


def _shares_blocks(model, stack):
    """Return whether one module serves as several blocks, as in ALBERT."""
    blocks = block_modules(base_of(model, stack), model.config, stack)
    return any(call for _, call in blocks.values())


def _producer(model, stack, inputs, blocks, expected):
    """Find the first module outside the blocks whose output is the last state: the final norm.

    The stack as a whole does not work: some heads call its parts, and poolers run before its end.
    """
    inside = tuple(f"{path}." for path in blocks)
    taps = {
        path: (Tap(module, "output"), expected)
        for path, module in base_of(model, stack).named_modules()
        if path and path not in blocks and not path.startswith(inside)
    }
    found = _matching(forward_of(model, stack, inputs), taps)
    path, time_first = next(iter(found.items()), ("", False))
    return Site(path, "output", time_first=time_first)
