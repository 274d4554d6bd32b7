# SPDX-License-Identifier: BSD-3-Clause
"""Hooks that read modules while a model runs, and are always removed afterwards."""

import contextlib
import threading
import weakref
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass

import torch

# Hooks are set on a shared model, but must act only within the call that set them.
_current_call: ContextVar = ContextVar("sklearn_neurox_call", default=None)
# How often each module was edited, ever: a short edit may begin and end within a forward pass.
_edits: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_edits_lock = threading.Lock()


class ModuleDidNotRun(RuntimeError):
    """A hooked module took no part in the forward pass; ``names`` lists its taps."""

    names: tuple = ()


@dataclass(frozen=True)
class Tap:
    """A place to read: the input or the output of a module."""

    module: torch.nn.Module
    side: str  # "input" or "output"
    call: int = 0  # which of the module's calls in one forward pass
    index: int | None = None  # which of several outputs; None is the state


class _Stop(Exception):  # noqa: N818 - not an error
    """Ends a forward pass once everything requested has been read."""


def run_tapped(forward, taps, visit, *, stop):
    """Run a forward pass and pass on the states at the taps as they appear.

    Parameters
    ----------
    forward : callable
        Runs the model; called without arguments.

    taps : dict of object to Tap
        The taps by name.

    visit : callable
        Called with (name, tensor).

    stop : bool
        Whether to end the forward pass once all taps have been read.

    Returns
    -------
    output : object
        The return value of ``forward``, or None if it was stopped.

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
        error = ModuleDidNotRun(
            f"The module of {missing[0]!r} did not run in the forward pass ({len(waiting)} in "
            "total), so its activations cannot be read."
        )
        error.names = tuple(waiting)
        raise error
    return output


def _hook(tap, name, record):
    if tap.side == "output":
        return tap.module.register_forward_hook(
            lambda _, args, output: record(
                name, first_of(output) if tap.index is None else output[tap.index]
            )
        )

    # torch omits the kwargs if the hook is removed while another thread is calling it.
    def before(_, args, kwargs=None):
        if args or kwargs is not None:
            record(name, args[0] if args else kwargs["hidden_states"])

    return tap.module.register_forward_pre_hook(before, with_kwargs=True)


def first_of(output):
    """Return the first of several outputs, which is the state."""
    if isinstance(output, dict):  # transformers' outputs are
        output = tuple(output.values())
    return output[0] if isinstance(output, (tuple, list)) and output else output


def watch_outputs(forward, base):
    """Run a forward pass, and list the matrices that its modules return beside their states.

    Returns
    -------
    seen : list of ((path, call, index), tensor)
        In the order in which modules end; ``index`` is the place of the tensor in their output.

    output : object
        The return value of ``forward``.
    """
    call, seen, counts = object(), [], Counter()

    def watch(path, output):
        if _current_call.get() is not call:
            return
        if isinstance(output, (tuple, list)):
            for index, state in enumerate(output):
                if getattr(state, "ndim", 0) == 4:
                    seen.append(((path, counts[path], index), state))
        counts[path] += 1

    with contextlib.ExitStack() as stack:
        token = _current_call.set(call)
        stack.callback(_current_call.reset, token)
        for path, module in base.named_modules():
            if path:
                handle = module.register_forward_hook(
                    lambda _, args, output, path=path: watch(path, output)
                )
                stack.callback(handle.remove)
        output = forward()
    return seen, output


class _Head:
    """A pre-hook that passes only the requested states to a head, and only in its own call."""

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
    """Make a head read only the states at ``places`` of the flattened batch, within the context.

    A vocabulary is a hundred times wider than a state, and most places are not needed. The
    attribute ``ran`` of the yielded object is True once the head has been used.
    """
    head = _Head(places)
    token = _current_call.set(head.call)
    handle = module.register_forward_pre_hook(head)
    try:
        yield head
    finally:
        handle.remove()
        _current_call.reset(token)


def note_edit(module):
    """Count an edit of a module that is about to begin."""
    with _edits_lock:
        _edits[module] = _edits.get(module, 0) + 1


def count_edits(modules):
    """Return how many edits of some modules have begun so far."""
    with _edits_lock:
        return sum(_edits.get(module, 0) for module in modules) if _edits else 0
