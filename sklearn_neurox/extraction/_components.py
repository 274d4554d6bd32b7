# SPDX-License-Identifier: BSD-3-Clause
"""Hidden layers of a live model: where they are, and how they are read while it runs."""

import contextlib
import inspect
import threading
import weakref
from contextvars import ContextVar
from dataclasses import dataclass

import torch

from sklearn_neurox.extraction._families import max_positions

# Hooks sit on the shared model, but only the call that set them may see what they see.
_current_call: ContextVar = ContextVar("sklearn_neurox_call", default=None)
_anatomies: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
# How many calls use a model now, and which of its modules were in training mode before.
_in_evaluation: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_modes_lock = threading.Lock()

_PROBE_LENGTH = 12
_PROBE_PADDING = 4


@dataclass(frozen=True)
class Anatomy:
    """What a look at a model's forward pass has shown."""

    blocks: str | None  # name of the list of blocks, None where the hidden states come otherwise
    n_layers: int
    pads: bool  # whether a padded input gives the same states
    multiple: int  # inputs shorter than this are padded to it


class _Stop(Exception):  # noqa: N818 - not an error
    """Ends a forward pass after the last layer asked for."""


def base_of(model):
    """Return the part of a model that makes the hidden states: no heads, the encoder alone."""
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    return model.base_model


def anatomy_of(model):
    """Look once at how a model makes its hidden states; the result is checked, not assumed.

    Parameters
    ----------
    model : PreTrainedModel

    Returns
    -------
    anatomy : Anatomy
    """
    if model not in _anatomies:
        with evaluating(model), torch.inference_mode():
            _anatomies[model] = _examine(model)
    return _anatomies[model]


def _examine(model):
    base = base_of(model)
    multiple = getattr(base.config, "downsampling_rate", 1)
    ids = _probe_ids(base)
    mask = torch.ones_like(ids)
    expected = _states(base, ids, mask)
    n_layers = len(expected) - 1
    padded_ids = torch.nn.functional.pad(ids, (0, _PROBE_PADDING), value=int(ids[0, 0]))
    padded_mask = torch.nn.functional.pad(mask, (0, _PROBE_PADDING))
    padded = _states(base, padded_ids, padded_mask)
    pads = all(
        _close(short, long[:, : ids.shape[1]])
        for short, long in zip(expected, padded, strict=True)
        if short.shape[1] == ids.shape[1]
    )
    names = [
        name
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers
    ]
    for blocks in names:
        anatomy = Anatomy(blocks, n_layers, pads, multiple)
        if _tapped_equals(base, anatomy, ids, mask, expected):
            return anatomy
    return Anatomy(None, n_layers, pads, multiple)


def _probe_ids(base):
    # From the config, because a model that hashes characters has no one table of embeddings.
    size = getattr(base.config.get_text_config(), "vocab_size", 128)
    first = min(5, size - 1)
    room = max_positions(base.config) or _PROBE_LENGTH + _PROBE_PADDING
    length = min(_PROBE_LENGTH, room - _PROBE_PADDING)
    ids = first + torch.arange(length) % max(1, min(size - first, 50))
    return ids[None].to(base.device)


def _states(base, ids, mask):
    return base(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states


def _close(ours, theirs):
    if ours.shape != theirs.shape:
        return False
    scale = theirs.abs().max().clamp_min(torch.finfo(theirs.dtype).tiny)
    return bool(((ours - theirs).abs().max() / scale) < 1e-3)


def _tapped_equals(base, anatomy, ids, mask, expected):
    seen = {}
    inputs = {"input_ids": ids, "attention_mask": mask}
    _run_tapped(base, anatomy, inputs, list(range(anatomy.n_layers + 1)), seen.__setitem__)
    return len(seen) == len(expected) and all(
        _close(seen[layer], state) for layer, state in enumerate(expected)
    )


def run_hidden(model, anatomy, inputs, layers, visit):
    """Run a model on one batch and hand over the hidden layers as they appear.

    Parameters
    ----------
    model : PreTrainedModel

    anatomy : Anatomy
        From `anatomy_of`.

    inputs : dict of str to Tensor
        ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``.

    layers : list of int
        The layers wanted, ascending; the forward pass ends after the last of them.

    visit : callable
        Called with (layer, tensor of shape (n_sequences, n_tokens, n_units)).
    """
    base = base_of(model)
    accepted = inspect.signature(base.forward).parameters
    inputs = {name: value for name, value in inputs.items() if name in accepted}
    if "use_cache" in accepted:
        inputs["use_cache"] = False
    with torch.inference_mode():
        if anatomy.blocks is None:
            states = base(**inputs, output_hidden_states=True).hidden_states
            for layer in layers:
                visit(layer, states[layer])
        else:
            _run_tapped(base, anatomy, inputs, layers, visit)


def _run_tapped(base, anatomy, inputs, layers, visit):
    blocks = base.get_submodule(anatomy.blocks)
    call, last = object(), anatomy.n_layers
    inner = [layer for layer in layers if layer < last]

    def record(layer, state):
        if _current_call.get() is call:
            visit(layer, state)
            if layer == layers[-1]:
                raise _Stop

    # torch forgets the kwargs of a hook that is removed while another thread is calling it.
    def before_first(_, args, kwargs=None):
        if kwargs is not None:
            record(0, args[0] if args else kwargs["hidden_states"])

    def after(layer):
        return lambda _, args, output: record(layer, _first(output))

    with contextlib.ExitStack() as stack:
        token = _current_call.set(call)
        stack.callback(_current_call.reset, token)
        for layer in inner:
            handle = (
                blocks[layer - 1].register_forward_hook(after(layer))
                if layer
                else blocks[0].register_forward_pre_hook(before_first, with_kwargs=True)
            )
            stack.callback(handle.remove)
        try:
            output = base(**inputs)
        except _Stop:
            return
        if layers[-1] == last:
            visit(last, output.last_hidden_state)


def _first(output):
    return output[0] if isinstance(output, (tuple, list)) else output


@contextlib.contextmanager
def evaluating(model):
    """Put a model into evaluation mode for a while, each of its modules restored afterwards.

    The first of several threads switches the mode, the last one restores it.
    """
    with _modes_lock:
        n_users, training = _in_evaluation.get(model, (0, ()))
        if not n_users:
            training = [module for module in model.modules() if module.training]
            _set_training(training, False)
        _in_evaluation[model] = n_users + 1, training
    try:
        yield
    finally:
        with _modes_lock:
            n_users, training = _in_evaluation.pop(model)
            if n_users > 1:
                _in_evaluation[model] = n_users - 1, training
            else:
                _set_training(training, True)


def _set_training(modules, training):
    for module in modules:
        module.training = training
