# SPDX-License-Identifier: BSD-3-Clause
"""Hooks that watch modules while a model runs, and are gone afterwards whatever happens."""

import contextlib
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass

import torch

# Hooks sit on the shared model, but only the call that set them may see what they see.
_current_call: ContextVar = ContextVar("sklearn_neurox_call", default=None)


class ModuleDidNotRun(RuntimeError):
    """A module that was to be watched took no part in the forward pass."""


@dataclass(frozen=True)
class Tap:
    """Where to listen: what goes into a module, or what comes out of it."""

    module: torch.nn.Module
    side: str  # "input" or "output"
    call: int = 0  # which of the module's calls in one forward pass


class _Stop(Exception):  # noqa: N818 - not an error
    """Ends a forward pass after the last thing asked for."""


def run_tapped(forward, taps, visit, *, stop):
    """Run a forward pass and hand over what the taps see, as it appears.

    Parameters
    ----------
    forward : callable
        Runs the model; called without arguments.

    taps : dict of object to Tap
        The taps by whatever name `visit` knows them.

    visit : callable
        Called with (name, tensor).

    stop : bool
        Whether to end the forward pass once all taps have seen their state.

    Returns
    -------
    output : object
        What ``forward`` returned; None where it was stopped.

    Raises
    ------
    ModuleDidNotRun
        If a module did not run.
    """
    call, waiting, counts = object(), set(taps), Counter()

    def record(name, state):
        if _current_call.get() is not call:
            return
        counts[name] += 1
        if counts[name] - 1 != taps[name].call:
            return
        visit(name, state)
        waiting.discard(name)
        if stop and not waiting:
            raise _Stop

    with contextlib.ExitStack() as stack:
        token = _current_call.set(call)
        stack.callback(_current_call.reset, token)
        for name, tap in taps.items():
            stack.callback(_hook(tap, name, record).remove)
        try:
            output = forward()
        except _Stop:
            return None
    if waiting:
        missing = sorted(map(str, waiting))
        raise ModuleDidNotRun(
            f"The modules behind {missing[0]!r} did not run in the forward pass ({len(waiting)} "
            "such), so their activations cannot be read."
        )
    return output


def _hook(tap, name, record):
    if tap.side == "output":
        return tap.module.register_forward_hook(
            lambda _, args, output: record(name, first_of(output))
        )

    # torch forgets the kwargs of a hook that is removed while another thread is calling it.
    def before(_, args, kwargs=None):
        if args or kwargs is not None:
            record(name, args[0] if args else kwargs["hidden_states"])

    return tap.module.register_forward_pre_hook(before, with_kwargs=True)


def first_of(output):
    """Take the first of several outputs: what comes with a state is of no interest."""
    if isinstance(output, dict):  # transformers' outputs are
        output = tuple(output.values())
    return output[0] if isinstance(output, (tuple, list)) and output else output


class _Head:
    """A pre-hook that leaves the head only the states it is asked about, in one call of ours."""

    def __init__(self, places):
        self.places, self.call, self.ran = places, object(), False

    def __call__(self, module, args):
        if _current_call.get() is not self.call or not args:
            return None
        self.ran = True
        state = args[0].reshape(-1, args[0].shape[-1])
        return (state[self.places.to(state.device)][None], *args[1:])


@contextlib.contextmanager
def at_places(module, places):
    """Have a module read only some of its states, for the calls made in this context.

    A vocabulary is a hundred times wider than a state, and most places are of no interest.

    Parameters
    ----------
    module : Module
        What makes predictions of states.

    places : Tensor of shape (n_places,)
        In the flattened batch.

    Yields
    ------
    head : object
        Its ``ran`` tells whether the module was used.
    """
    head = _Head(places)
    token = _current_call.set(head.call)
    handle = module.register_forward_pre_hook(head)
    try:
        yield head
    finally:
        handle.remove()
        _current_call.reset(token)
