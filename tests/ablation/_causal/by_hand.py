# SPDX-License-Identifier: BSD-3-Clause
"""Causal effects computed with transformers and torch alone, one text at a time."""

from contextlib import ExitStack

import pandas as pd
import torch
import transformers
from transformers import AutoTokenizer

from sklearn_neurox.datasets import make_tiny_model

SENTENCES = [
    ["The", "old", "dog", "barked", "unquestionably", "."],
    ["She", "saw", "the", "café"],
    ["Dogs", "bark"],
    ["The", "dog", "that", "the", "man", "saw", "was", "in", "the", "old", "house", "."],
]
HEADS = {
    "bert": "AutoModelForMaskedLM",
    "gpt2": "AutoModelForCausalLM",
    "llama": "AutoModelForCausalLM",
}


def language_model(family, path):
    """Build a language model whose weights are all random, and its tokenizer."""
    make_tiny_model(family, path=path, hidden_size=16, n_heads=4, n_layers=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.AutoConfig.from_pretrained(path)
        model = getattr(transformers, HEADS[family]).from_config(config).eval()
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.4)
    return model, AutoTokenizer.from_pretrained(path)


def module_of(model, component, layer):
    """Return the module that computes a component, and whether the component is its input."""
    if hasattr(model, "bert"):
        block = model.bert.encoder.layer[layer - 1]
        inputs = {"attention": block.attention.output.dense, "mlp": block.output.dense}
    elif hasattr(model, "transformer"):
        block = model.transformer.h[layer - 1]
        inputs = {"attention": block.attn.c_proj, "mlp": block.mlp.c_proj}
    else:
        block = model.model.layers[layer - 1]
        inputs = {"attention": block.self_attn.o_proj, "mlp": block.mlp.down_proj}
    return (block, False) if component == "hidden" else (inputs[component], True)


def changed(model, component, layer, change):
    """Hook a model so that a function of the state, of shape (n_tokens, n_units), replaces it."""
    module, is_input = module_of(model, component, layer)

    def apply(state):
        return change(state[0].clone())[None].to(state.dtype)

    def before(_, args):
        return (apply(args[0]), *args[1:])

    def after(_, args, output):
        if isinstance(output, tuple):
            return (apply(output[0]), *output[1:])
        return apply(output)

    if is_input:
        return module.register_forward_pre_hook(before)
    return module.register_forward_hook(after)


def zeroing(units, tokens=slice(None)):
    """Return a change that sets units to zero."""

    def change(state):
        rows = torch.arange(len(state))[tokens]
        state[rows[:, None], torch.tensor(list(units))] = 0
        return state

    return change


def encode(tokenizer, text):
    """Return the token ids of a text, and the span of each token."""
    encoded = tokenizer(text, return_offsets_mapping=True)
    return torch.tensor([encoded["input_ids"]]), encoded["offset_mapping"]


def tokens_of(tokenizer, row):
    """Return the tokens that a row has in its text."""
    _, spans = encode(tokenizer, row["text"])
    return [i for i, (low, high) in enumerate(spans) if low < row["end"] and high > row["start"]]


def logits_of_words(model, tokenizer, words, changes=None):
    """Return, for each word, the logits of its subwords and its token ids.

    ``changes`` returns, for a text, the changes of `changed` as (component, layer, change).
    """
    found = []
    for _, word in words.iterrows():
        ids, _ = encode(tokenizer, word["text"])
        own = tokens_of(tokenizer, word)
        inputs, places = ids.clone(), [i - 1 for i in own]
        if tokenizer.mask_token_id is not None:
            inputs[0, own], places = tokenizer.mask_token_id, own
        with ExitStack() as stack, torch.no_grad():
            for one in changes(word["text"]) if changes else ():
                stack.callback(changed(model, *one).remove)
            found.append((model(input_ids=inputs).logits[0, places], ids[0, own]))
    return found


def expected_measures(model, tokenizer, words, changes, extra=None):
    """Compute all measures of each word, with changes made by hand."""
    before = logits_of_words(model, tokenizer, words)
    after = logits_of_words(model, tokenizer, words, changes)
    rows = []
    for (old, ids), (new, _) in zip(before, after, strict=True):
        loss, loss_before = (
            torch.nn.functional.cross_entropy(one, ids, reduction="sum").item()
            for one in (new, old)
        )
        kl = torch.nn.functional.kl_div(
            new.log_softmax(-1), old.log_softmax(-1), log_target=True, reduction="sum"
        ).item()
        right = bool((new.argmax(-1) == ids).all())
        changed = bool((new.argmax(-1) != old.argmax(-1)).any())
        row = [loss, loss - loss_before, kl, right, changed, len(ids)]
        rows.append(row + ([extra(new[0]), extra(new[0]) - extra(old[0])] if extra else []))
    names = ["loss", "loss_change", "kl", "top1_accuracy", "top1_changed", "n_subwords"]
    names += ["metric", "metric_change"] if extra else []
    return pd.DataFrame(rows, columns=names, index=words.index).astype(float)
