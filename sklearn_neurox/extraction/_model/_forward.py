# SPDX-License-Identifier: BSD-3-Clause
"""Run the stacks of a live model, and read blocks of its activations on the way."""

import contextlib
import inspect
import threading
import weakref
from dataclasses import dataclass
from functools import partial

import torch

from sklearn_neurox.extraction._model import _families
from sklearn_neurox.extraction._model._config import max_positions
from sklearn_neurox.extraction._model._eager import uncompiled
from sklearn_neurox.extraction._model._hooks import ModuleDidNotRun, Tap, first_of, run_tapped
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._autocast import without_autocast

# The number of open contexts per model, and its modules that were in training mode before.
_in_evaluation: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_modes_lock = threading.Lock()

# A prime number shows whether a model pads itself, whatever its window.
PROBE_LENGTH = 13
PROBE_PADDING = 4


@dataclass(frozen=True)
class StackTraits:
    """Traits of a stack's forward pass, as shown by test runs."""

    blocks: str | None  # path of the list of blocks, None if their outputs are not the states
    n_layers: int
    supports_padding: bool  # whether padding leaves the states unchanged
    batch_dependent: bool  # whether the states of a text depend on the rest of its batch
    multiple: int  # shorter inputs are padded to this length
    pads_itself: bool = False  # whether modules see padding at the end that the model adds
    time_first: tuple = ()  # the components that have the tokens before the texts
    problem: str | None = None  # why the hidden states cannot be read
    repeated: frozenset = frozenset()  # paths of projections that run several times in a block
    sinks: frozenset = frozenset()  # layers in which the first token's state dwarfs the others
    lags: bool = False  # whether transformers lists the first block's output as layer 0


def base_of(model, stack=None):
    """Return the part of a model that computes the states: one stack, without heads."""
    if isinstance(model, TorchModel):
        return model.module
    text = getattr(model.base_model, "language_model", None) if stack else None
    if text is not None and text.config.is_encoder_decoder:
        model = text
    if stack == "decoder":
        return model.get_decoder()
    return model.get_encoder() if stack else model.base_model


def run_once(model, n_before=0):
    """Run all stacks of a model on a few tokens, and on more texts and tokens the second time."""
    two = not isinstance(model, TorchModel) and model.config.is_encoder_decoder
    with evaluating(model), torch.inference_mode():
        for stack in ("encoder", "decoder") if two else (None,):
            padding, n_texts = PROBE_PADDING * n_before, 1 + n_before
            inputs = probe_inputs(model, stack, padding=padding, n_texts=n_texts)
            forward_of(model, stack, inputs)()


def probe_inputs(model, stack, *, padding=0, n_texts=1):
    """Return a short input of the kind that a stack reads.

    The first text does not depend on ``n_texts``; ``padding`` is the number of padding tokens.
    """
    if isinstance(model, TorchModel):
        text = "A few words ." + " and more" * padding
        ids = model.encode_checked(text)[0][: model.max_length]
        ids = torch.from_numpy(ids).to(input_device(model)).repeat(n_texts, 1)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    # From the config, because a model that hashes characters has no single embedding table.
    size = getattr(model.config.get_text_config(), "vocab_size", None) or 128
    first = min(5, size - 1)
    room = max_positions(model.config, stack) or PROBE_LENGTH + PROBE_PADDING
    length = min(PROBE_LENGTH, room - PROBE_PADDING)
    places = torch.arange(n_texts * length, device="cpu").reshape(n_texts, length)
    ids = first + places % max(1, min(size - first, 50))
    mask = torch.ones_like(ids)
    inputs = {
        "input_ids": torch.nn.functional.pad(ids, (0, padding), value=int(ids[0, 0])),
        "attention_mask": torch.nn.functional.pad(mask, (0, padding)),
    }
    inputs = {name: value.to(input_device(model)) for name, value in inputs.items()}
    base = base_of(model, stack)
    if runs_whole(base):
        return inputs | {f"decoder_{name}": value for name, value in inputs.items()}
    if stack == "decoder":
        output = forward_of(model, "encoder", inputs)()
        inputs["encoder_hidden_states"] = output.last_hidden_state
        inputs["encoder_attention_mask"] = inputs["attention_mask"]
    return inputs


def runs_whole(base):
    """Return whether a stack runs only as part of its model, as FSMT's do."""
    return not hasattr(base, "config") and not hasattr(base, "_orig_mod")


