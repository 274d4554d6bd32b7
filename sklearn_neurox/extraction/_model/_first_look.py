# SPDX-License-Identifier: BSD-3-Clause
"""Find out by test runs how a stack computes its states."""

import contextlib
import weakref
from collections import Counter
from dataclasses import replace

import torch

from sklearn_neurox.extraction._model import _families
from sklearn_neurox.extraction._model._config import hidden_layers, n_units
from sklearn_neurox.extraction._model._forward import (
    PROBE_PADDING,
    StackTraits,
    are_close,
    base_of,
    evaluating,
    forward_of,
    hidden_states_of,
    hidden_tap,
    probe_inputs,
    run_once,
    runs_whole,
    states_in,
    text_first,
)
from sklearn_neurox.extraction._model._hooks import ModuleDidNotRun, Tap, run_tapped
from sklearn_neurox.extraction._model._projections import (
    block_modules,
    embedding_path,
    find_projections,
    lists_of_length,
)
from sklearn_neurox.extraction._model._remembered import remembered
from sklearn_neurox.extraction._model._sinks import sink_layers
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._full_float32 import full_float32
from sklearn_neurox.utils._torch import is_out_of_memory

_traits: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

_PROBE_TEXTS = 8


def traits_of(model, stack=None):
    """Return the traits of a stack, which test runs determine whenever the model has changed."""
    known = remembered(_traits, model, run_once)
    if stack not in known:
        if isinstance(model, TorchModel):
            known[stack] = StackTraits(None, 0, model.supports_padding, False, 1)
        else:
            gpu = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            # The rounding of TF32 would add up over many layers, and look like another result.
            with evaluating(model), torch.inference_mode(), full_float32(gpu):
                known[stack] = _examine(model, stack)
    return known[stack]


def _examine(model, stack):
    _families.check_readable(model)
    base = base_of(model, stack)
    try:
        inputs = probe_inputs(model, stack)
        output = forward_of(model, stack, inputs)(output_hidden_states=True)
    except Exception as error:  # whatever a model raises that expects an image, too
        if is_out_of_memory(error):
            raise
        raise ValueError(_families.does_not_run(model, error)) from error
    expected, shape = states_in(output, model, stack), inputs["input_ids"].shape
    lags = _lags(model, stack, inputs, expected)
    padded = hidden_states_of(model, stack, probe_inputs(model, stack, padding=PROBE_PADDING))
    supports_padding = not _families.depends_on_length(model.config) and all(
        are_close(short, long[:, : shape[1]])
        for short, long in zip(expected, padded, strict=True)
        if short.shape[1] == shape[1]
    )
    # Quantizing a batch by its extremes makes each text's rounding depend on the others, and
    # experts with limited capacity may drop tokens that come after those of other texts.
    many = probe_inputs(model, stack, n_texts=_PROBE_TEXTS)
    together = hidden_states_of(model, stack, many)
    batch_dependent = not all(
        are_close(alone, beside[:1]) for alone, beside in zip(expected, together, strict=True)
    )
    if lags:
        expected = with_embedding(model, stack, inputs, expected)
    unknown = StackTraits(
        blocks=None,
        n_layers=len(expected) - 1,
        supports_padding=supports_padding,
        batch_dependent=batch_dependent,
        multiple=getattr(model.config, "downsampling_rate", 1),
        pads_itself=_pads_itself(model, stack, inputs, expected[0]),
        time_first=_time_first(model, stack, many),
        problem=_problem(model, stack, expected, shape),
        repeated=_repeated(model, stack, inputs),
        sinks=sink_layers(expected),
        lags=lags,
    )
    if unknown.problem or runs_whole(base):
        return unknown
    for name in lists_of_length(base, unknown.n_layers):
        traits = replace(unknown, blocks=name)
        if _tapped_equals(model, stack, traits, inputs, expected):
            return traits
    if lags:
        problem = "it leaves out its embedding, and its other hidden states are not those of blocks"
        return replace(unknown, problem=problem)
    return unknown


def _lags(model, stack, inputs, states):
    """Return whether a model returns the output of its first block as its first hidden state.

    Mamba and RWKV leave out the output of the embedding, but return the last state before and
    after the final norm, so the number of states is the usual one.
    """
    seen = (_seen_by_first_block(model, stack, inputs, side) for side in ("input", "output"))
    entered, left = (None if one is None else are_close(one, states[0]) for one in seen)
    return entered is False and bool(left)


