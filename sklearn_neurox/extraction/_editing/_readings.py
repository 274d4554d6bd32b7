# SPDX-License-Identifier: BSD-3-Clause
"""What a model is reading while it runs: the tokens, their padding, and how many came before."""

import contextlib
import inspect
import threading
from dataclasses import dataclass, field, replace

import torch

from sklearn_neurox.extraction._editing._generation import Generation, generation_of
from sklearn_neurox.extraction._model._hooks import first_of


@dataclass(frozen=True, eq=False)
class Reading:
    """The input of a stack in one forward pass."""

    stack: str | None
    shape: tuple  # (n_texts, n_tokens), of this pass
    ids: torch.Tensor | None  # of this shape; None if the stack is given embeddings
    mask: torch.Tensor | None  # (n_texts, past + n_tokens): False is padding; None if unknown
    past: int  # how many tokens a cache holds from earlier passes, padding included
    device: torch.device
    generation: Generation | None  # the call of `generate` that this pass belongs to
    encoded: "Reading | None" = None  # what the encoder read for a decoder; None if unknown
    padding_id: int | None = None  # the token that a decoder's targets are padded with
    _slots: dict = field(default_factory=dict)

    def slots(self, positions):
        """Return what `Positions.slots` returns, computed once per pass."""
        if positions not in self._slots:
            self._slots[positions] = positions.slots(self)
        return self._slots[positions]

    def own_mask(self):
        """Return which of the tokens of this pass are not padding."""
        if self.mask is None:
            return torch.ones(self.shape, dtype=torch.bool, device=self.device)
        return self.mask[:, -self.shape[1] :]


class Readings:
    """Follows what the stacks of a model are reading, in each thread by itself."""

    def __init__(self, module):
        self.module = module
        self._of_thread = threading.local()

    def current(self, stack):
        """Return what a stack is reading now, or None if it does not run."""
        running = getattr(self._of_thread, "running", [])
        return next((one for one in reversed(running) if one.stack == stack), None)

    @contextlib.contextmanager
    def following(self, bases):
        """Follow some modules, given by stack: a stack, or the model as a whole."""
        with contextlib.ExitStack() as hooks:
            for stack, base in bases:
                before = base.register_forward_pre_hook(_Begin(self, stack), with_kwargs=True)
                after = base.register_forward_hook(_End(self, stack), always_call=True)
                hooks.callback(before.remove)
                hooks.callback(after.remove)
            yield self

    def begin(self, stack, base, args, kwargs):
        """Note that a module begins to read."""
        if not hasattr(self._of_thread, "running"):
            self._of_thread.running = []
        inputs = _named(base, args, kwargs)
        generation, outer = generation_of(self.module), self.current(stack)
        if outer is not None:  # the model as a whole reads the same tokens
            past = outer.past
        else:
            past = None if generation is None else generation.n_read
        reading = _read(stack, inputs, generation, past)
        if stack == "decoder":
            encoded = self._encoded(inputs.get("encoder_hidden_states"))
            padding_id = getattr(self.module.config, "pad_token_id", None)
            reading = replace(reading, encoded=encoded, padding_id=padding_id)
        if generation is not None and reading.past is not None and stack != "encoder":
            generation.n_read = reading.past + reading.shape[1]
        self._of_thread.running.append(reading)

    def end(self, stack, output):
        """Note that the module that began last has ended, and what it returned."""
        if getattr(self._of_thread, "running", None):
            reading = self._of_thread.running.pop()
            if stack == "encoder":
                self._of_thread.encoded = reading, first_of(output)

    def _encoded(self, states):
        """Return what the encoder read when it returned these states, or None."""
        reading, returned = getattr(self._of_thread, "encoded", (None, None))
        if not (torch.is_tensor(states) and torch.is_tensor(returned)) or not len(returned):
            return None
        if states is returned:
            return reading
        n_beams = len(states) // len(returned)  # of each text, one after the other
        expanded = returned.repeat_interleave(n_beams, dim=0).to(states.device)
        return reading if torch.equal(states, expanded) else None


class _Begin:
    def __init__(self, readings, stack):
        self.readings, self.stack = readings, stack

    # torch omits the kwargs if the hook is removed while another thread is calling it.
    def __call__(self, module, args, kwargs=None):
        self.readings.begin(self.stack, module, args, kwargs or {})


class _End:
    def __init__(self, readings, stack):
        self.readings, self.stack = readings, stack

    def __call__(self, module, args, output):
        self.readings.end(self.stack, output)


def _named(base, args, kwargs):
    """Return the arguments of a module by name."""
    names = inspect.signature(getattr(base, "_orig_mod", base).forward).parameters
    named = dict(zip(names, args, strict=False)) | kwargs
    if "input_ids" not in named and "inputs_embeds" not in named and args:
        named["input_ids"] = args[0]  # a module that is not of transformers
    return named


def _read(stack, inputs, generation, counted):
    """Describe inputs; ``counted`` is the number of tokens before, if the cache does not tell."""
    ids, embedded = inputs.get("input_ids"), inputs.get("inputs_embeds")
    given = embedded if ids is None else ids
    if not torch.is_tensor(given):
        return _nothing(stack, generation)
    if given.ndim == (1 if ids is not None else 2):
        given = given[None]
    shape = tuple(given.shape[:2])
    mask = _as_mask(inputs.get("attention_mask"), shape)
    past = _past(inputs, mask, shape[1])
    past = counted if past is None else past
    if mask is not None and past is not None:
        width = past + shape[1]
        # A cache of a fixed size has places that are not used yet.
        mask = mask[:, :width] if mask.shape[1] >= width else None if past else mask
    return Reading(
        stack=stack,
        shape=shape,
        ids=None if ids is None else given,
        mask=mask,
        past=past,
        device=given.device,
        generation=generation,
    )


def _nothing(stack, generation):
    return Reading(stack, (0, 0), None, None, 0, torch.device("cpu"), generation)


def _as_mask(mask, shape):
    """Return a mask of shape (n_texts, n_places), True at tokens."""
    if isinstance(mask, dict):  # one for each kind of attention
        full = mask.get("full_attention")
        mask = next(iter(mask.values()), None) if full is None else full
    if not torch.is_tensor(mask):
        return None
    if mask.ndim == 4:
        # Which place a query may attend to: a token is a place that any query attends to.
        allowed = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
        mask = allowed.any(dim=1).any(dim=1)
    if mask.ndim != 2 or mask.shape[1] < shape[1]:
        return None
    return (mask != 0).expand(shape[0], -1)


def _past(inputs, mask, n_tokens):
    """Return how many tokens a cache holds; None if that cannot be told."""
    cache = inputs.get("past_key_values", inputs.get("cache_params"))
    if cache is None and inputs.get("mems") is None and inputs.get("state") is None:
        return 0
    with contextlib.suppress(AttributeError, ValueError, TypeError):
        return int(cache.get_seq_length())
    if isinstance(cache, (tuple, list)) and cache:
        return int(cache[0][0].shape[-2])
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        if not cache.has_previous_state():
            return 0
    return None if mask is None else mask.shape[1] - n_tokens