def input_device(model):
    """Return the device of a model's input; other parts may be elsewhere or not loaded yet."""
    module = model.module if isinstance(model, TorchModel) else model
    devices = (parameter.device for parameter in module.parameters())
    return next((device for device in devices if device.type != "meta"), torch.device("cpu"))


def hidden_states_of(model, stack, inputs):
    """Run a stack and return all its hidden states, as transformers reports them."""
    return states_in(forward_of(model, stack, inputs)(output_hidden_states=True), model, stack)


def states_in(output, model, stack):
    """Return the hidden states of a stack in the output of a forward pass."""
    whole = runs_whole(base_of(model, stack))
    states = getattr(output, f"{stack}_hidden_states" if whole else "hidden_states", None)
    if states is None:
        what = f"a {type(output).__name__} without hidden states"
        raise ValueError(_families.does_not_run(model, TypeError(f"the output is {what}")))
    return [first_of(state) for state in states]


def options_of(base):
    """Return the keyword options to call a model or stack with."""
    options = dict.fromkeys(accepted_by(base, ["use_cache"]), False)
    parameters = inspect.signature(getattr(base, "_orig_mod", base).forward).parameters
    # The config of a live model may set return_dict to False, and DPR does unless it is told.
    if "return_dict" in parameters or not getattr(base.config, "return_dict", True):
        options["return_dict"] = True
    return options


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


def hidden_tap(base, traits, layer):
    """Return the tap that reads a hidden layer other than the last."""
    path, side = hidden_place(traits, layer)
    return Tap(base.get_submodule(path), side)


def hidden_place(traits, layer):
    """Return the path and the side of the module that shows a hidden layer but the last."""
    # RWKV rescales some states between its blocks.
    if traits.lags or not layer:
        return f"{traits.blocks}.{layer}", "input"
    return f"{traits.blocks}.{layer - 1}", "output"


def text_first(state, traits, component, shape):
    """Return states as (n_texts, n_tokens, n_units), without the padding that a model adds."""
    if component in traits.time_first and state.ndim > 2:
        state = state.transpose(0, 1)
    if traits.pads_itself and state.ndim == 2 and len(state) % shape[0] == 0:
        state = state.reshape(shape[0], -1, state.shape[-1])
    return state[:, : shape[1]] if traits.pads_itself and state.ndim > 2 else state


def run_hidden(model, traits_by_stack, inputs, blocks, visit):
    """Run a model on one batch and pass on the requested blocks as they appear.

    Parameters
    ----------
    model : PreTrainedModel or TorchModel

    traits_by_stack : dict of (str or None) to StackTraits
        The traits of each stack that has to run.

    inputs : dict of str to Tensor
        ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``; for a decoder also
        ``decoder_input_ids`` and ``decoder_attention_mask``.

    blocks : tuple of Block
        The requested blocks; a stack's forward pass ends after the last of them.

    visit : callable
        Called with (index of the block, tensor of shape (n_sequences, n_tokens, n_units)).

    Raises
    ------
    ValueError
        If the model does not have one state per token of a requested block.
    """
    _check_blocks(model, traits_by_stack, blocks)
    try:
        _run_stacks(model, traits_by_stack, inputs, blocks, visit)
    except ModuleDidNotRun as error:
        missing = blocks[min(error.names)].name
        raise ValueError(
            f"ActivationExtractor cannot read {missing!r} of {type(model).__name__}, because the "
            f"module that computes it does not run for text alone ({len(error.names)} blocks in "
            "total). Choose other layers with layers=, or other components."
        ) from error


def _run_stacks(model, traits_by_stack, inputs, blocks, visit):
    with torch.inference_mode():
        if any(runs_whole(base_of(model, stack)) for stack in traits_by_stack if stack):
            _run_whole(model, traits_by_stack, inputs, blocks, visit)
            return
        decoder_inputs = {
            name.removeprefix("decoder_"): value
            for name, value in inputs.items()
            if name.startswith("decoder_")
        }
        inputs = {name: value for name, value in inputs.items() if not name.startswith("decoder_")}
        output = None
        for stack, traits in traits_by_stack.items():
            wanted = {n: block for n, block in enumerate(blocks) if block.stack == stack}
            if stack == "decoder":
                decoder_inputs["encoder_hidden_states"] = output.last_hidden_state
                decoder_inputs["encoder_attention_mask"] = inputs["attention_mask"]
                inputs = decoder_inputs
            whole = stack == "encoder" and "decoder" in traits_by_stack
            output = _run_stack(model, stack, traits, inputs, wanted, visit, whole=whole)