def with_embedding(model, stack, inputs, states):
    """Return the hidden states of a model that lags, numbered as those of other models."""
    return [_seen_by_first_block(model, stack, inputs, "input"), *states[:-2], states[-1]]


def _problem(model, stack, states, shape):
    """Return why hidden states cannot be read: not one state per token and layer."""
    layers = hidden_layers(model.config, stack)
    if layers[-1] != len(states) - 1:
        return f"it returns {len(states)} hidden states for {layers[-1]} layers"
    if _families.pads_itself(model.config):
        states = [state[:, : shape[1]] for state in states]
    odd = [layer for layer in layers if states[layer].shape[:-1] != shape]
    if odd:
        found = tuple(states[odd[0]].shape)
        return f"its layer {odd[0]} has states of shape {found} for {tuple(shape)} tokens"
    for layer in layers:
        width = n_units(model.config, stack, is_last=layer == layers[-1])
        if states[layer].shape[-1] != width:
            return f"its layer {layer} has {states[layer].shape[-1]} units, its config says {width}"
    return None


def _repeated(model, stack, inputs):
    """Return the paths of the projections that run more often than they serve as a block."""
    base, blocks = base_of(model, stack), []
    for component in ("mlp", "attention"):
        with contextlib.suppress(ValueError):  # the model has no such component
            blocks += find_projections(base, model.config, component, stack, model="")
    calls = Counter(block.path for block in blocks)
    taps = {path: Tap(base.get_submodule(path), "input", n) for path, n in calls.items()}
    seen = {}
    with contextlib.suppress(ModuleDidNotRun):  # that is as it should be
        run_tapped(forward_of(model, stack, inputs), taps, seen.__setitem__, stop=False)
    return frozenset(seen)


def _pads_itself(model, stack, inputs, first):
    """Return whether a model adds padding after the last token before its first block."""
    if _families.pads_itself(model.config):
        return True
    seen = _seen_by_first_block(model, stack, inputs, "input")
    length = inputs["input_ids"].shape[1]
    return (
        seen is not None
        and seen.ndim == first.ndim
        and seen.shape[1] > length
        and are_close(seen[:, :length], first)
    )


def _time_first(model, stack, inputs):
    """Return the components in which a model has the tokens before the texts."""
    shape = inputs["input_ids"].shape[::-1]
    seen = _seen_by_first_block(model, stack, inputs, "output")
    blocks = () if seen is None or seen.shape[:2] != shape else ("hidden", "mlp", "attention")
    embedding = embedding_path(base_of(model, stack))
    if embedding is None:
        return blocks
    seen = _seen_by(model, stack, inputs, embedding, "output")
    return blocks if seen is None or seen.shape[:2] != shape else (*blocks, "embedding")


def _seen_by_first_block(model, stack, inputs, side):
    blocks = block_modules(base_of(model, stack), model.config, stack)
    return _seen_by(model, stack, inputs, blocks[1][0], side) if 1 in blocks else None


def _seen_by(model, stack, inputs, path, side):
    """Run a stack and return what one of its modules reads or returns, None if nothing."""
    seen = {}
    taps = {path: Tap(base_of(model, stack).get_submodule(path), side)}
    with contextlib.suppress(ModuleDidNotRun, LookupError):
        run_tapped(forward_of(model, stack, inputs), taps, seen.__setitem__, stop=True)
    state = seen.get(path)
    return state if isinstance(state, torch.Tensor) and state.ndim > 1 else None


def _tapped_equals(model, stack, traits, inputs, expected):
    base, seen = base_of(model, stack), {}
    taps = {layer: hidden_tap(base, traits, layer) for layer in range(traits.n_layers)}
    try:
        output = run_tapped(forward_of(model, stack, inputs), taps, seen.__setitem__, stop=False)
    except ModuleDidNotRun:  # some modules of the list do not run
        return False
    shape = inputs["input_ids"].shape
    seen = {layer: text_first(state, traits, "hidden", shape) for layer, state in seen.items()}
    seen[traits.n_layers] = getattr(output, "last_hidden_state", None)
    if seen[traits.n_layers] is None:  # Llama 4 returns predictions instead
        return False
    return all(are_close(seen[layer], state) for layer, state in enumerate(expected))
