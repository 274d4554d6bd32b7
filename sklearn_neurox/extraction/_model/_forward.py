# SPDX-License-Identifier: BSD-3-Clause
"""Run the stacks of a live model, and read blocks of its activations on the way."""

import contextlib
import inspect
import threading
import weakref
from dataclasses import dataclass, replace
from functools import partial

import torch

from sklearn_neurox.extraction._model._config import max_positions
from sklearn_neurox.extraction._model._eager import uncompiled
from sklearn_neurox.extraction._model._hooks import ModuleDidNotRun, Tap, run_tapped
from sklearn_neurox.extraction._model._remembered import remembered
from sklearn_neurox.extraction._model._torch_model import TorchModel

_traits: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_widths: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
# The number of open contexts per model, and its modules that were in training mode before.
_in_evaluation: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_modes_lock = threading.Lock()

_PROBE_LENGTH = 12
_PROBE_PADDING = 4
_PROBE_TEXTS = 8


@dataclass(frozen=True)
class StackTraits:
    """Traits of a stack's forward pass, as shown by test runs."""

    blocks: str | None  # path of the list of blocks, None if their outputs are not the states
    n_layers: int
    supports_padding: bool  # whether padding leaves the states unchanged
    batch_dependent: bool  # whether the states of a text depend on the rest of its batch
    multiple: int  # shorter inputs are padded to this length


def base_of(model, stack=None):
    """Return the part of a model that computes the states: one stack, without heads."""
    if isinstance(model, TorchModel):
        return model.module
    if stack == "decoder":
        return model.get_decoder()
    return model.get_encoder() if stack else model.base_model


def traits_of(model, stack=None):
    """Return the traits of a stack, which test runs determine whenever the model has changed."""
    known = remembered(_traits, model, run_once)
    if stack not in known:
        if isinstance(model, TorchModel):
            known[stack] = StackTraits(None, 0, model.supports_padding, False, 1)
        else:
            with evaluating(model), torch.inference_mode():
                known[stack] = _examine(model, stack)
    return known[stack]


def run_once(model):
    """Run all stacks of a model on a few tokens."""
    two = not isinstance(model, TorchModel) and model.config.is_encoder_decoder
    with evaluating(model), torch.inference_mode():
        for stack in ("encoder", "decoder") if two else (None,):
            forward_of(model, base_of(model, stack), probe_inputs(model, stack))()


def _examine(model, stack):
    base = base_of(model, stack)
    multiple = getattr(base.config, "downsampling_rate", 1)
    inputs = probe_inputs(model, stack)
    length = inputs["input_ids"].shape[1]
    expected = hidden_states_of(base, inputs)
    n_layers = len(expected) - 1
    padded = hidden_states_of(base, probe_inputs(model, stack, padding=_PROBE_PADDING))
    supports_padding = all(
        are_close(short, long[:, :length])
        for short, long in zip(expected, padded, strict=True)
        if short.shape[1] == length
    )
    # Quantizing a batch by its extremes makes each text's rounding depend on the others, and
    # experts with limited capacity may drop tokens that come after those of other texts.
    together = hidden_states_of(base, probe_inputs(model, stack, n_texts=_PROBE_TEXTS))
    batch_dependent = not all(
        are_close(alone, beside[:1]) for alone, beside in zip(expected, together, strict=True)
    )
    unknown = StackTraits(None, n_layers, supports_padding, batch_dependent, multiple)
    for name, module in list(base.named_modules()):
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers:
            traits = replace(unknown, blocks=name)
            if _tapped_equals(base, traits, inputs, expected):
                return traits
    return unknown


