# SPDX-License-Identifier: BSD-3-Clause
"""Interventions written by hand, as hooks that know their tokens from the test alone."""

import contextlib

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer

from sklearn_neurox.datasets._tiny_models import _random_model
from tests.extraction.families import FAMILIES, config_of, paths_of

# The class with a head, and the way from there to the stack whose blocks are changed.
HEADS = {
    "bert": ("BertForMaskedLM", "bert"),
    "roberta": ("RobertaForMaskedLM", "roberta"),
    "gpt2": ("GPT2LMHeadModel", "transformer"),
    "llama": ("LlamaForCausalLM", "model"),
    "gpt-neox": ("GPTNeoXForCausalLM", "gpt_neox"),
    "opt": ("OPTForCausalLM", "model"),
    "bloom": ("BloomForCausalLM", "transformer"),
    "gemma": ("GemmaForCausalLM", "model"),
    "bart": ("BartForConditionalGeneration", "model.decoder"),
    "t5": ("T5ForConditionalGeneration", "decoder"),
}
CAUSAL = ["gpt2", "llama", "gpt-neox", "opt", "bloom", "gemma"]


class Hooked:
    """Changes the state on one side of a module, at the tokens that ``chosen`` lists per pass.

    Parameters
    ----------
    change : callable
        Called with states of shape (n_chosen, n_units); returns new ones.

    chosen : callable
        Called with the number of tokens before this pass, and the shape (n_texts, n_tokens) of the
        pass; returns a mask of this shape.
    """

    def __init__(self, module, side, change, chosen, *, cached=False, n_texts=None):
        self.module, self.side = module, side
        self.change, self.chosen, self.cached = change, chosen, cached
        self.past, self.n_changed, self.n_texts = 0, 0, n_texts

    def edit(self, state):
        if state.ndim == 2:  # OPT flattens its batches
            return self.edit(state.reshape(self.n_texts, -1, state.shape[-1])).flatten(0, 1)
        mask = self.chosen(self.past, state.shape[:2])
        self.past += state.shape[1] if self.cached else 0
        self.n_changed += int(mask.sum())
        state = state.clone()
        state[mask] = self.change(state[mask])
        return state

    def after(self, module, args, output):
        if isinstance(output, tuple):
            return (self.edit(output[0]), *output[1:])
        return self.edit(output)

    def before(self, module, args):
        return (self.edit(args[0]), *args[1:])

    @contextlib.contextmanager
    def applied(self):
        if self.side == "output":
            handle = self.module.register_forward_hook(self.after)
        else:
            handle = self.module.register_forward_pre_hook(self.before)
        try:
            yield self
        finally:
            handle.remove()


def everywhere(past, shape):
    return torch.ones(shape, dtype=torch.bool)


def exactly(mask):
    return lambda past, shape: mask


def not_first_of(mask):
    """Choose all but the first token of each text, whose padding is where the mask is 0."""

    def chosen(past, shape):
        there = torch.ones(shape, dtype=torch.bool)
        for text in range(shape[0]):
            first = mask[text].tolist().index(1)
            for token in range(shape[1]):
                there[text, token] = past + token > first
        return there

    return chosen


def generated_after(width):
    """Choose the tokens after a prompt of a width, padding included."""

    def chosen(past, shape):
        return (past + torch.arange(shape[1]) >= width).expand(shape)

    return chosen


def sites(family, base):
    """Return the module and the side of hidden.1, mlp.2 and attention.2 of a stack."""
    downs, outs = paths_of(family, base)
    return {
        "hidden.1": (base.get_submodule(f"{FAMILIES[family].blocks}.0"), "output"),
        "mlp.2": (base.get_submodule(downs[1]), "input"),
        "attention.2": (base.get_submodule(outs[1]), "input"),
    }


def load_with_head(family, tokenizer_path):
    """Build a random model with its head; return it, the stack to change, and the tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_path)
    kind, path = HEADS[family]
    bare = _random_model(config_of(family, tokenizer), np.random.RandomState(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind)(bare.config).eval()
    model.base_model.load_state_dict(bare.state_dict(), strict=False)
    return model, model.get_submodule(path), tokenizer
