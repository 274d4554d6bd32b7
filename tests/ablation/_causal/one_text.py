# SPDX-License-Identifier: BSD-3-Clause
"""Language models of any family, changed by hooks written by hand, one text at a time."""

from contextlib import ExitStack

import numpy as np
import pandas as pd
import torch
import transformers
from transformers import AutoTokenizer

from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.datasets._tiny_models import _random_model
from tests.extraction.families import FAMILIES, OTHERS, WIDTH, config_of

MEASURES = ["loss", "kl", "n_subwords"]


def random_model(name, kind, stacks, path, **changed):
    """Build a language model of a family, all of whose weights are random.

    Parameters
    ----------
    name : str
        The family.

    kind : str
        The class with a head.

    stacks : dict of str to str
        The path of each stack, by the prefix of its neurons.

    path : path
        A folder for the tokenizer.

    changed : dict
        Other values of the configuration.
    """
    traits = {**FAMILIES, **OTHERS}[name]
    make_tiny_model(traits.tokenizer, path=path, hidden_size=WIDTH, n_heads=2)
    tokenizer = AutoTokenizer.from_pretrained(path)
    config = config_of(name, tokenizer)
    for option, value in changed.items():
        setattr(config, option, value)
    bare = _random_model(config, np.random.RandomState(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind)(bare.config).eval()
        for parameter in model.get_output_embeddings().parameters():
            torch.nn.init.normal_(parameter)
    model.base_model.load_state_dict(bare.state_dict(), strict=False)
    return ByHand(model, tokenizer, traits, stacks)


class ByHand:
    """Scores words with transformers and torch alone, one at a time, without padding."""

    def __init__(self, model, tokenizer, traits, stacks):
        self.model, self.tokenizer, self.traits, self.stacks = model, tokenizer, traits, stacks
        self.before = {}  # what the model predicts as it is, by word

    def encode(self, text):
        """Return the ids of a text and the span of each token."""
        ids = self.tokenizer(text)["input_ids"]
        pieces = self.tokenizer.convert_ids_to_tokens(ids)
        if not any(piece.startswith("▁") for piece in pieces):
            return ids, self.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        spans, end = [], -1  # the first marker stands before the text
        for piece in pieces:
            length = 0 if piece in ("<s>", "</s>") else len(piece)
            spans.append((max(end, 0) + (piece[0] == "▁" and end >= 0), end + length))
            end += length
        return ids, spans

    def tokens(self, row, prefix=""):
        """Return the tokens of a row: of its target, if it has one and a decoder reads it."""
        of = "target" if prefix == "decoder." and "target" in row else "text"
        start, end = ("target_start", "target_end") if of == "target" else ("start", "end")
        _, spans = self.encode(str(row[of]))
        return [
            i for i, (low, high) in enumerate(spans)
            if low < row[end] and high > row[start] and high > low
        ]  # fmt: skip

    def module(self, prefix, component, layer):
        base = self.model.get_submodule(self.stacks[prefix])
        path = self.traits.blocks.removeprefix("decoder.")
        block = base.get_submodule(path)[layer - 1]
        if component == "hidden":
            return block, False
        within = self.traits.down if component == "mlp" else self.traits.out
        return block.get_submodule(within.format(last=len(getattr(block, "layer", [])) - 1)), True

    def read(self, inputs, target, states):
        """Run the model on one text; return its logits. ``states`` may replace each state."""
        with ExitStack() as stack, torch.no_grad():
            for (prefix, component, layer), change in states.items():
                module, is_input = self.module(prefix, component, layer)

                def apply(state, change=change):
                    return change(state.reshape(-1, state.shape[-1]).clone()).reshape(state.shape)

                def before(_, args, apply=apply):
                    return (apply(args[0]), *args[1:])

                def after(_, args, output, apply=apply):
                    if isinstance(output, tuple):
                        return (apply(output[0]), *output[1:])
                    return apply(output)

                register = (
                    module.register_forward_pre_hook if is_input else module.register_forward_hook
                )
                stack.callback(register(before if is_input else after).remove)
            given = {"input_ids": torch.tensor([inputs])}
            if "decoder." in self.stacks:
                start = self.model.config.decoder_start_token_id
                given["decoder_input_ids"] = torch.tensor([[start, *target[:-1]]])
            return self.model(**given).logits[0]

    def ids_of(self, row):
        """Return what the model reads of a row, and the target of the decoder."""
        text = str(row["text"])
        return self.encode(text)[0], self.encode(str(row.get("target", text)))[0]

    def score(self, word, states):
        """Return the logits that predict the subwords of a word, and their ids."""
        inputs, target = self.ids_of(word)
        if "decoder." in self.stacks:
            places = own = self.tokens(word, "decoder.")
        else:
            own, target = self.tokens(word), list(inputs)
            places = [token - 1 for token in own]
            if self.tokenizer.mask_token_id is not None:
                places = own
                for token in own:
                    inputs[token] = self.tokenizer.mask_token_id
        return self.read(inputs, target, states)[places], torch.tensor(target)[own]

    def measures(self, words, states_of):
        """Compute loss, divergence and number of subwords; ``states_of`` takes a word."""
        rows = []
        for _, word in words.iterrows():
            key = tuple(word)
            if key not in self.before:
                self.before[key] = self.score(word, {})
            old, ids = self.before[key]
            new, _ = self.score(word, states_of(word))
            loss = torch.nn.functional.cross_entropy(new, ids, reduction="sum").item()
            old, new = old.double().log_softmax(-1), new.double().log_softmax(-1)
            rows.append([loss, (old.exp() * (old - new)).sum().item(), len(ids)])
        return pd.DataFrame(rows, columns=MEASURES)

    def state(self, key, row):
        """Return the states of the tokens of a row, as the model is."""
        seen = []

        def keep(state):
            seen.append(state.clone())
            return state

        self.read(*self.ids_of(row), {key: keep})
        return seen[0][self.places(key[0], row)]

    def places(self, prefix, row):
        """Return where a stack reads the tokens of a row: a decoder reads them one place later."""
        return [token + (prefix == "decoder.") for token in self.tokens(row, prefix)]

    def chosen(self, prefix, positions, word):
        """Return the places that positions choose in what a stack reads for a word."""
        if isinstance(positions, str):
            return slice(1 if positions == "not_first" else 0, None)
        of = ["text", "target"] if prefix == "decoder." and "target" in word else ["text"]
        same = (positions[of].astype(str) == word[of].astype(str)).all(axis=1)
        return [
            place for _, row in positions[same].iterrows() for place in self.places(prefix, row)
        ]


def at(tokens, change):
    """Apply a change to some tokens of a text."""

    def apply(state):
        if not isinstance(tokens, list) or tokens:
            state[tokens] = change(state[tokens]).to(state.dtype)
        return state

    return apply


def setting(units, value):
    def change(state):
        state = state.clone()
        state[:, units] = value
        return state

    return change