def probe_inputs(model, stack, *, padding=0, n_texts=1):
    """Return a short input of the kind that a stack reads.

    The first text does not depend on ``n_texts``; ``padding`` is the number of padding tokens.
    """
    if isinstance(model, TorchModel):
        ids = model.encode_checked("A few words .")[0][: model.max_length]
        ids = torch.from_numpy(ids).to(input_device(model)).repeat(n_texts, 1)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    base = base_of(model, stack)
    # From the config, because a model that hashes characters has no single embedding table.
    size = getattr(base.config.get_text_config(), "vocab_size", 128)
    first = min(5, size - 1)
    room = max_positions(base.config) or _PROBE_LENGTH + _PROBE_PADDING
    length = min(_PROBE_LENGTH, room - _PROBE_PADDING)
    places = torch.arange(n_texts * length).reshape(n_texts, length)
    ids = first + places % max(1, min(size - first, 50))
    mask = torch.ones_like(ids)
    inputs = {
        "input_ids": torch.nn.functional.pad(ids, (0, padding), value=int(ids[0, 0])),
        "attention_mask": torch.nn.functional.pad(mask, (0, padding)),
    }
    inputs = {name: value.to(input_device(model)) for name, value in inputs.items()}
    if stack == "decoder":
        encoder = base_of(model, "encoder")
        output = encoder(**inputs, **options_of(encoder))
        inputs["encoder_hidden_states"] = output.last_hidden_state
        inputs["encoder_attention_mask"] = inputs["attention_mask"]
    return inputs


def input_device(model):
    """Return the device of a model's input; other parts may be elsewhere or not loaded yet."""
    module = model.module if isinstance(model, TorchModel) else model
    devices = (parameter.device for parameter in module.parameters())
    return next((device for device in devices if device.type != "meta"), torch.device("cpu"))


def hidden_states_of(base, inputs):
    """Run a stack and return all its hidden states, as transformers reports them."""
    return base(**inputs, **options_of(base), output_hidden_states=True).hidden_states


def options_of(base):
    """Return the keyword options to call a model or stack with."""
    options = dict.fromkeys(accepted_by(base, ["use_cache"]), False)
    # The config of a live model may set return_dict to False.
    return options if getattr(base.config, "return_dict", True) else options | {"return_dict": True}


def accepted_by(base, names):
    """Return the inputs that a stack accepts: all, if it only passes them on, as BART's does."""
    # The wrapper of torch.compile accepts any argument.
    accepted = inspect.signature(getattr(base, "_orig_mod", base).forward).parameters
    return [name for name in names if name in accepted or "input_ids" not in accepted]


def are_close(ours, theirs):
    """Return whether two states are the same up to rounding."""
    if ours.shape != theirs.shape:
        return False
    # Half precision rounds more, and differently for different lengths.
    tolerance = max(1e-3, 8 * torch.finfo(theirs.dtype).eps)
    scale = theirs.abs().max().clamp_min(torch.finfo(theirs.dtype).tiny)
    return bool(((ours - theirs).abs().max() / scale) < tolerance)


def _tapped_equals(base, traits, inputs, expected):
    seen = {}
    taps = {layer: _hidden_tap(base, traits, layer) for layer in range(traits.n_layers)}
    try:
        forward = partial(base, **inputs, **options_of(base))
        output = run_tapped(forward, taps, seen.__setitem__, stop=False)
    except ModuleDidNotRun:  # some modules of the list do not run
        return False
    seen[traits.n_layers] = output.last_hidden_state
    return all(are_close(seen[layer], state) for layer, state in enumerate(expected))


def _hidden_tap(base, traits, layer):
    blocks = base.get_submodule(traits.blocks)
    return Tap(blocks[layer - 1], "output") if layer else Tap(blocks[0], "input")


