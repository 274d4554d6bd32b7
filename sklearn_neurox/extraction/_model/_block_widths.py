# SPDX-License-Identifier: BSD-3-Clause
"""How many neurons blocks have, and their names, block after block."""

import contextlib
import weakref

import numpy as np

_widths: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def join_neuron_names(blocks, widths):
    """Return the names of the neurons, block after block."""
    return np.concatenate([b.neuron_names(n) for b, n in zip(blocks, widths, strict=True)])


def widths_of(spec, blocks):
    """Return the number of neurons of each block; modules must run once to reveal theirs."""
    paths = {}
    for block in blocks:
        if block.n_units is None:
            paths.setdefault(block.stack, []).append(block.path)
    if not paths:
        return tuple(block.n_units for block in blocks)
    from sklearn_neurox.extraction._model._loading import load_model

    model = load_model(spec)
    found = {stack: module_widths(model, stack, own) for stack, own in paths.items()}
    return tuple(found[b.stack][b.path] if b.n_units is None else b.n_units for b in blocks)


def module_widths(model, stack, paths):
    """Run a model on a few tokens and return the number of units of each module.

    Raises
    ------
    ValueError
        If a module does not return one state per token, or does not run exactly once.
    """
    import torch

    from sklearn_neurox.extraction._model._forward import evaluating, run_once
    from sklearn_neurox.extraction._model._remembered import remembered

    known = remembered(_widths, model, run_once)
    new = [path for path in paths if (stack, path) not in known]
    if new:
        with evaluating(model), torch.inference_mode():
            found = _watch(model, stack, new)
        for path in new:
            known[stack, path] = _width(path, *found.get(path, (0, None, None)))
    return {path: known[stack, path] for path in paths}


def _watch(model, stack, paths):
    """Run two texts through a stack and return how often each module ran, and on which shapes."""
    from sklearn_neurox.extraction._model._first_look import traits_of
    from sklearn_neurox.extraction._model._forward import (
        base_of,
        forward_of,
        probe_inputs,
        text_first,
    )
    from sklearn_neurox.extraction._model._hooks import ModuleDidNotRun, Tap, run_tapped

    base, traits, found = base_of(model, stack), traits_of(model, stack), {}
    inputs = probe_inputs(model, stack, n_texts=2)
    calls = [(path, call) for path in paths for call in (0, 1)]
    taps = {(path, call): Tap(base.get_submodule(path), "output", call) for path, call in calls}

    def visit(tap, state):
        path, call = tap
        shape = inputs["input_ids"].shape
        if getattr(state, "ndim", 0) > 1:
            state = text_first(state, traits, "module", shape)
        found[path] = call + 1, getattr(state, "shape", ()), shape

    with contextlib.suppress(ModuleDidNotRun):  # which modules run is the question here
        run_tapped(forward_of(model, stack, inputs), taps, visit, stop=False)
    return found


def _width(path, n_calls, shape, expected):
    problem = None
    if n_calls != 1:
        problem = "runs more than once" if n_calls else "does not run"
        problem += " in a forward pass"
    elif tuple(shape[:-1]) not in (tuple(expected), (expected.numel(),)):
        problem = (
            f"does not return one state per token: {tuple(shape)} for {tuple(expected)} tokens"
        )
    if problem:
        raise ValueError(
            f"ActivationExtractor cannot read the module {path!r}: it {problem}. Choose "
            "other modules with component='module:<glob>'."
        )
    return int(shape[-1])