def _check_blocks(model, traits_by_stack, blocks):
    for block in blocks:
        traits = traits_by_stack[block.stack]
        problem = traits.problem if block.component == "hidden" else None
        if block.component in ("mlp", "attention") and block.path in traits.repeated:
            problem = f"its module {block.path!r} runs more than once in a block"
        if problem:
            raise ValueError(
                f"ActivationExtractor cannot read {block.name!r} of {type(model).__name__}: "
                f"{problem}. Read other components, or modules with component='module:<glob>'."
            )


def _run_stack(model, stack, traits, inputs, wanted, visit, *, whole):
    shape = inputs["input_ids"].shape

    def hand_over(n, state):
        visit(n, text_first(state, traits, wanted[n].component, shape))

    base, forward = base_of(model, stack), forward_of(model, stack, inputs)
    if any(block.needs_flag for block in wanted.values()):
        forward = partial(forward, output_attentions=True)
    hidden = {block.layer: n for n, block in wanted.items() if block.component == "hidden"}
    taps = {n: _tap(base, block) for n, block in wanted.items() if block.component != "hidden"}
    if hidden and traits.blocks is None:
        forward = partial(forward, output_hidden_states=True)
        output = run_tapped(forward, taps, hand_over, stop=False)
        states = states_in(output, model, stack)
        for layer, n in hidden.items():
            visit(n, states[layer][:, : shape[1]] if traits.pads_itself else states[layer])
        return output
    last = hidden.pop(traits.n_layers, None)
    for layer, n in hidden.items():
        taps[n] = hidden_tap(base, traits, layer)
    stop = last is None and not whole
    output = run_tapped(forward, taps, hand_over, stop=stop) if taps or not stop else None
    if last is not None:
        visit(last, output.last_hidden_state)
    return output


def _run_whole(model, traits_by_stack, inputs, blocks, visit):
    """Run both stacks in one pass of the model."""
    shapes = {"encoder": inputs["input_ids"].shape}
    if "decoder" in traits_by_stack:
        shapes["decoder"] = inputs["decoder_input_ids"].shape
    else:  # it runs all the same
        inputs = inputs | {"decoder_input_ids": inputs["input_ids"][:, :1]}

    def hand_over(n, state):
        block = blocks[n]
        shape = shapes[block.stack]
        visit(n, text_first(state, traits_by_stack[block.stack], block.component, shape))

    hidden = [n for n, block in enumerate(blocks) if block.component == "hidden"]
    taps = {
        n: _tap(base_of(model, block.stack), block)
        for n, block in enumerate(blocks)
        if n not in hidden
    }
    forward = partial(forward_of(model, blocks[0].stack, inputs), output_hidden_states=bool(hidden))
    if any(block.needs_flag for block in blocks):
        forward = partial(forward, output_attentions=True)
    output = run_tapped(forward, taps, hand_over, stop=not hidden)
    for n in hidden:
        visit(n, states_in(output, model, blocks[n].stack)[blocks[n].layer])


def _tap(base, block):
    if block.index is not None:
        return Tap(base.get_submodule(block.path), "output", block.call, block.index)
    side = "input" if block.component in ("mlp", "attention") else "output"
    return Tap(base.get_submodule(block.path), side, block.call)


def forward_of(model, stack, inputs):
    """Return a function that runs a stack; its keywords select what the output contains."""
    base = base_of(model, stack)
    if isinstance(model, TorchModel):
        arguments = [inputs["input_ids"]]
        if model.forward is None:
            return partial(base, *arguments)
        return partial(model.forward, base, *arguments, inputs["attention_mask"])
    if runs_whole(base):
        base = model.base_model
    known = {name: inputs[name] for name in accepted_by(base, inputs)}
    return partial(_run_unchanged, base, **known, **options_of(base))


def _run_unchanged(base, **inputs):
    with _families.undoing(base):
        return base(**inputs)


@contextlib.contextmanager
def evaluating(model):
    """Put a model in evaluation mode, uncompiled and without autocast, within the context.

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
        with uncompiled(model), without_autocast():
            yield
    finally:
        with _modes_lock:
            n_users, training = _in_evaluation.pop(model)
            if n_users > 1:
                _in_evaluation[model] = n_users - 1, training
            else:
                for module in training:
                    module.training = True