def run_hidden(model, traits_by_stack, inputs, blocks, visit):
    """Run a model on one batch and pass on the requested blocks as they appear.

    Parameters
    ----------
    model : PreTrainedModel or TorchModel

    traits_by_stack : dict of (str or None) to StackTraits
        The traits of each stack that has to run, from `traits_of`.

    inputs : dict of str to Tensor
        ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``; for a decoder also
        ``decoder_input_ids`` and ``decoder_attention_mask``.

    blocks : tuple of Block
        The requested blocks; a stack's forward pass ends after the last of them.

    visit : callable
        Called with (index of the block, tensor of shape (n_sequences, n_tokens, n_units)).
    """
    decoder_inputs = {
        name.removeprefix("decoder_"): value
        for name, value in inputs.items()
        if name.startswith("decoder_")
    }
    inputs = {name: value for name, value in inputs.items() if not name.startswith("decoder_")}
    output = None
    with torch.inference_mode():
        for stack, traits in traits_by_stack.items():
            wanted = {n: block for n, block in enumerate(blocks) if block.stack == stack}
            if stack == "decoder":
                decoder_inputs["encoder_hidden_states"] = output.last_hidden_state
                decoder_inputs["encoder_attention_mask"] = inputs["attention_mask"]
                inputs = decoder_inputs
            whole = stack == "encoder" and "decoder" in traits_by_stack
            output = _run_stack(model, stack, traits, inputs, wanted, visit, whole=whole)


def _run_stack(model, stack, traits, inputs, wanted, visit, *, whole):
    base = base_of(model, stack)
    forward = forward_of(model, base, inputs)
    hidden = {block.layer: n for n, block in wanted.items() if block.component == "hidden"}
    taps = {n: _tap(base, block) for n, block in wanted.items() if block.component != "hidden"}
    if hidden and traits.blocks is None:
        output = run_tapped(partial(forward, output_hidden_states=True), taps, visit, stop=False)
        for layer, n in hidden.items():
            visit(n, output.hidden_states[layer])
        return output
    last = hidden.pop(traits.n_layers, None)
    for layer, n in hidden.items():
        taps[n] = _hidden_tap(base, traits, layer)
    stop = last is None and not whole
    output = run_tapped(forward, taps, visit, stop=stop) if taps or not stop else None
    if last is not None:
        visit(last, output.last_hidden_state)
    return output


def _tap(base, block):
    side = "input" if block.component in ("mlp", "attention") else "output"
    return Tap(base.get_submodule(block.path), side, block.call)


def forward_of(model, base, inputs):
    """Return a function that runs a stack; its keywords select what the output contains."""
    if isinstance(model, TorchModel):
        arguments = [inputs["input_ids"]]
        if model.forward is None:
            return partial(base, *arguments)
        return partial(model.forward, base, *arguments, inputs["attention_mask"])
    known = {name: inputs[name] for name in accepted_by(base, inputs)}
    return partial(base, **known, **options_of(base))


def module_widths(model, stack, paths):
    """Run a model on a few tokens and return the number of units of each module.

    Raises
    ------
    ValueError
        If a module does not return one state per token, or does not run exactly once.
    """
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
    base, found = base_of(model, stack), {}
    inputs = probe_inputs(model, stack, n_texts=2)
    calls = [(path, call) for path in paths for call in (0, 1)]
    taps = {(path, call): Tap(base.get_submodule(path), "output", call) for path, call in calls}

    def visit(tap, state):
        path, call = tap
        found[path] = call + 1, getattr(state, "shape", ()), inputs["input_ids"].shape

    with contextlib.suppress(ModuleDidNotRun):  # which modules run is the question here
        run_tapped(forward_of(model, base, inputs), taps, visit, stop=False)
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


@contextlib.contextmanager
def evaluating(model):
    """Put a model in evaluation mode, and run it uncompiled, within the context.

    Each module gets its mode back. If several threads use the model, the first one to enter
    switches the mode, and the last one to exit restores it.
    """
    model = base_of(model) if isinstance(model, TorchModel) else model
    with _modes_lock:
        n_users, training = _in_evaluation.get(model, (0, ()))
        if not n_users:
            training = [module for module in model.modules() if module.training]
            for module in training:
                module.training = False
        _in_evaluation[model] = n_users + 1, training
    try:
        with uncompiled(model):
            yield
    finally:
        with _modes_lock:
            n_users, training = _in_evaluation.pop(model)
            if n_users > 1:
                _in_evaluation[model] = n_users - 1, training
            else:
                for module in training:
                    module.training = True
